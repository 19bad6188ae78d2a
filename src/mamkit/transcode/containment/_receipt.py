"""What a child process hands over of a part, checked off against what it was asked for."""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeVar

from mamkit.errors import MissingExtraError
from mamkit.transcode.artwork.files import is_art_name
from mamkit.transcode.containment._wire import Message
from mamkit.transcode.errors import ChildProtocolError
from mamkit.transcode.models import ArtFile, Init, Part, PartResult, Plan, Segment
from mamkit.transcode.packaging.webvtt import whole_name
from mamkit.transcode.sink import Sink

try:
    from pydantic import BaseModel, ValidationError
except ImportError as error:
    raise MissingExtraError("transcode", package="pydantic") from error

__all__ = ["Receipt", "parse"]

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], message: Message) -> M:
    """Return what a message says.

    Raises:
        ChildProtocolError: It is no such thing.
    """
    try:
        return model.model_validate(message.body)
    except ValidationError as error:
        raise ChildProtocolError(f"the child said something that is no {model.__name__}") from error


class Receipt:
    """Checks off what a part must bring: each rendition's initialisation segment, then its segments in order.

    Artwork may be less than all that there can be, and is under names that are known. One child after the other may
    work on the part; what one has brought is not handed on again.

    Args:
        plan: What the film becomes.
        part: What is asked for.
        sink: Gets what has been checked.

    Attributes:
        headers: The initialisation segments that have been handed on, by rendition.
    """

    def __init__(self, plan: Plan, part: Part, sink: Sink) -> None:
        self.headers: dict[str, bytes] = {}
        self._part = part
        self._sink = sink
        names = {
            "video": [rendition.name for rendition in plan.video],
            "audio": [rendition.name for rendition in plan.audio],
            "subtitles": [rendition.name for rendition in plan.subtitles],
            "artwork": [],
        }
        self._next = dict.fromkeys(names[part.kind], part.start)
        # Tracks of words are there in one piece, too.
        self._whole = {whole_name(name) for name in names[part.kind]} if part.kind == "subtitles" else set()
        self._art: dict[str, ArtFile] = {}
        self._inits: dict[str, Init] = {}
        self._segments: list[Segment] = []
        self._notes: list[str] = []
        self._told = Fraction(0)

    @property
    def left(self) -> Part:
        """The part from the first segment on that is not there in all renditions."""
        return self._part.model_copy(update={"start": min(self._next.values(), default=self._part.start)})

    def note(self, sentence: str) -> None:
        """Add to the notes of the result."""
        self._notes.append(sentence)

    def take(self, messages: Iterable[Message]) -> PartResult:
        """Hand on what a child brings that works on `left`, until it is done.

        Raises:
            ChildProtocolError: It says something that it must not.
        """
        first = self.left.start
        headed: set[str] = set()
        expected = dict.fromkeys(self._next, first)
        for message in messages:
            match message.kind:
                case "init":
                    self._take_init(parse(Init, message), message.data, headed)
                case "segment":
                    self._take_segment(parse(Segment, message), message.data, headed, expected)
                case "art":
                    file = parse(ArtFile, message)
                    self._check_art(file, message.data)
                    self._sink.art(file, message.data)
                case "progress":
                    self._tell(_progress(message), first)
                case "done":
                    result = self.result()
                    self._sink.progress(Fraction(1))
                    return result
                case _:
                    raise ChildProtocolError(f"the child said {message.kind!r} while it encoded")
        raise ChildProtocolError("the child did not answer")

    def result(self) -> PartResult:
        """Return what all children have brought.

        Raises:
            ChildProtocolError: Something is missing.
        """
        missing = [*self._whole - self._art.keys()]
        missing += [name for name, index in self._next.items() if index < self._part.stop]
        if missing:
            raise ChildProtocolError(f"the child said that it was done, without all segments of {', '.join(missing)}")
        order = list(self._next)
        return PartResult(
            part=self._part.index,
            inits=tuple(self._inits.values()),
            segments=tuple(sorted(self._segments, key=lambda segment: (order.index(segment.rendition), segment.index))),
            art=tuple(self._art.values()),
            notes=tuple(self._notes),
        )

    def _take_init(self, init: Init, data: bytes, headed: set[str]) -> None:
        name = init.rendition
        if name not in self._next or name in headed:
            raise ChildProtocolError(f"the child made an initialisation segment of {name!r}, unasked")
        if init.size != len(data) or init.sha256 != hashlib.sha256(data).hexdigest():
            raise ChildProtocolError(f"the initialisation segment of {name!r} is not what the child says")
        if self._inits.get(name, init) != init:
            raise ChildProtocolError(f"the initialisation segment of {name!r} is not what it was before")
        headed.add(name)
        if name not in self._inits:
            self._inits[name], self.headers[name] = init, data
            self._sink.init(init, data)

    def _take_segment(self, segment: Segment, data: bytes, headed: set[str], expected: dict[str, int]) -> None:
        name = segment.rendition
        if (name not in headed and self._part.kind != "subtitles") or segment.index != expected.get(name):
            raise ChildProtocolError(f"the child made segment {segment.index} of {name!r}, unasked")
        if segment.index >= self._part.stop or segment.size != len(data):
            raise ChildProtocolError(f"segment {segment.index} of {name!r} is not what the child says")
        expected[name] += 1
        if segment.index == self._next[name]:  # else a child before has made it
            self._next[name] += 1
            self._segments.append(segment)
            self._sink.segment(segment, data)

    def _check_art(self, file: ArtFile, data: bytes) -> None:
        named = is_art_name(file.name) if self._part.kind == "artwork" else file.name in self._whole
        if not named or file.name in self._art:
            raise ChildProtocolError(f"the child made {file.name!r}, unasked")
        if file.size != len(data):
            raise ChildProtocolError(f"{file.name!r} is not what the child says")
        self._art[file.name] = file

    def _tell(self, done: Fraction, first: int) -> None:
        length = self._part.stop - self._part.start
        made = Fraction(first - self._part.start, length) + done * Fraction(self._part.stop - first, length)
        if made >= self._told:
            self._told = made
            self._sink.progress(made)


def _progress(message: Message) -> Fraction:
    try:
        done = Fraction(message.body)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ChildProtocolError("the child reported progress that is no number") from error
    return min(max(done, Fraction(0)), Fraction(1))
