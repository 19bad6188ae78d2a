"""A child process that is kept ready does what one does that is started when it is needed, and is never left over."""

import os
import signal
from pathlib import Path

import pytest

from mamkit.transcode import Children, Limits, MediaError, SourceUnavailableError, encode_part, make_plan, probe
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
    with Children(ahead=False, keep=True) as children:
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
    with Children(ahead=False, keep=True) as children:
        pids = []
        for film, limits in ((films[0], Limits()), (films[1], Limits()), (films[1], Limits(memory=1 << 30))):
            probe(film, limits=limits, children=children)
            pids.append(kept(children))
            assert [is_alive(pid) for pid in pids] == [*[False] * (len(pids) - 1), True]
    assert not any(map(is_alive, pids))


def test_no_child_goes_on_after_a_fault(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    clip.write_bytes(clip.read_bytes()[:2_000])
    with Children(ahead=False, keep=True) as children:
        with pytest.raises(MediaError):
            probe(clip, children=children)
        assert children._used is None


def test_a_child_that_goes_on_may_read_no_other_file(tmp_path: Path) -> None:
    """What took it over is handed a second film: the kernel still shows it the first one only."""
    if confinement() == "limits":
        pytest.skip("this kernel has no Landlock")
    films = [make_clip(tmp_path / name, seconds=1) for name in ("one.mp4", "two.mp4")]
    with Children(ahead=False, keep=True) as children:
        probe(films[0], children=children)
        assert children._used is not None
        process, _ = children._used
        children._used = process, (films[1], Limits().memory, False)  # a parent that mistakes one for the other
        with pytest.raises(SourceUnavailableError):
            probe(films[1], children=children)


def kept(children: Children) -> int:
    assert children._used is not None
    return children._used[0].pid


def test_a_child_that_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=1)
    with Children() as children:
        waiting = children.take()
        assert is_alive(waiting.pid)
        ready = children._ready
        assert ready is not None
        os.kill(ready.pid, signal.SIGKILL)
        wait_until_dead(ready.pid)
        assert probe(clip, children=children).video
        last = children._ready
    assert last is not None
    assert not is_alive(last.pid)
    assert waiting.stdin is not None
    waiting.stdin.close()  # as when its parent dies
    assert waiting.wait(20) == 0
    for stream in (waiting.stdout, waiting.stderr):
        assert stream is not None
        stream.close()
