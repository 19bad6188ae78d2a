"""A film that lies elsewhere: the child asks for its bytes, makes the same of it, and is believed no more for it."""

import os
import signal
from fractions import Fraction
from pathlib import Path

import pytest

from mamkit.transcode import (
    ArtFile,
    ChildProtocolError,
    Children,
    EmptyFileError,
    Init,
    NoMediaError,
    Segment,
    contain,
    encode_part,
    make_plan,
    probe,
)
from mamkit.transcode._wire import Message
from tests.media_factory import make_clip
from tests.unit.transcode.liveness import is_alive, wait_until_dead


class Elsewhere:
    """Bytes under a name, which counts what is read of it."""

    def __init__(self, data: bytes, name: str = "film.mp4") -> None:
        self._data = data
        self.name = name
        self.size = len(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, size: int) -> bytes:
        self.reads.append((start, size))
        return self._data[start : start + size]


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def init(self, init: Init, data: bytes) -> None:
        self.made.append(data)

    def segment(self, segment: Segment, data: bytes) -> None:
        self.made.append(data)

    def art(self, file: ArtFile, data: bytes) -> None:
        self.made.append(data)

    def progress(self, done: Fraction) -> None:
        pass


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "film.mp4", seconds=14, b_frames=2)


def test_the_same_comes_of_a_film_elsewhere_as_of_a_file(clip: Path) -> None:
    info = probe(clip)
    with Children() as children:
        assert probe(Elsewhere(clip.read_bytes()), children=children) == info
        plan = make_plan(info)
        for part in plan.parts:
            of_file, of_range = Kept(), Kept()
            result = encode_part(clip, plan, part, of_file)
            assert encode_part(Elsewhere(clip.read_bytes()), plan, part, of_range, children=children) == result
            assert sorted(of_range.made) == sorted(of_file.made)


@pytest.mark.parametrize(("data", "error"), [(b"", EmptyFileError), (b"no film\n" * 100, NoMediaError)])
def test_what_is_no_film_is_refused_elsewhere_too(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        probe(Elsewhere(data))


@pytest.mark.parametrize(
    "body", [None, {}, {"start": -1, "size": 1}, {"start": 0, "size": 0}, {"start": 9, "size": 2},
             {"start": True, "size": 1}, {"start": 0, "size": 1 << 40}],
)  # fmt: skip
def test_a_child_cannot_ask_for_what_there_is_not(body: object) -> None:
    with pytest.raises(ChildProtocolError):
        contain._range(Message("read", body), 10)


def test_an_error_of_the_source_comes_out_as_it_is() -> None:
    class Broken(Elsewhere):
        def read(self, start: int, size: int) -> bytes:
            raise ConnectionError("the store is away")

    with pytest.raises(ConnectionError):
        probe(Broken(bytes(1000)))


def test_a_child_that_died_while_it_waited_is_replaced(clip: Path) -> None:
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
