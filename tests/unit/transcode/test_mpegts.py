"""MPEG transport streams: read back by hand, and by FFmpeg."""

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import Part, Plan, dash_manifest, make_plan, transcode
from mamkit.transcode.packaging.mpegts import START, AacTrack, _crc, _Packets
from mamkit.transcode.probing import probe_here
from tests.media_factory import make_clip
from tests.unit.transcode.test_encode_video import number, numbered
from tests.unit.transcode.tree import Tree, encode


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mpegts") / "clip.mp4"
    rate = Fraction(30_000, 1001)
    return make_clip(path, seconds=7, rate=rate, width=144, height=64, picture=numbered, gop=30, b_frames=2)


@pytest.fixture(scope="module", params=[True, False], ids=["copied", "encoded"])
def made(film: Path, request: pytest.FixtureRequest) -> tuple[Plan, Tree]:
    plan = make_plan(probe_here(film), container="ts", copy=request.param)
    assert plan.video[0].copied == request.param
    segments = range(plan.segment_count)
    parts = [Part(index=n, kind="video", start=n, stop=n + 1) for n in reversed(segments)]
    return plan, encode(film, plan, [*parts, *(part for part in plan.parts if part.kind == "audio")])


def payload(data: bytes, pid: int) -> bytes:
    """The bytes of a track; its packets are counted without a gap from each that says that it counts anew."""
    out, counter = b"", -1
    assert len(data) % 188 == 0
    for at in range(0, len(data), 188):
        packet = data[at : at + 188]
        assert packet[0] == 0x47
        if int.from_bytes(packet[1:3]) & 0x1FFF != pid:
            continue
        adapted = packet[3] & 0x20
        anew = adapted and packet[4] > 0 and packet[5] & 0x80
        assert anew or packet[3] & 15 == (counter + 1) & 15
        counter = packet[3] & 15
        out += packet[5 + packet[4] if adapted else 4 :]
    return out


@given(st.lists(st.integers(0, 600), min_size=1, max_size=6), st.booleans())
def test_whatever_the_length_every_byte_is_there_in_whole_packets(lengths: list[int], late: bool) -> None:
    packets = _Packets(0x1B)
    for n, length in enumerate(lengths):
        packets.add(0xE0, b"\xa5" * length, show=900_000 + 3000 * n + late, decode=900_000 + 3000 * n, key=n == 0)
    assert payload(bytes(packets.data), 0x100).count(b"\xa5") == sum(lengths)


def test_tables_have_the_checksum_that_decoders_ask_for() -> None:
    """CRC-32/MPEG-2 of the usual check string, and its property: over a section with its checksum it is zero."""
    assert _crc(b"123456789") == 0x0376E6E7
    table = bytes(_Packets(0x0F).data[:188])
    section = table[4 + 2 + 1 : 4 + 2 + 1 + 16]
    assert section[0] == 0
    assert _crc(section) == 0


def test_pictures_join_to_the_frame(made: tuple[Plan, Tree]) -> None:
    plan, tree = made
    name, rate = plan.video[0].name, plan.frame_rate
    assert rate is not None
    data = b"".join(data for _, (_, data) in sorted(tree.segments[name].items()))
    payload(data, 0x100)
    with av.open(io.BytesIO(data), "r") as container:
        pictures = list(container.decode(video=0))
        assert [number(picture) for picture in pictures] == list(range(plan.frame_count))
        times = [(picture.pts or 0) - START * 90_000 for picture in pictures]
        assert times == [round(n / rate * 90_000) for n in range(plan.frame_count)]


def test_each_key_frame_can_be_fetched_alone(made: tuple[Plan, Tree]) -> None:
    plan, tree = made
    for facts, data in tree.segments[plan.video[0].name].values():
        assert facts.file == "ts"
        for key in facts.key_frames:
            piece = data[key.offset : key.offset + key.size]
            with av.open(io.BytesIO(piece), "r", format="mpegts") as container:
                [picture] = container.decode(video=0)
                assert number(picture) == key.time * (plan.frame_rate or 0)


def test_sound_is_what_it_is_in_mp4(film: Path, made: tuple[Plan, Tree]) -> None:
    plan, tree = made
    other = plan.model_copy(update={"container": "fmp4"})
    mp4 = encode(film, other, [part for part in plan.parts if part.kind == "audio"])

    def frames(data: bytes) -> list[bytes]:
        with av.open(io.BytesIO(data), "r") as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    stream = b"".join(data for _, (_, data) in sorted(tree.segments["audio"].items()))
    assert [frame[7:] for frame in frames(stream)] == frames(mp4.film("audio"))  # behind the header of each


def test_sound_begins_where_it_is_told_to() -> None:
    data = AacTrack(48_000, 2).run(281, [b"\x21" * 100] * 3)
    start = payload(data, 0x100)
    pts = int.from_bytes(start[9:14])
    ticks = (pts >> 33 & 7) << 30 | (pts >> 17 & 0x7FFF) << 15 | pts >> 1 & 0x7FFF
    assert ticks == round(281 * 1024 * 90_000 / 48_000) + START * 90_000


def test_a_tree_has_neither_headers_nor_a_manifest(film: Path, tmp_path: Path) -> None:
    report = transcode(film, tmp_path / "out", container="ts", artwork=False)
    files = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"index.m3u8", "iframes.m3u8", "segment_00000.ts", "segment_00001.ts"}
    assert "EXT-X-MAP" not in (tmp_path / "out" / "360p" / "index.m3u8").read_text()
    with pytest.raises(ValueError, match="CMAF"):
        dash_manifest(report.plan, [])
    with pytest.raises(ValueError, match=r"H\.264 alone"):
        make_plan(report.info, container="ts", codecs=["h264", "hevc"])
