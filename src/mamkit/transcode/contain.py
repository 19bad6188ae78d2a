"""Strangers' files are opened in a child process, with bounded memory and time, no network and no other file.

Whatever a file does to the child (a crash, a hang, a flood) comes out here as an error.
"""

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from mamkit.errors import MissingExtraError
from mamkit.transcode._process import Cancellation, Child
from mamkit.transcode._wire import Message, from_wire
from mamkit.transcode.artwork import is_art_name
from mamkit.transcode.errors import ChildMemoryError, ChildProtocolError, EncodeError, MediaError, MediaUnreadableError
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Init, MediaInfo, Part, PartResult, Plan, Segment
from mamkit.transcode.sink import Sink

try:
    from pydantic import BaseModel, ValidationError
except ImportError as error:
    raise MissingExtraError("transcode", package="pydantic") from error

__all__ = ["Cancellation", "encode_part", "probe"]

M = TypeVar("M", bound=BaseModel)


def probe(source: str | Path, *, limits: Limits | None = None, cancelled: Cancellation | None = None) -> MediaInfo:
    """Return the facts of a media file.

    Args:
        source: A regular file.
        limits: What the file may ask for; `Limits()` if None.
        cancelled: Ends the work when set.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault, as told by the subclass: not media, encrypted, too large, broken.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    with _conversation(_request("probe", source, limits), limits, cancelled) as (child, messages):
        for message in messages:
            if message.kind == "info":
                info = _parse(MediaInfo, message)
                if info.unusable and child.was_starved():
                    raise _memory_error(child, limits)
                return info
            raise ChildProtocolError(f"the child answered a probe with {message.kind!r}")
    raise ChildProtocolError("the child did not answer")


def encode_part(
    source: str | Path,
    plan: Plan,
    part: Part,
    sink: Sink,
    *,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
) -> PartResult:
    """Encode one part of a plan, and hand its segments to a sink as they are finished.

    The sink is called in this thread. While it works the encoders go on only as far as their queues reach.

    Args:
        source: The file that the plan was made for.
        plan: What to make.
        part: Which run of segments, one of `plan.parts`.
        sink: Takes the bytes; an exception of its own ends the work and is raised as it is.
        limits: What the file may ask for; `Limits()` if None.
        cancelled: Ends the work when set.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault.
        EncodeError: An encoder failed.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    # The child needs to know of one part only, and the list of all of a long film is long.
    alone = plan.model_copy(update={"parts": (part,)})
    request = _request("encode", source, limits, plan=alone.model_dump(mode="json"), part=part.model_dump(mode="json"))
    receipt = _Receipt(plan, part)
    with _conversation(request, limits, cancelled) as (_, messages):
        for message in messages:
            match message.kind:
                case "init":
                    sink.init(receipt.check_init(_parse(Init, message), message.data), message.data)
                case "segment":
                    sink.segment(receipt.check_segment(_parse(Segment, message), message.data), message.data)
                case "art":
                    sink.art(receipt.check_art(_parse(ArtFile, message), message.data), message.data)
                case "progress":
                    sink.progress(_progress(message))
                case "done":
                    sink.progress(Fraction(1))
                    return receipt.result()
                case _:
                    raise ChildProtocolError(f"the child said {message.kind!r} while it encoded")
    raise ChildProtocolError("the child did not answer")


class _Receipt:
    """Checks off what a part must bring: each rendition's initialisation segment, then its segments in order.

    Artwork may be less than all that there can be, and is under names that are known.
    """

    def __init__(self, plan: Plan, part: Part) -> None:
        self._part = part
        names = {
            "video": [rendition.name for rendition in plan.video],
            "audio": [rendition.name for rendition in plan.audio],
            "artwork": [],
        }
        self._next = dict.fromkeys(names[part.kind], part.start)
        self._art: dict[str, ArtFile] = {}
        self._inits: dict[str, Init] = {}
        self._segments: list[Segment] = []

    def check_init(self, init: Init, data: bytes) -> Init:
        if init.rendition not in self._next or init.rendition in self._inits:
            raise ChildProtocolError(f"the child made an initialisation segment of {init.rendition!r}, unasked")
        if init.size != len(data) or init.sha256 != hashlib.sha256(data).hexdigest():
            raise ChildProtocolError(f"the initialisation segment of {init.rendition!r} is not what the child says")
        self._inits[init.rendition] = init
        return init

    def check_segment(self, segment: Segment, data: bytes) -> Segment:
        if segment.rendition not in self._inits or segment.index != self._next[segment.rendition]:
            raise ChildProtocolError(f"the child made segment {segment.index} of {segment.rendition!r}, unasked")
        if segment.index >= self._part.stop or segment.size != len(data):
            raise ChildProtocolError(f"segment {segment.index} of {segment.rendition!r} is not what the child says")
        self._next[segment.rendition] += 1
        self._segments.append(segment)
        return segment

    def check_art(self, file: ArtFile, data: bytes) -> ArtFile:
        if self._part.kind != "artwork" or not is_art_name(file.name) or file.name in self._art:
            raise ChildProtocolError(f"the child made {file.name!r}, unasked")
        if file.size != len(data):
            raise ChildProtocolError(f"{file.name!r} is not what the child says")
        self._art[file.name] = file
        return file

    def result(self) -> PartResult:
        missing = [name for name, index in self._next.items() if index < self._part.stop]
        if missing:
            raise ChildProtocolError(f"the child said that it was done, without all segments of {', '.join(missing)}")
        order = list(self._inits)
        self._segments.sort(key=lambda segment: (order.index(segment.rendition), segment.index))
        return PartResult(
            part=self._part.index,
            inits=tuple(self._inits.values()),
            segments=tuple(self._segments),
            art=tuple(self._art.values()),
        )


@contextmanager
def _conversation(
    request: dict[str, Any], limits: Limits, cancelled: Cancellation | None
) -> Iterator[tuple[Child, Iterator[Message]]]:
    """Start a child, and give what it says up to an error, which is raised."""
    command = [sys.executable, "-I", "-B", "-m", "mamkit.transcode._child"]
    with Child(command, json.dumps(request).encode(), limits=limits, cancelled=cancelled) as child:
        yield child, _answers(child, limits)


def _answers(child: Child, limits: Limits) -> Iterator[Message]:
    for message in child.messages():
        if message.kind == "error":
            error = from_wire(message.body)
            if isinstance(error, (MediaUnreadableError, EncodeError)) and child.was_starved():
                raise _memory_error(child, limits) from error
            if isinstance(error, (MediaError, EncodeError)):
                error.detail = child.last_words().rpartition("\n")[2] or error.detail
            raise error
        yield message


def _memory_error(child: Child, limits: Limits) -> ChildMemoryError:
    return ChildMemoryError(
        f"the media takes more than the {limits.memory >> 20} MiB of memory it is allowed",
        limit=limits.memory,
        stderr=child.last_words(),
    )


def _request(task: Literal["probe", "encode"], source: str | Path, limits: Limits, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "source": str(Path(source).absolute()),
        "parent": os.getpid(),
        "limits": {
            "duration": limits.duration.total_seconds(),
            "pixels": limits.pixels,
            "streams": limits.streams,
            "memory": limits.memory,
            "cpu_seconds": math.ceil(limits.time.total_seconds()) * (os.cpu_count() or 1),
        },
        **more,
    }


def _parse(model: type[M], message: Message) -> M:
    try:
        return model.model_validate(message.body)
    except ValidationError as error:
        raise ChildProtocolError(f"the child said something that is no {model.__name__}") from error


def _progress(message: Message) -> Fraction:
    try:
        done = Fraction(message.body)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ChildProtocolError("the child reported progress that is no number") from error
    return min(max(done, Fraction(0)), Fraction(1))
