"""What a child process is asked and answers: ranges of the source are read for it, and its errors are raised."""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mamkit.transcode.containment._process import Cancellation, Child, start_process
from mamkit.transcode.containment._wire import Message, from_wire
from mamkit.transcode.containment.children import COMMAND, Children
from mamkit.transcode.errors import (
    ChildMemoryError,
    ChildProtocolError,
    EncodeError,
    MediaError,
    MediaTooLargeError,
    MediaUnreadableError,
    StillImageError,
)
from mamkit.transcode.limits import Limits
from mamkit.transcode.reading.source import (
    MOST_AHEAD,
    MOST_AT_ONCE,
    RangeReader,
    ReadsMany,
    Source,
    name_of,
)

__all__ = ["conversation", "memory_error", "request_for"]

# What FFmpeg says of a picture for which it makes no room; to its caller it is a broken file like others.
_REFUSED_SIZE = re.compile(r"Picture size ([1-9]\d{0,8})x([1-9]\d{0,8}) (?:exceeds|is invalid)")


@contextmanager
def conversation(
    request: dict[str, Any],
    source: Source,
    limits: Limits,
    cancelled: Cancellation | None,
    children: Children | None = None,
) -> Iterator[tuple[Child, Iterator[Message]]]:
    """Start a child, and give what it says up to an error, which is raised."""
    # What a child is confined to at its first piece of work, and cannot be freed from.
    bounds = (source, limits.memory, "nvenc" in request.get("devices", {}).values())
    process = start_process(COMMAND) if children is None else children.take(bounds)
    keep = children is not None and children.keeps
    line = json.dumps(request | {"keep": keep}).encode() + b"\n"
    with Child(process, line, limits=limits, cancelled=cancelled) as child:
        answered = False
        try:
            yield child, _answers(child, source, limits)
            answered = True
        except StillImageError:  # what it is, and no fault
            answered = True
            raise
        finally:
            if answered and children is not None and keep:
                child.release()
                children.give_back(process, bounds)


def _answers(child: Child, source: Source, limits: Limits) -> Iterator[Message]:
    ranges = None if isinstance(source, (str, Path)) else source
    for message in child.messages():
        if message.kind == "read" and ranges is not None:
            child.reply(ranges.read(*_range(message.body, ranges)))
            continue
        if message.kind == "read_many" and ranges is not None:
            for data in _read_many(ranges, _ranges(message.body, ranges)):
                child.reply(data)
            continue
        if message.kind == "error":
            error = from_wire(message.body)
            if isinstance(error, (MediaUnreadableError, EncodeError)) and child.was_starved():
                raise memory_error(child, limits) from error
            if isinstance(error, MediaUnreadableError) and (size := _REFUSED_SIZE.search(child.last_words())):
                raise _picture_error(source, size, limits) from error
            if isinstance(error, (MediaError, EncodeError)):
                error.detail = child.last_words().rpartition("\n")[2] or error.detail
            raise error
        yield message


def _picture_error(source: Source, size: re.Match[str], limits: Limits) -> MediaTooLargeError:
    pixels = int(size[1]) * int(size[2])
    return MediaTooLargeError(
        f"{name_of(source)!r} has pictures of {size[1]}x{size[2]} pixels; at most {limits.pixels} pixels are accepted",
        quantity="pixels",
        value=pixels,
        limit=limits.pixels,
        detail=size[0],
    )


def memory_error(child: Child, limits: Limits) -> ChildMemoryError:
    return ChildMemoryError(
        f"the media takes more than the {limits.memory >> 20} MiB of memory it is allowed",
        limit=limits.memory,
        stderr=child.last_words(),
    )


def request_for(
    task: Literal["probe", "encode", "thumbnails", "trial", "headers"], source: Source, limits: Limits, **more: Any
) -> dict[str, Any]:
    return {
        "task": task,
        "source": str(Path(source).absolute())
        if isinstance(source, (str, Path))
        else {"name": source.name, "size": source.size},
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


def _range(body: Any, ranges: RangeReader) -> tuple[int, int]:
    match body:
        case [int(start), int(stop)] if 0 <= start < stop <= min(ranges.size, start + MOST_AHEAD):
            return start, stop
    raise ChildProtocolError(f"the child asked for bytes that it must not have: {body!r:.100}")


def _ranges(body: Any, ranges: RangeReader) -> list[tuple[int, int]]:
    wanted = [_range(each, ranges) for each in body[: MOST_AT_ONCE + 1]] if isinstance(body, list) else []
    if not 0 < len(wanted) <= MOST_AT_ONCE or sum(stop - start for start, stop in wanted) > MOST_AHEAD:
        raise ChildProtocolError(f"the child asked for bytes that it must not have: {body!r:.100}")
    return wanted


def _read_many(ranges: RangeReader, wanted: list[tuple[int, int]]) -> list[bytes]:
    if isinstance(ranges, ReadsMany):
        return ranges.read_many(wanted)
    return [ranges.read(start, stop) for start, stop in wanted]
