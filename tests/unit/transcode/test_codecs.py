"""HEVC and AV1 beside H.264, whichever encoder makes them."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mamkit.transcode import (
    Codec,
    EncodeError,
    Ladder,
    MediaUnsupportedError,
    Part,
    Plan,
    Rung,
    Track,
    choose_devices,
    dash_manifest,
    local,
    make_plan,
    multivariant_playlist,
    transcode,
    try_encoder,
)
from mamkit.transcode.encoding.encoders import ENCODERS
from mamkit.transcode.encoding.trial import try_here
from mamkit.transcode.packaging.fmp4 import codecs, without_temporal_delimiter
from mamkit.transcode.planning.plan import check_formats
from mamkit.transcode.probing import probe_here
from tests.media_factory import make_clip
from tests.unit.transcode.test_encode_video import numbered, numbers
from tests.unit.transcode.test_fmp4 import boxes
from tests.unit.transcode.tree import Tree, encode

ALL: tuple[Codec, ...] = ("h264", "hevc", "av1")
SMALL = Ladder(rungs=(Rung(name="small", short_side=180, bit_rate=300_000, max_bit_rate=450_000),))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with B-frames in groups of 1.6 s, which H.264 is copied from."""
    path = tmp_path_factory.mktemp("codecs") / "clip.mp4"
    return make_clip(path, seconds=8, rate=10, width=320, height=180, gop=16, b_frames=2, picture=numbered)


@pytest.fixture(scope="module")
def made(clip: Path) -> tuple[Plan, Tree]:
    """The film in all codecs, each segment encoded apart, the last one first."""
    plan = make_plan(probe_here(clip), ladder=SMALL, codecs=ALL)
    parts = [Part(index=n, kind="video", start=n, stop=n + 1) for n in reversed(range(plan.segment_count))]
    return plan, encode(clip, plan, [*parts, Part(index=9, kind="audio", start=0, stop=plan.segment_count)])


def test_each_codec_has_all_sizes_at_its_own_bit_rate(clip: Path) -> None:
    plan = make_plan(probe_here(clip), ladder=SMALL, codecs=("av1", "h264", "hevc", "av1"), copy=False)
    assert [(video.name, video.codec, video.bit_rate) for video in plan.video] == [
        ("small", "h264", 300_000),
        ("small-hevc", "hevc", 225_000),
        ("small-av1", "av1", 200_000),
    ]


@pytest.mark.parametrize("codec", ALL)
def test_parts_join_to_the_frame_on_boundaries_of_any_spacing(codec: Codec, made: tuple[Plan, Tree]) -> None:
    plan, tree = made
    assert plan.cuts == (0, 48)
    name = "small" if codec == "h264" else f"small-{codec}"
    assert numbers(tree, name) == list(range(80))
    packets = tree.packets(name)
    assert sorted(time for time, _, _ in packets) == [Fraction(n, 10) for n in range(80)]
    keys = [time * 10 for time, _, key in packets if key]
    assert keys == ([0, 16, 32, 48, 64] if codec == "h264" else [0, 20, 40, 48, 68])
    assert len({header for _, header in tree.inits[name]}) == 1


def test_the_playlist_names_every_codec_as_its_header_says(made: tuple[Plan, Tree]) -> None:
    plan, tree = made
    tracks = [
        Track.of(tree.inits[name][0][0], (facts for facts, _ in tree.segments[name].values())) for name in tree.inits
    ]
    text = multivariant_playlist(plan, tracks, finished=True)
    streams = re.findall(r'STREAM-INF:.*?CODECS="([^",]+).*VIDEO-RANGE=SDR.*\n(\S+)/index', text)
    assert [name for _, name in streams] == ["small", "small-hevc", "small-av1"]
    assert [codec.split(".")[0] for codec, _ in streams] == ["avc1", "hvc1", "av01"]
    assert re.fullmatch(r"hvc1\.1\.6\.L\d+\.90", streams[1][0])
    assert re.fullmatch(r"av01\.0\.\d\dM\.08", streams[2][0])
    manifest = dash_manifest(plan, tracks)
    assert manifest.count('contentType="video"') == 3  # players do not switch between codecs
    assert len(set(re.findall(r'AdaptationSet id="(\d)"', manifest))) == 4


def test_what_is_too_small_for_a_codec_is_left_out_of_it(tmp_path: Path) -> None:
    info = probe_here(make_clip(tmp_path / "clip.mp4", seconds=1, width=48, height=40, audio=False))
    assert {video.codec for video in make_plan(info, codecs=ALL).video} == {"h264", "hevc"}
    with pytest.raises(MediaUnsupportedError, match="64 pixels"):
        make_plan(info, codecs=["av1"])


@pytest.mark.parametrize("codecs", [[], "h264", ["h265"]])
def test_what_is_no_choice_of_codecs_is_refused(codecs: Any) -> None:
    with pytest.raises(ValueError, match="h264, hevc, av1, not"):
        check_formats(codecs, "fmp4", hdr=False)


def test_a_container_or_an_encoder_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="fmp4, ts, not 'mp4'"):
        check_formats(["h264"], "mp4", hdr=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="auto, cpu or nvenc, not 'gpu'"):
        choose_devices("gpu", [])  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(64, 64), (66, 130)])
def test_the_smallest_pictures_are_taken(size: tuple[int, int], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, width=size[0], height=size[1], audio=False, rate=10)
    plan = make_plan(probe_here(clip), codecs=ALL)
    assert len(encode(clip, plan, plan.parts[:1]).segments) == len(plan.video) == 3


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        (b"hvc1", bytes([1, 0x01]) + (0x60000000).to_bytes(4) + bytes([0xB0, 0, 0, 0, 0, 0, 93]), "hvc1.1.6.L93.B0"),
        (b"hvc1", bytes([1, 0x22]) + (0x20000000).to_bytes(4) + bytes([0x90, 0, 1, 0, 0, 0, 153]),
         "hvc1.2.4.H153.90.0.1"),
        (b"hvc1", bytes([1, 0x41]) + (0x60000000).to_bytes(4) + bytes([0, 0, 0, 0, 0, 0, 60]), "hvc1.A1.6.L60"),
        (b"av01", bytes([0x81, 0x08, 0x0C]), "av01.0.08M.08"),
        (b"av01", bytes([0x81, 0x2D, 0xE0]), "av01.1.13H.12"),
    ],
)  # fmt: skip
def test_codec_names_are_those_of_the_standards(name: bytes, record: bytes, expected: str) -> None:
    """The first is the example of ISO/IEC 14496-15 annex E."""

    def box(name: bytes, body: bytes) -> bytes:
        return (8 + len(body)).to_bytes(4) + name + body

    entry = box(name, bytes(78) + box({b"hvc1": b"hvcC", b"av01": b"av1C"}[name], record))
    stsd = box(b"stsd", bytes(4) + (1).to_bytes(4) + entry)
    init = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", stsd)))))
    assert codecs(init) == expected


def test_a_sample_of_av1_has_no_temporal_delimiter(made: tuple[Plan, Tree]) -> None:
    assert without_temporal_delimiter(b"\x12\0\x0a\x0b") == b"\x0a\x0b"
    _, data = made[1].segments["small-av1"][0]
    assert boxes(data)["mdat"][:1] == b"\x0a"  # a sequence header, type 1, that says its size


@pytest.mark.parametrize("codec", ALL)
def test_every_encoder_of_the_processor_passes_its_trial(codec: Codec) -> None:
    try_here(ENCODERS[codec, "cpu"], codec)


def test_an_encoder_that_makes_something_else_does_not_pass() -> None:
    with pytest.raises(EncodeError, match=r"'libx264'.* decoded"):
        try_here(_Liar(), "h264")


class _Liar:
    """An encoder whose pictures are none."""

    name, sample_entry, delay = "libx264", "avc1", None
    options = staticmethod(ENCODERS["h264", "cpu"].options)

    def stored(self, packet: bytes) -> bytes:
        return (len(packet) - 4).to_bytes(4) + bytes(len(packet) - 4)


def has_card() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


@pytest.mark.skipif(has_card(), reason="there is an NVIDIA card")
def test_without_a_card_its_encoders_are_refused_with_the_reason() -> None:
    with pytest.raises(EncodeError, match="h264_nvenc"):
        try_encoder("h264", "nvenc")
    devices, [note] = choose_devices("nvenc", ["av1"])
    assert devices == {}
    assert note.startswith("av1 is encoded on the processor: the encoder 'av1_nvenc' cannot be opened")
    assert choose_devices("auto", ["h264"]) == ({}, ())
    assert choose_devices("cpu", ["h264"]) == ({}, ())


@pytest.mark.skipif(has_card(), reason="there is an NVIDIA card")
def test_a_card_that_fails_in_the_middle_leaves_the_film_to_the_processor(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the trial had succeeded, and the card had then gone: the part that it is given fails for real."""
    monkeypatch.setattr(local, "choose_devices", lambda *_, **__: ({"h264": "nvenc"}, ()))
    told: list[Fraction] = []
    report = transcode(clip, tmp_path / "out", ladder=SMALL, artwork=False, copy=False, on_progress=told.append)
    assert told == sorted(told)
    assert re.search(r"the card failed: the encoder 'h264_nvenc' cannot be opened", report.notes[-1])
    assert {init.codecs[:4] for init in report.inits} == {"avc1", "mp4a"}
    assert report.playlist.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="this system has other rules of priority")
def test_no_encoder_makes_its_process_a_real_time_one() -> None:
    """SVT-AV1 would, for root; all else on the machine would wait for it."""
    script = """
import os, av
from fractions import Fraction
from mamkit.transcode.containment._ordinary import stay_ordinary
stay_ordinary()
encoder = av.CodecContext.create("libsvtav1", "w")
encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 180, "yuv420p", Fraction(1, 25)
encoder.open()
print({os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str({os.SCHED_OTHER})
