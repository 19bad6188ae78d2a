"""Video parts: encoded apart, read back in one piece."""

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import pytest

from mamkit.transcode import (
    EncodeError,
    Init,
    MediaUnreadableError,
    Part,
    Plan,
    Segment,
    SourceUnavailableError,
    VideoRendition,
)
from mamkit.transcode._events import EncodedSegment
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.encoding import _video as video
from mamkit.transcode.encoding._pictures import PictureSegments
from mamkit.transcode.planning.plan import frame_range, make_plan
from mamkit.transcode.probing import probe_here
from tests.media_factory import CORNERS, make_clip
from tests.unit.transcode.tree import Tree, encode, plan_for, rgb

BITS = 10


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def numbered(n: int, width: int, height: int) -> bytes:
    """Stripes that spell the number of the frame, the lowest bit on the left."""
    row = b"".join((b"\xe0" if n >> (x * BITS // width) & 1 else b"\x20") * 3 for x in range(width))
    return row * height


def number(picture: av.VideoFrame) -> int:
    bits = [rgb(picture, (bit + 0.5) / BITS, 0.5)[1] > 128 for bit in range(BITS)]
    return sum(set_ << bit for bit, set_ in enumerate(bits))


def numbers(tree: Tree, rendition: str = "360p") -> list[int]:
    return [number(picture) for picture in tree.pictures(rendition)]


def parts_of_one_segment(plan: Plan) -> list[Part]:
    """Parts in an order in which nobody would want them."""
    parts = [Part(index=n, kind="video", start=n, stop=n + 1) for n in range(plan.segment_count)]
    return parts[1::2] + parts[::2][::-1]


def video_parts(plan: Plan) -> list[Part]:
    return [part for part in plan.parts if part.kind == "video"]


@pytest.mark.parametrize(
    ("rate", "suffix"),
    [
        (Fraction(24_000, 1001), "mp4"),
        (Fraction(25), "mkv"),
        (Fraction(30_000, 1001), "ts"),
        (Fraction(60_000, 1001), "mov"),
    ],
)
def test_parts_encoded_apart_in_any_order_join_to_the_frame(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=13, rate=rate, width=144, height=64, audio=False, picture=numbered,
        b_frames=2, gop=40,
    )  # fmt: skip
    plan = plan_for(clip)
    assert plan.frame_rate == rate
    assert plan.segment_count == 3
    tree = encode(clip, plan, parts_of_one_segment(plan))
    [first, *others] = tree.inits["360p"]
    assert others == [first] * 2
    packets = tree.packets("360p")
    assert sorted(time for time, _, _ in packets) == [n / rate for n in range(plan.frame_count)]
    assert {duration for _, duration, _ in packets} == {1 / rate}
    assert [time * rate for time, _, key in packets if key] == list(range(0, plan.frame_count, plan.gop_frames))
    shown = numbers(tree)
    assert shown == list(range(plan.frame_count))


def test_the_facts_of_segments_say_what_their_bytes_are(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=8, width=64, height=48, audio=False)
    plan = plan_for(clip)
    tree = encode(clip, plan, video_parts(plan))
    [(init, header), *_] = tree.inits["360p"]
    assert init.size == len(header)
    assert init.codecs.startswith("avc1.6400")
    for index, (segment, data) in tree.segments["360p"].items():
        frames = frame_range(plan, index)
        assert (segment.index, segment.size) == (index, len(data))
        assert segment.duration == len(frames) / Fraction(25)
        assert [key.time * 25 for key in segment.key_frames] == list(frames[:: plan.gop_frames])
        for key in segment.key_frames:
            piece = header + data[key.offset : key.offset + key.size]
            (tmp_path / "piece.mp4").write_bytes(piece)
            with av.open(tmp_path / "piece.mp4") as container:
                [packet, *_] = [p for p in container.demux() if p.size]
                assert packet.is_keyframe
                assert (packet.pts or 0) * (packet.time_base or 0) == key.time


def test_the_same_part_gives_the_same_bytes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=4, width=320, height=176, audio=False, b_frames=2)
    plan = plan_for(clip)
    first, *others = (encode(clip, plan) for _ in range(3))
    for other in others:
        assert other.inits == first.inits
        assert other.segments == first.segments


def test_all_renditions_come_of_one_pass_with_their_sizes_and_the_same_grid(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=3, width=854, height=480, rate=10, audio=False, picture=numbered)
    plan = plan_for(clip)
    tree = encode(clip, plan)
    assert [rendition.name for rendition in plan.video] == ["480p", "360p"]
    for rendition in plan.video:
        assert numbers(tree, rendition.name) == list(range(30))
        assert {(picture.width, picture.height) for picture in tree.pictures(rendition.name)} == {
            (rendition.width, rendition.height)
        }


def test_segments_come_in_order_progress_never_falls_and_all_calls_come_from_this_thread(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=13, width=854, height=480, rate=5, audio=False)
    plan = plan_for(clip)
    calls: list[tuple[str, int]] = []

    class Sink(Tree):
        def init(self, init: Init, data: bytes) -> None:
            assert threading.current_thread() is threading.main_thread()
            super().init(init, data)

        def segment(self, segment: Segment, data: bytes) -> None:
            assert threading.current_thread() is threading.main_thread()
            assert segment.rendition in self.inits
            calls.append((segment.rendition, segment.index))
            super().segment(segment, data)

        def progress(self, done: Fraction) -> None:
            assert threading.current_thread() is threading.main_thread()
            super().progress(done)

    sink = Sink()
    part = Part(index=0, kind="video", start=0, stop=3)
    result = encode_part_here(clip, plan, part, sink)
    for rendition in ("480p", "360p"):
        assert [index for name, index in calls if name == rendition] == [0, 1, 2]
    assert sink.progressed == sorted(sink.progressed)
    assert sink.progressed[-1] == 1
    assert [(s.rendition, s.index) for s in result.segments] == [(n, i) for n in ("480p", "360p") for i in range(3)]
    assert [init.rendition for init in result.inits] == ["480p", "360p"]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_are_upright(tmp_path: Path, rotation: Literal[0, 90, 180, 270], mirrored: bool) -> None:
    """The display matrix of the clip says how to turn it; the film needs no turning."""
    clip = make_clip(
        tmp_path / "clip.mov", seconds=0.4, width=160, height=96, rate=10, audio=False, rotation=rotation,
        mirrored=mirrored,
    )  # fmt: skip
    turned = {
        0: ("top_left", "top_right", "bottom_left", "bottom_right"),
        90: ("bottom_left", "top_left", "bottom_right", "top_right"),
        180: ("bottom_right", "bottom_left", "top_right", "top_left"),
        270: ("top_right", "bottom_right", "top_left", "bottom_left"),
    }[rotation]
    if mirrored:
        turned = (turned[1], turned[0], turned[3], turned[2])
    picture = encode(clip, plan_for(clip)).pictures("360p")[0]
    assert (picture.width, picture.height) == ((96, 160) if rotation in (90, 270) else (160, 96))
    places = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
    for corner, place in zip(turned, places, strict=True):
        assert rgb(picture, *place) == pytest.approx(CORNERS[corner], abs=40)


def test_a_rate_that_varies_becomes_constant_and_keeps_time(tmp_path: Path) -> None:
    steps = [Fraction(n % 3 + 1, 40) for n in range(80)]
    times = [Fraction(0), *itertools.accumulate(steps)]
    clip = make_clip(tmp_path / "clip.mp4", times=times, width=144, height=64, audio=False, picture=numbered)
    plan = plan_for(clip)
    assert plan.frame_rate is not None
    shown = numbers(encode(clip, plan))
    assert len(shown) == plan.frame_count
    for n, index in enumerate(shown):
        assert abs(n / plan.frame_rate - times[index]) <= Fraction(3, 40)
    assert shown == sorted(shown)


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
def test_a_film_that_starts_late_on_its_clock_starts_at_zero(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=7, start=Fraction(4000), rate=25, width=144, height=64, audio=False,
        picture=numbered, gop=25,
    )  # fmt: skip
    plan = plan_for(clip)
    assert numbers(encode(clip, plan, parts_of_one_segment(plan))) == list(range(175))


def test_interlaced_pictures_become_whole_ones(tmp_path: Path) -> None:
    """A bar that moves between the two fields of a picture leaves a comb, unless the fields are taken apart."""

    def combed(n: int, width: int, height: int) -> bytes:
        def row(x: int) -> bytes:
            return b"\x20\x20\x20" * x + b"\xe0\xe0\xe0" * 16 + b"\x20\x20\x20" * (width - 16 - x)

        return b"".join(row(8 * (2 * n + y % 2) % (width - 16)) for y in range(height))

    def comb(picture: av.VideoFrame) -> int:
        luma, line = bytes(picture.planes[0]), picture.planes[0].line_size
        return sum(
            abs(2 * luma[y * line + x] - luma[(y - 1) * line + x] - luma[(y + 1) * line + x]) > 200
            for y in range(9, picture.height - 8)
            for x in range(picture.width)
        )

    interlaced = {"x264-params": "interlaced=1:tff=1", "crf": "10"}
    clip = make_clip(
        tmp_path / "clip.mp4", seconds=1, width=160, height=96, audio=False, picture=combed, options=interlaced
    )
    with av.open(str(clip)) as source:
        before = [comb(picture) for picture in source.decode(video=0)]
    pictures = encode(clip, plan_for(clip)).pictures("360p")
    assert len(pictures) == len(before) == 25
    assert min(before[5:20]) > 500
    assert max(comb(picture) for picture in pictures[5:20]) < 100


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libx264", "yuv422p10le", "mkv"),
        ("libx265", "yuv420p10le", "mp4"),
        ("mpeg4", "yuv420p", "avi"),
        ("mjpeg", "yuvj420p", "avi"),
    ],
)
def test_other_codecs_and_depths_are_read(tmp_path: Path, codec: str, pixel_format: str, suffix: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=7, rate=10, width=144, height=64, audio=False, picture=numbered,
        codec=codec, pixel_format=pixel_format, options=options, gop=15,
    )  # fmt: skip
    plan = plan_for(clip)
    assert numbers(encode(clip, plan, parts_of_one_segment(plan))) == list(range(70))


def test_a_film_cut_short_stands_still_to_the_planned_end(tmp_path: Path) -> None:
    whole = make_clip(
        tmp_path / "whole.mp4", seconds=14, rate=10, width=144, height=64, audio=False, picture=numbered, gop=10,
        container_options={"movflags": "faststart"},
    )  # fmt: skip
    plan = plan_for(whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    shown = numbers(encode(cut, plan, parts_of_one_segment(plan)))
    assert len(shown) == 140
    last = shown[-1]
    assert 40 < last < 110
    assert shown == [*range(last), *[last] * (140 - last)]


def test_a_hole_in_the_data_is_bridged(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.ts", seconds=14, rate=10, width=144, height=64, audio=False, picture=numbered, gop=10
    )
    data = bytearray(clip.read_bytes())
    start, stop = len(data) * 4 // 10, len(data) * 5 // 10
    data[start:stop] = bytes(stop - start)
    plan = plan_for(clip)
    clip.write_bytes(data)
    shown = numbers(encode(clip, plan, parts_of_one_segment(plan)))
    assert len(shown) == 140
    assert shown[:40] == list(range(40))
    assert shown[90:] == list(range(90, 140))


def test_a_film_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, audio=False, container_options={"movflags": "faststart"})
    plan = plan_for(clip)
    data = clip.read_bytes()
    media = data.index(b"mdat")
    clip.write_bytes(data[:media] + b"mdat" + bytes(len(data) - media - 4))
    with pytest.raises(MediaUnreadableError, match=r"clip\.mp4"):
        encode(clip, plan)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, audio=False)
    plan = plan_for(clip)
    clip.unlink()
    with pytest.raises(SourceUnavailableError, match=r"clip\.mp4"):
        encode(clip, plan)


def test_a_size_that_the_encoder_refuses_is_an_error_of_the_encoder(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, audio=False)
    odd = VideoRendition(name="odd", width=33, height=17, bit_rate=100_000, max_bit_rate=200_000)
    plan = plan_for(clip)
    with pytest.raises(EncodeError, match="libx264") as caught:
        encode(clip, plan.model_copy(update={"video": (*plan.video, odd)}))
    assert caught.value.encoder == "libx264"


@pytest.mark.parametrize("method", ["init", "segment", "progress"])
def test_what_the_sink_raises_ends_the_encoding_as_it_is(tmp_path: Path, method: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=14, width=320, height=180, rate=10, audio=False)
    plan = plan_for(clip)
    full = OSError("no room")

    class Sink(Tree):
        pass

    def refuse(*_: object) -> None:
        raise full

    setattr(Sink, method, refuse)
    with pytest.raises(OSError, match="no room") as caught:
        encode_part_here(clip, plan, Part(index=0, kind="video", start=0, stop=3), Sink())
    assert caught.value is full


def test_an_encoder_that_fails_in_its_thread_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=14, width=854, height=480, rate=10, audio=False)
    plan = plan_for(clip)

    class Failing(PictureSegments):
        def push(self, n: int, picture: av.VideoFrame) -> Iterator[EncodedSegment]:
            if n == 30:
                raise EncodeError("it broke", encoder="libx264")
            return super().push(n, picture)

    monkeypatch.setattr(video, "PictureSegments", Failing)
    with pytest.raises(EncodeError, match="it broke"):
        encode(clip, plan)


def test_a_part_of_pictures_needs_a_plan_with_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.m4a", seconds=1, video=False)
    with pytest.raises(ValueError, match="no video"):
        encode(clip, plan_for(clip), [Part(index=0, kind="video", start=0, stop=1)])


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_sizes_that_stand_behind_the_largest_do_so_from_the_priority_that_was_given() -> None:
    found: list[int] = []

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), priority() + 3)
        found.append(priority())
        video._behind_others(lambda: found.append(priority()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    given, behind = found
    assert behind == min(given + 5, 19)


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_a_recording_cut_between_key_frames_holds_its_first_picture_under_all_of_its_sound(
    tmp_path: Path, suffix: str
) -> None:
    """Parts encoded apart agree on that."""
    whole = make_clip(
        tmp_path / f"whole.{suffix}", seconds=8, width=160, height=96, picture=numbered, codec="mpeg2video", gop=100,
        audio_codec="mp2", options={"b": "150k"},
    )  # fmt: skip
    data = whole.read_bytes()
    unit = {"ts": 188, "mpg": 2048}[suffix]
    head = data[: 3 * 188] if suffix == "ts" else b""  # the tables, which a broadcast repeats
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(head + data[len(data) // unit // 32 * unit :])
    info = probe_here(cut)
    missed = info.video[0].start - info.audio[0].start
    assert missed > 1
    plan = make_plan(info)
    assert info.duration <= plan.duration < info.duration + Fraction(1, 10)
    tree = encode(cut, plan, [*parts_of_one_segment(plan), *(part for part in plan.parts if part.kind == "audio")])
    shown = numbers(tree, plan.video[0].name)
    first = shown[0]
    expected = [first] * (len(shown) - (199 - first)) + list(range(first + 1, 200))
    assert shown == pytest.approx(expected, abs=1)  # in a program stream few pictures say when they are shown
    assert shown.count(first) == pytest.approx(missed * 25, abs=2)
    assert max(map(abs, tree.sound()[: int(missed * 48_000)])) > 0.1


def test_pictures_of_which_few_say_when_they_are_shown_are_all_shown(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mpg", seconds=3, width=160, height=96, picture=numbered, codec="mpeg2video", gop=100,
        audio=False,
    )  # fmt: skip
    with av.open(str(clip)) as film:
        film.flags &= ~1  # FFmpeg's guesses
        assert sum(packet.pts is None for packet in film.demux(video=0) if packet.size) > 50
    plan = plan_for(clip)
    assert not probe_here(clip).video[0].variable_frame_rate
    assert numbers(encode(clip, plan, video_parts(plan))) == list(range(75))
