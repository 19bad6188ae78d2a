"""A child process that is kept ready does what one does that is started when it is needed, and is never left over."""

import os
import signal
from pathlib import Path

from mamkit.transcode import Children, encode_part, make_plan, probe
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
