"""How much of a machine there is for encoding: its processors and its memory, as a container lets them be had."""

import os
from fractions import Fraction
from pathlib import Path

import pytest

from mamkit.transcode import MediaInfo, VideoStream, local, make_plan
from mamkit.transcode.machine import at_once, memory, processors


def test_a_container_has_the_processors_of_its_quota(tmp_path: Path) -> None:
    alone = processors(tmp_path)
    assert alone >= 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert processors(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path) == alone
    (tmp_path / "cpu.max").write_text("nonsense")
    assert processors(tmp_path) == alone


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a processor")
def test_a_process_that_was_pinned_has_one_processor(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert processors(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_container_has_three_quarters_of_its_memory(tmp_path: Path) -> None:
    whole = memory(tmp_path)
    assert whole is not None
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory(tmp_path) == 750_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path) == whole


def test_a_part_for_every_two_processors() -> None:
    assert [at_once(count) for count in (1, 2, 3, 4, 8, 16)] == [0, 1, 1, 2, 4, 8]


@pytest.mark.parametrize(("count", "mebibytes", "expected"), [(1, None, 1), (16, None, 8), (16, 700, 1), (4, 1, 1)])
def test_a_film_has_as_many_workers_as_keep_busy_and_fit(
    monkeypatch: pytest.MonkeyPatch, count: int, mebibytes: int | None, expected: int
) -> None:
    seconds = Fraction(60)
    picture = VideoStream(
        index=0, codec="h264", width=1920, height=1080, frame_rate=Fraction(25), pixel_format="yuv420p",
        duration=seconds,
    )  # fmt: skip
    plan = make_plan(MediaInfo(container="mp4", size=1, duration=seconds, video=(picture,), audio=()))
    monkeypatch.setattr(local, "processors", lambda: count)
    monkeypatch.setattr(local, "memory", lambda: mebibytes and mebibytes << 20)
    assert local._workers(plan) == expected
