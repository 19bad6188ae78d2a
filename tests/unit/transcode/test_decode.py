"""Decoding from a time on, in containers that seek well, badly and not at all."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import NoMediaError
from mamkit.transcode.reading._decode import Decoded, decode_from
from tests.media_factory import make_clip


def first_and_rest(path: Path, time: Fraction | None, streams: tuple[int, ...] = (0,)) -> tuple[Decoded, list[Decoded]]:
    first, *rest = decode_from(path, streams, time)
    return first, rest


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "avi", "flv"])
@pytest.mark.parametrize("gop", [1, 10, 250])
def test_decoding_begins_before_the_time_and_leaves_nothing_out(tmp_path: Path, suffix: str, gop: int) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", seconds=8, rate=10, width=64, height=48, audio=False, gop=gop)
    start = next(decode_from(clip, [0], None)).time
    time = start + 6
    first, rest = first_and_rest(clip, time)
    assert first.time <= time
    shown = [first.time, *(decoded.time for decoded in rest)]
    assert len(shown) == round((start + 8 - first.time) * 10)
    assert shown == pytest.approx([first.time + Fraction(n, 10) for n in range(len(shown))], abs=0.0011)


def test_a_seek_spares_most_of_the_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=20, rate=10, width=64, height=48, audio=False, gop=10)
    first, _ = first_and_rest(clip, Fraction(15))
    assert first.time >= 14


def test_a_file_that_cannot_be_searched_is_read_from_its_start(tmp_path: Path) -> None:
    """An elementary stream has neither an index nor times: its pictures are counted."""
    clip = make_clip(tmp_path / "clip.h264", seconds=4, rate=25, width=64, height=48, audio=False, container="h264")
    first, rest = first_and_rest(clip, Fraction(3))
    assert len([first, *rest]) == 100
    steps = {after.time - before.time for before, after in zip([first, *rest], rest, strict=False)}
    assert steps == {Fraction(1, 25)}


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
def test_past_the_end_there_is_at_least_the_last_picture(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", seconds=3, rate=10, width=64, height=48, audio=False)
    last = [decoded.time for decoded in decode_from(clip, [0], None)][-1]
    assert [decoded.time for decoded in decode_from(clip, [0], last + 1000)][-1] == last


def test_before_the_start_there_is_everything(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", seconds=2, rate=10, start=100, width=64, height=48, audio=False)
    assert len(list(decode_from(clip, [0], Fraction(3)))) == 20


def test_only_the_named_streams_are_decoded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", seconds=2, rate=10, width=64, height=48, languages=("fra", "deu"))
    decoded = list(decode_from(clip, [0, 2], None))
    assert {one.stream for one in decoded} == {0, 2}
    assert all(isinstance(one.frame, av.VideoFrame if one.stream == 0 else av.AudioFrame) for one in decoded)
    assert sum(one.stream == 0 for one in decoded) == 20
    assert list(decode_from(clip, [9], None)) == []
    assert list(decode_from(clip, [9], Fraction(1))) == []


@pytest.mark.parametrize("time", [None, Fraction(1)])
def test_what_is_no_media_is_refused(tmp_path: Path, time: Fraction | None) -> None:
    (tmp_path / "notes.mp4").write_text("no film at all, but a text of some length\n" * 100)
    with pytest.raises(NoMediaError, match=r"notes\.mp4"):
        list(decode_from(tmp_path / "notes.mp4", [0], time))
