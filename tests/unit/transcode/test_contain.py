"""Strangers' files end to end: what the child makes, what it refuses, and what the parent refuses of the child."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import pytest

from mamkit.transcode import (
    ArtFile,
    ChildCrashedError,
    ChildMemoryError,
    ChildProtocolError,
    ChildTimedOutError,
    Init,
    Ladder,
    Limits,
    MediaEncryptedError,
    MediaTooLargeError,
    MediaUnreadableError,
    Part,
    Plan,
    Rung,
    Segment,
    SourceUnavailableError,
    TranscodeInterruptedError,
    encode_part,
    make_plan,
    probe,
)
from mamkit.transcode.containment import _conversation
from mamkit.transcode.containment._wire import Message
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.probing import probe_here
from tests.media_factory import make_clip

LADDER = Ladder(rungs=(Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),))


class Memory:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.inits: dict[str, bytes] = {}
        self.segments: dict[tuple[str, int], bytes] = {}
        self.art_files: dict[str, bytes] = {}
        self.done: list[Fraction] = []

    def init(self, init: Init, data: bytes) -> None:
        self.inits[init.rendition] = data

    def segment(self, segment: Segment, data: bytes) -> None:
        self.segments[segment.rendition, segment.index] = data

    def art(self, file: ArtFile, data: bytes) -> None:
        self.art_files[file.name] = data

    def progress(self, done: Fraction) -> None:
        self.done.append(done)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=7, width=64, height=36)


@pytest.fixture(scope="module")
def plan(clip: Path) -> Plan:
    return make_plan(probe_here(clip), ladder=LADDER)


def test_the_child_finds_the_facts_that_this_process_finds(clip: Path) -> None:
    assert probe(clip) == probe_here(clip)


def test_the_child_makes_the_bytes_that_this_process_makes(clip: Path, plan: Plan) -> None:
    for part in plan.parts:
        here, there = Memory(), Memory()
        assert encode_part(clip, plan, part, there) == encode_part_here(clip, plan, part, here)
        assert there.inits == here.inits
        assert there.segments == here.segments
        assert there.done == sorted(there.done)
        assert there.done[-1] == 1


def test_a_path_may_be_relative_and_of_any_characters(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a $(b) `c`; d\n\udcff é 早.mp4"
    (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(name).duration == probe_here(clip).duration


def test_an_error_of_the_child_is_raised_here_with_what_ffmpeg_said(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=0.5, audio=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaUnreadableError, match=r"clip\.mp4") as caught:
        probe(path)
    assert caught.value.detail.endswith("moov atom not found")


def test_errors_keep_their_kind_and_evidence(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError):
        probe(tmp_path / "missing.mp4")
    with pytest.raises(MediaTooLargeError) as caught:
        probe(clip, limits=Limits(duration=timedelta(seconds=1)))
    assert (caught.value.quantity, caught.value.value, caught.value.limit) == ("seconds", 7, 1)
    with pytest.raises(MediaTooLargeError):
        probe(clip, limits=Limits(pixels=64 * 36 - 1))
    encryption = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    locked = make_clip(tmp_path / "locked.mp4", seconds=0.5, audio=False, container_options=encryption)
    with pytest.raises(MediaEncryptedError):
        probe(locked)


def test_pictures_too_large_for_a_decoder_are_not_called_broken(tmp_path: Path) -> None:
    """Also where only the pictures say how large they are, and not the headers of the file."""
    film = make_clip(tmp_path / "film.avi", seconds=1, audio=False, codec="mjpeg", pixel_format="yuvj420p")
    data = film.read_bytes()
    width, height = (128).to_bytes(2), (72).to_bytes(2)
    for size in (height + width, (128).to_bytes(4, "little") + (72).to_bytes(4, "little")):  # of JPEG, of AVI
        assert size in data
    data = data.replace(b"\x08" + height + width, b"\x08" + (20_000).to_bytes(2) * 2)  # behind the depth: T.81 B.2.2
    film.write_bytes(data)
    with pytest.raises(MediaTooLargeError) as caught:
        probe(film)
    assert (caught.value.quantity, caught.value.value) == ("pixels", 400_000_000)


def test_a_film_that_takes_too_much_memory_is_not_called_broken(tmp_path: Path) -> None:
    """FFmpeg says of such a film that it is invalid, or leaves its pictures out."""
    black = lambda _, width, height: bytes(3 * width * height)  # noqa: E731
    path = make_clip(tmp_path / "large.mkv", seconds=0.04, width=8192, height=4320, audio=False, picture=black)
    assert probe(path).video[0].width == 8192
    with pytest.raises(ChildMemoryError) as caught:
        probe(path, limits=Limits(memory=72 << 20))
    assert caught.value.limit == 72 << 20


def test_a_child_without_memory_to_start_in_is_an_error(clip: Path) -> None:
    with pytest.raises((ChildMemoryError, ChildCrashedError)):
        probe(clip, limits=Limits(memory=8 << 20))


def test_a_source_that_is_gone_ends_the_part(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError):
        encode_part(tmp_path / "gone.mp4", plan, plan.parts[0], Memory())


def test_an_exception_of_the_sink_ends_the_part_and_is_raised_as_it_is(clip: Path, plan: Plan) -> None:
    class FullError(Exception):
        pass

    class Full(Memory):
        def segment(self, segment: Segment, data: bytes) -> None:
            raise FullError

    with pytest.raises(FullError):
        encode_part(clip, plan, plan.parts[0], Full())


def test_a_part_that_is_no_longer_wanted_stops(clip: Path, plan: Plan) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(TranscodeInterruptedError):
        encode_part(clip, plan, plan.parts[0], Memory(), cancelled=event)
    with pytest.raises(TranscodeInterruptedError):
        probe(clip, cancelled=event)


def test_a_part_that_takes_too_long_is_ended(clip: Path, plan: Plan) -> None:
    with pytest.raises(ChildTimedOutError):
        encode_part(clip, plan, plan.parts[0], Memory(), limits=Limits(time=timedelta(milliseconds=50)))


def test_parts_may_be_encoded_side_by_side(clip: Path, plan: Plan) -> None:
    """Several children at once do not hold each other's pipes open."""
    sinks = [Memory() for _ in range(4)]
    threads = [threading.Thread(target=encode_part, args=(clip, plan, plan.parts[1], sink)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(sink.segments == sinks[0].segments for sink in sinks)
    assert sinks[0].segments


class Puppet:
    """Stands where the child is, and says what a test wants."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages

    def __call__(self, *_: Any, **__: Any) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def messages(self) -> Iterator[Message]:
        yield from self._messages

    def last_words(self) -> str:
        return ""

    def was_starved(self) -> bool:
        return False


def pull(monkeypatch: pytest.MonkeyPatch, messages: list[Message]) -> None:
    """Let a puppet say this in place of every child."""
    monkeypatch.setattr(_conversation, "start_process", lambda _: None)
    monkeypatch.setattr(_conversation, "Child", Puppet(messages))


def init(rendition: str = "36p", data: bytes = b"init", **lies: object) -> Message:
    body = {
        "rendition": rendition,
        "size": len(data),
        "codecs": "avc1.64001f",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Message("init", body | lies, data)


def segment(index: int = 0, rendition: str = "36p", data: bytes = b"data", **lies: object) -> Message:
    body = {"rendition": rendition, "index": index, "duration": "6", "size": len(data), "key_frames": []}
    return Message("segment", body | lies, data)


DONE = Message("done", None)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [DONE],
        [init(), DONE],
        [segment(), DONE],
        [init(), segment(1), DONE],
        [init(), segment(), segment(), DONE],
        [init(), segment(), segment(1), DONE],
        [init(), init(), segment(), DONE],
        [init("../../etc"), DONE],
        [init(), segment(rendition="../../etc"), DONE],
        [init("audio"), DONE],
        [init(size=5), segment(), DONE],
        [init(sha256="00"), segment(), DONE],
        [init(), segment(size=5), DONE],
        [init(), segment(size="x"), DONE],
        [init(), segment(more=1), DONE],
        [Message("art", {"name": "art/poster.jpg", "size": 0}), DONE],
        [Message("info", {}), DONE],
        [Message("no such", {}), DONE],
        [Message("progress", "no number"), DONE],
        [Message("progress", "1/0"), DONE],
        [Message("progress", None), DONE],
        [Message("error", {"code": "none"})],
    ],
)
def test_a_child_that_says_what_it_must_not_is_not_believed(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, messages: list[Message]
) -> None:
    """Names and numbers come from code that a stranger's bytes ran through: none may reach a sink unchecked."""
    pull(monkeypatch, messages)
    sink = Memory()
    with pytest.raises(ChildProtocolError):
        encode_part("x", plan, Part(index=0, kind="video", start=0, stop=1), sink)
    assert set(sink.inits) <= {"36p"}
    assert set(sink.segments) <= {("36p", 0)}


def art(name: str = "art/poster.jpg", data: bytes = b"jpeg", **lies: object) -> Message:
    return Message("art", {"name": name, "size": len(data)} | lies, data)


@pytest.mark.parametrize(
    "messages",
    [
        [art("../../etc/passwd"), DONE],
        [art("index.m3u8"), DONE],
        [art(), art(), DONE],
        [art(size=5), DONE],
        [init(), DONE],
        [art()],
    ],
)
def test_artwork_is_checked_too(plan: Plan, monkeypatch: pytest.MonkeyPatch, messages: list[Message]) -> None:
    pull(monkeypatch, messages)
    sink = Memory()
    with pytest.raises(ChildProtocolError):
        encode_part("x", plan, Part(index=2, kind="artwork", start=0, stop=1), sink)
    assert set(sink.art_files) <= {"art/poster.jpg"}


def test_a_child_that_says_what_it_must_is_believed(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(monkeypatch, [init(), Message("progress", "9/2"), segment(), DONE])
    sink = Memory()
    result = encode_part("x", plan, Part(index=0, kind="video", start=0, stop=1), sink)
    assert [made.index for made in result.segments] == [0]
    assert sink.done == [1, 1]  # 9/2 of the work is all of it


@pytest.mark.parametrize(
    "messages", [[], [Message("info", {"container": "x"})], [Message("info", None)], [DONE], [Message("error", 1)]]
)
def test_facts_that_are_none_are_not_believed(monkeypatch: pytest.MonkeyPatch, messages: list[Message]) -> None:
    pull(monkeypatch, messages)
    with pytest.raises(ChildProtocolError):
        probe("x")
