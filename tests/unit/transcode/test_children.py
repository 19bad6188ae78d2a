"""A child process that is kept ready does what one does that is started when it is needed, and is never left over."""

import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.transcode import Children, Limits, MediaError, SourceUnavailableError, encode_part, make_plan, probe
from mamkit.transcode.containment._process import end_process
from mamkit.transcode.containment.confinement import confinement
from tests.media_factory import make_clip
from tests.unit.transcode.liveness import is_alive, wait_until_dead
from tests.unit.transcode.tree import Tree


def test_the_same_comes_of_a_child_that_was_ready(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=2)
    info = probe(clip)
    plan = make_plan(info, artwork=False)
    with Children() as children:
        assert probe(clip, children=children) == info
        for part in plan.parts:
            ready, started = Tree(), Tree()
            result = encode_part(clip, plan, part, ready, children=children)
            assert encode_part(clip, plan, part, started) == result
            assert ready.segments == started.segments


def test_one_child_goes_on_with_the_same_film(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=2)
    info = probe(clip)
    plan = make_plan(info, artwork=False)
    with Children(ahead=False, keep=1) as children:
        assert probe(clip, children=children) == info
        pid = kept(children)
        for part in plan.parts:
            tree, alone = Tree(), Tree()
            assert encode_part(clip, plan, part, tree, children=children) == encode_part(clip, plan, part, alone)
            assert tree.segments == alone.segments
            assert kept(children) == pid
    assert not is_alive(pid)


def test_no_child_goes_on_with_another_film_or_under_other_limits(tmp_path: Path) -> None:
    films = [make_clip(tmp_path / name, seconds=1) for name in ("one.mp4", "two.mp4")]
    with Children(ahead=False, keep=1) as children:
        pids = []
        for film, limits in ((films[0], Limits()), (films[1], Limits()), (films[1], Limits(memory=1 << 30))):
            probe(film, limits=limits, children=children)
            pids.append(kept(children))
            assert [is_alive(pid) for pid in pids] == [*[False] * (len(pids) - 1), True]
    assert not any(map(is_alive, pids))


def test_no_child_goes_on_after_a_fault(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    clip.write_bytes(clip.read_bytes()[:2_000])
    with Children(ahead=False, keep=1) as children:
        with pytest.raises(MediaError):
            probe(clip, children=children)
        assert not children._kept


def test_a_child_that_goes_on_may_read_no_other_file(tmp_path: Path) -> None:
    """What took it over is handed a second film: the kernel still shows it the first one only."""
    if confinement() in {"limits", "processes"}:
        pytest.skip("this kernel has no Landlock")
    films = [make_clip(tmp_path / name, seconds=1) for name in ("one.mp4", "two.mp4")]
    with Children(ahead=False, keep=1) as children:
        probe(films[0], children=children)
        process = children.take((films[0], Limits().memory, False))
        children.give_back(process, (films[1], Limits().memory, False))  # a parent that mistakes one for the other
        with pytest.raises(SourceUnavailableError):
            probe(films[1], children=children)


def test_every_thread_of_a_child_that_has_opened_a_file_is_under_the_filter(tmp_path: Path) -> None:
    if confinement() not in {"network", "processes"}:
        pytest.skip("this kernel filters no system calls")
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children(ahead=False, keep=1) as children:
        probe(clip, children=children)
        for thread in Path(f"/proc/{kept(children)}/task").iterdir():
            assert "\nSeccomp:\t2\n" in (thread / "status").read_text()


def kept(children: Children) -> int:
    [kept] = children._kept
    return kept.process.pid


def test_several_films_take_turns_without_starting_any_and_never_in_one_child(tmp_path: Path) -> None:
    films = [make_clip(tmp_path / name, seconds=1) for name in ("one.mp4", "two.mp4")]
    with Children(ahead=False, keep=2) as children:
        taken = []
        for film in films * 2:
            probe(film, children=children)
            taken.append(children._kept[-1].process.pid)
        assert taken == taken[:2] * 2
        assert taken[0] != taken[1]


def test_a_child_that_is_not_wanted_ends_after_a_while(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children(ahead=False, keep=1, idle=timedelta(milliseconds=50)) as children:
        probe(clip, children=children)
        deadline = time.monotonic() + 30
        while children._kept:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with Children(ahead=False, keep=1, idle=timedelta(minutes=1)) as children:
        probe(clip, children=children)
        [first] = children._kept
        probe(clip, children=children)
        [second] = children._kept
    assert first.process is second.process
    assert first.ends is not None
    assert first.ends.finished.is_set(), "the clock stops while it works"
    assert not is_alive(first.process.pid)


def test_a_child_outlives_the_thread_that_asked_for_it_first(tmp_path: Path) -> None:
    """On Linux it ends with the thread that started it, and another thread may have its next piece of work."""
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children(ahead=False, keep=1) as children:
        asking = threading.Thread(target=probe, args=(clip,), kwargs={"children": children})
        asking.start()
        asking.join()
        pid = kept(children)
        assert probe(clip, children=children).video
        assert kept(children) == pid


def test_children_at_work_count_among_those_that_are_to_be_there(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children(ahead=False, keep=2) as children:
        children.prepare(2)
        assert len(children._ready) == 2
        probe(clip, children=children)
        children.prepare(2)
        assert (len(children._ready), len(children._kept)) == (1, 1)
        working = children.take()
        children.prepare(2)
        assert (len(children._ready), len(children._kept)) == (0, 1)
        end_process(working)
        children.prepare(2)
        assert (len(children._ready), len(children._kept)) == (1, 1)
        children.keep_at_most(0)
        assert not children._kept


def test_a_child_that_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children() as children:
        waiting = children.take()
        assert is_alive(waiting.pid)
        [ready] = children._ready
        os.kill(ready.pid, signal.SIGKILL)
        wait_until_dead(ready.pid)
        assert probe(clip, children=children).video
        [last] = children._ready
    assert not is_alive(last.pid)
    assert waiting.stdin is not None
    waiting.stdin.close()  # as when its parent dies
    assert waiting.wait(20) == 0
    for stream in (waiting.stdout, waiting.stderr):
        assert stream is not None
        stream.close()
