"""Timestamps that cannot be meant cost nothing but the packets that have them."""

import itertools
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamkit.transcode import MediaTooLargeError, make_plan
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _scan
from mamkit.transcode.reading._input import open_source
from mamkit.transcode.reading._order import LONGEST_STILL, Islands, in_order
from tests.media_factory import make_clip
from tests.unit.transcode.test_encode_video import numbered, numbers, parts_of_one_segment
from tests.unit.transcode.tree import encode

NINE_HOURS = Fraction(1 << 25, 1000)  # seconds: bit 25 of a clock of milliseconds
TIMES = st.integers(-(1 << 63) + 1, (1 << 63) - 1) | st.integers(
    -10_000, 10_000
)  # in ticks; the lowest stands for none
FLV_HEAD = 9 + 4  # header, and the size of the tag before the first: FLV specification 10.1, annexes E.2 and E.3


def clip(path: Path, *, audio: bool = True) -> Path:
    """Three seconds of pictures that tell their number."""
    flv = {"audio_codec": "mp3", "sample_rate": 44_100} if path.suffix == ".flv" else {}
    return make_clip(path, seconds=3, width=160, height=96, picture=numbered, audio=audio, **flv)  # type: ignore[arg-type]


def late(source: Path, path: Path, moved: Callable[[str, int], bool]) -> Path:
    """Copy a film, some packets nine hours later: those of a kind (`audio`, `video`) and number that are moved."""
    with av.open(str(source)) as film, av.open(str(path), "w") as output:
        tracks = {stream.index: output.add_stream_from_template(stream) for stream in film.streams}
        counts = dict.fromkeys(tracks, 0)
        for packet in film.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            index = packet.stream.index
            shift = round(NINE_HOURS / packet.time_base) * moved(packet.stream.type, counts[index])
            counts[index] += 1
            packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
            packet.stream = tracks[index]
            output.mux(packet)
    return path


def tags(data: bytearray) -> Iterator[int]:
    """Yield where the tags of an FLV begin."""
    at = FLV_HEAD
    while at < len(data):
        yield at
        at += 11 + int.from_bytes(data[at + 1 : at + 4]) + 4


def shown(path: Path) -> list[int]:
    """What the whole film shows, made of parts of one segment each."""
    plan = make_plan(probe_here(path), copy=False, artwork=False)
    sound = [part for part in plan.parts if part.kind == "audio"]
    return numbers(encode(path, plan, [*parts_of_one_segment(plan), *sound]), plan.video[0].name)


@pytest.mark.parametrize(("kind", "byte"), [(8, 7), (9, 4)])  # days in the sound, and 20 minutes in the pictures
def test_one_timestamp_that_flips_costs_nothing(tmp_path: Path, kind: int, byte: int) -> None:
    film = clip(tmp_path / "clip.flv")
    data = bytearray(film.read_bytes())
    chosen = [at for at in tags(data) if data[at] == kind][40]
    data[chosen + byte] ^= 0x12
    film.write_bytes(data)
    info = probe_here(film)
    assert float(info.duration) == pytest.approx(3, abs=0.1)
    assert shown(film)[:75] == list(range(75))


@pytest.mark.parametrize("suffix", ["mp4", "wmv", "ts"])
def test_a_last_picture_after_nine_hours_is_left_out(tmp_path: Path, suffix: str) -> None:
    film = late(clip(tmp_path / "clip.mkv"), tmp_path / f"late.{suffix}", lambda kind, n: kind == "video" and n == 74)
    info = probe_here(film)
    assert float(info.duration) == pytest.approx(3, abs=0.1)
    assert shown(film)[:74] == list(range(74))
    if suffix != "ts":  # whose clock FFmpeg winds back
        assert "left out" in make_plan(info).notes[-1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_of_a_film_torn_apart_the_longer_piece_is_shown_and_that_is_said(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / "clip.mkv", audio=False)
    for name, moved, left in (
        ("end", lambda kind, n: n >= 48, list(range(48))),
        ("start", lambda kind, n: n >= 24, list(range(24, 75))),
    ):
        film = late(source, tmp_path / f"{name}.{suffix}", moved)
        info = probe_here(film)
        assert [sentence for sentence in info.unusable if "left out" in sentence]
        assert make_plan(info).notes[-1] == info.unusable[-1]
        assert shown(film) == left


def test_a_cluster_of_which_the_time_flips_is_left_out(tmp_path: Path) -> None:
    """Matroska has one clock for all that is seen and heard within a second or five."""
    film = make_clip(
        tmp_path / "clip.mkv", seconds=3, width=160, height=96, picture=numbered,
        container_options={"cluster_time_limit": "1000"},
    )  # fmt: skip
    data = bytearray(film.read_bytes())
    clusters = [at for at in range(len(data)) if data[at : at + 4] == b"\x1f\x43\xb6\x75"]  # RFC 9559 section 5.1.3
    at = data.index(b"\xe7\x82", clusters[1])  # its timestamp, of two bytes: section 5.1.3.1
    data[at + 2] ^= 0x80  # half a minute
    film.write_bytes(data)
    info = probe_here(film)
    assert float(info.duration) == pytest.approx(3, abs=0.1)
    assert "left out" in info.unusable[0]
    seen = set(shown(film))
    assert {*range(12), *range(60, 75)} <= seen
    assert 40 < len(seen) < 75, sorted(seen)


def edited(data: bytes, edits: list[tuple[int, int]]) -> bytes:
    """Return a film of one track with other edits: milliseconds that each lasts, ticks where it begins.

    ISO/IEC 14496-12 section 8.6.6. The boxes around the list grow, and nothing but them comes behind the pictures.
    """
    at = data.index(b"elst") - 4
    end = at + int.from_bytes(data[at : at + 4])
    entries = b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in edits)
    box = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    out = bytearray(data[:at] + box + data[end:])
    for name in (b"moov", b"trak", b"edts"):
        start = data.index(name) - 4
        size = int.from_bytes(data[start : start + 4]) + len(box) - (end - at)
        out[start : start + 4] = size.to_bytes(4)
    return bytes(out)


def test_an_edit_that_leaves_something_out_does_not_turn_time_back(tmp_path: Path) -> None:
    """To begin between key frames, pictures from the one before are decoded, and not shown: that is no time that is."""
    source = make_clip(tmp_path / "whole.mp4", seconds=8, audio=False, gop=100, picture=numbered, width=160, height=96)
    path = tmp_path / "edited.mp4"
    tick = 12_800  # of FFmpeg's MP4 at 25 pictures a second
    path.write_bytes(edited(source.read_bytes(), [(1000, 0), (3000, 5 * tick)]))
    info = probe_here(path)
    assert not info.unusable
    assert info.duration == 4
    assert numbers(encode(path, make_plan(info, artwork=False)))[::25] == [0, 125, 150, 175]


def test_a_stream_that_is_hours_away_is_left_out_and_named(tmp_path: Path) -> None:
    film = late(clip(tmp_path / "clip.mkv"), tmp_path / "late.mkv", lambda kind, _: kind == "audio")
    info = probe_here(film)
    assert len(info.video) + len(info.audio) == 1
    assert "is hours away from all the rest" in info.unusable[0]
    assert info.duration < 4


def test_a_long_film_of_few_bytes_is_read_through_in_search_of_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scan, "_READ_THROUGH", 0)
    film = late(clip(tmp_path / "clip.mkv"), tmp_path / "late.mkv", lambda kind, n: kind == "video" and n == 74)
    assert float(probe_here(film).duration) == pytest.approx(3, abs=0.1)


def test_a_picture_stands_for_an_hour_at_most(tmp_path: Path) -> None:
    """In MP4 a picture says how long; and a film of a few bytes does not last for a day because a few of them do."""
    film = make_clip(tmp_path / "clip.mp4", times=[Fraction(0), Fraction(1)], audio=False)
    data = bytearray(film.read_bytes())
    at = data.index(b"stts")  # version and flags, and how many runs; of each how many samples, and for how long
    runs = int.from_bytes(data[at + 8 : at + 12])
    data[at + 12 + 8 * runs - 4 : at + 12 + 8 * runs] = b"\x7f\xff\xff\xff"
    film.write_bytes(data)
    assert LONGEST_STILL <= probe_here(film).duration <= LONGEST_STILL + 1
    slides = make_clip(tmp_path / "slides.mkv", times=[Fraction(3500 * n) for n in range(10)], audio=False)
    with pytest.raises(MediaTooLargeError) as caught:
        probe_here(slides)
    assert caught.value.quantity == "seconds"


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 140), TIMES, TIMES), max_size=10))
def test_no_packet_is_lost_and_none_changes_places_with_another_of_its_stream(
    film: Path, flips: list[tuple[int, int, int]]
) -> None:
    with open_source(film) as container:
        packets = list(container.demux())
        for at, decoded, presented in flips:
            packets[at].dts, packets[at].pts = decoded, presented
        out = list(in_order(iter(packets)))
        for stream in container.streams:
            ours, theirs = ([p for p in them if p.stream.index == stream.index] for them in (out, packets))
            assert len(ours) > 50
            assert list(map(id, ours)) == list(map(id, theirs))


def test_no_packet_waits_for_another_unless_it_leaps(tmp_path: Path) -> None:
    """Where sound goes on for long after its one picture, that is handed on at once."""
    film = make_clip(tmp_path / "clip.mkv", times=[Fraction(0), Fraction(9)], seconds=20)
    with open_source(film) as container:
        plain = [(packet.stream.index, packet.dts) for packet in container.demux()]
    with open_source(film) as container:
        assert [(packet.stream.index, packet.dts) for packet in in_order(container.demux())] == plain


def test_what_comes_before_a_broken_place_is_not_lost(film: Path) -> None:
    def broken() -> Iterator[Any]:
        yield from packets
        raise av.InvalidDataError(1, "broken")

    with open_source(film) as container:
        packets = list(itertools.islice(container.demux(), 50))
        packets[-1].dts = packets[-1].pts = 1 << 40  # and the next one would tell what to think of that
        out: list[Any] = []
        with pytest.raises(av.InvalidDataError):
            out.extend(in_order(broken()))
        assert {id(packet) for packet in out} == {id(packet) for packet in packets}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("order") / "clip.mkv")


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=60))
def test_islands_are_the_same_in_whatever_order_they_come_up(times: list[int]) -> None:
    def found(order: list[int]) -> tuple[int, float, float]:
        islands = Islands()
        for time in order:
            islands.add(time)
        return len(islands), *islands.main()

    groups: list[list[int]] = []
    for time in sorted(times):
        if groups and time - groups[-1][-1] <= LONGEST_STILL:
            groups[-1].append(time)
        else:
            groups.append([time])
    count, start, stop = found(times)
    assert count == len(groups)
    largest = max(map(len, groups))
    assert (start, stop) in [(group[0], group[-1]) for group in groups if len(group) == largest]
