"""Strangers' files are opened in a child process, with bounded memory and time, no network and no other file.

Whatever a file does to the child (a crash, a hang, a flood) comes out here as an error.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from mamkit.errors import MissingExtraError
from mamkit.transcode.artwork.files import POSTER_NAME, THUMBNAIL_NAME, is_art_name
from mamkit.transcode.containment._process import Cancellation, Child, start_process
from mamkit.transcode.containment._wire import Message, from_wire
from mamkit.transcode.containment.children import COMMAND, Children
from mamkit.transcode.errors import (
    ChildMemoryError,
    ChildProtocolError,
    ContainmentError,
    EncodeError,
    MediaError,
    MediaTooLargeError,
    MediaUnreadableError,
)
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Codec, Device, Init, MediaInfo, Part, PartResult, Plan, Segment
from mamkit.transcode.packaging.webvtt import whole_name
from mamkit.transcode.reading.source import MOST_AHEAD, RangeReader, Source, name_of
from mamkit.transcode.sink import Sink

try:
    from pydantic import BaseModel, ValidationError
except ImportError as error:
    raise MissingExtraError("transcode", package="pydantic") from error

__all__ = [
    "Cancellation",
    "choose_devices",
    "encode_part",
    "make_thumbnails",
    "probe",
    "try_encoder",
]

M = TypeVar("M", bound=BaseModel)

# What FFmpeg says of a picture for which it makes no room; to its caller it is a broken file like others.
_REFUSED_SIZE = re.compile(r"Picture size (\d{1,9})x(\d{1,9}) (?:exceeds|is invalid)")


def probe(
    source: Source,
    *,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
    children: Children | None = None,
) -> MediaInfo:
    """Return the facts of a media file.

    Args:
        source: A regular file, or what ranges are read from, by this process alone.
        limits: What the file may ask for; `Limits()` if None.
        cancelled: Ends the work when set.
        children: Has a child process ready; None starts one.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault, as told by the subclass: not media, encrypted, too large, broken.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    with _conversation(_request("probe", source, limits), source, limits, cancelled, children) as (child, messages):
        for message in messages:
            if message.kind == "info":
                info = _parse(MediaInfo, message)
                if info.unusable and child.was_starved():
                    raise _memory_error(child, limits)
                return info
            raise ChildProtocolError(f"the child answered a probe with {message.kind!r}")
    raise ChildProtocolError("the child did not answer")


def encode_part(
    source: Source,
    plan: Plan,
    part: Part,
    sink: Sink,
    *,
    devices: Mapping[Codec, Device] | None = None,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
    children: Children | None = None,
) -> PartResult:
    """Encode one part of a plan, and hand its segments to a sink as they are finished.

    The sink is called in this thread. While it works the encoders go on only as far as their queues reach.

    Args:
        source: What the plan was made for: a regular file, or what ranges are read from, by this process alone.
        plan: What to make.
        part: Which run of segments, one of `plan.parts`.
        sink: Takes the bytes; an exception of its own ends the work and is raised as it is.
        devices: What encodes each codec, as `choose_devices` found; the processor where nothing is named. The parts of
            a film must agree, because each encoder writes headers of its own.
        limits: What the file may ask for; `Limits()` if None.
        cancelled: Ends the work when set.
        children: Has a child process ready; None starts one.

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
    request = _request(
        "encode",
        source,
        limits,
        plan=alone.model_dump(mode="json"),
        part=part.model_dump(mode="json"),
        devices=dict(devices or {}),
    )
    receipt = _Receipt(plan, part)
    with _conversation(request, source, limits, cancelled, children) as (_, messages):
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


def make_thumbnails(
    source: Source, sink: Sink, *, limits: Limits | None = None, cancelled: Cancellation | None = None
) -> tuple[ArtFile, ...]:
    """Make poster and thumbnail of a still image, as JPEG: upright, and without anything that stood beside it.

    JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF are read; HEIC is not, which cameras put together from tiles.

    Args:
        source: A regular file, or what ranges are read from, by this process alone.
        sink: Takes the files through `art`.
        limits: Of the child; `Limits()` if None.
        cancelled: Ends the work when set.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault: not an image of a kind that is accepted, broken, more than 67 million pixels.
        EncodeError: A filter or the encoder failed.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    files: dict[str, ArtFile] = {}
    with _conversation(_request("thumbnails", source, limits), source, limits, cancelled) as (_, messages):
        for message in messages:
            if message.kind == "done" and files.keys() == {POSTER_NAME, THUMBNAIL_NAME}:
                return tuple(files.values())
            if message.kind != "art":
                raise ChildProtocolError(f"the child said {message.kind!r} while it made thumbnails")
            file = _parse(ArtFile, message)
            if file.name not in {POSTER_NAME, THUMBNAIL_NAME} - files.keys() or file.size != len(message.data):
                raise ChildProtocolError(f"the child made {file.name!r}, unasked")
            files[file.name] = file
            sink.art(file, message.data)
    raise ChildProtocolError("the child did not answer")


def try_encoder(codec: Codec, device: Device, *, limits: Limits | None = None) -> None:
    """Encode some pictures in a child process, and decode them again.

    Args:
        codec: What to make.
        device: What with.
        limits: Of the child; `Limits()` if None.

    Raises:
        EncodeError: The encoder cannot be opened, fails, or does not do what it is told.
        ContainmentError: It crashed or hung.
    """
    limits = limits or Limits()
    request = _request("trial", os.devnull, limits, devices={codec: device})
    with _conversation(request, os.devnull, limits, None) as (_, messages):
        for message in messages:
            if message.kind == "done":
                return
            raise ChildProtocolError(f"the child answered a trial with {message.kind!r}")
    raise ChildProtocolError("the child did not answer")


def choose_devices(
    wish: Literal["auto", "cpu", "nvenc"], codecs: Iterable[Codec], *, limits: Limits | None = None
) -> tuple[dict[Codec, Device], tuple[str, ...]]:
    """Return what encodes each codec, and a sentence for each that is not as it was wished.

    A card is named for a codec only where it has just encoded some pictures.

    Args:
        wish: `nvenc` for a card where it works; `auto` for the same, without a word where it does not; `cpu` for none.
        codecs: What is to be made.
        limits: Of the children in which that is tried.
    """
    devices: dict[Codec, Device] = {}
    notes: list[str] = []
    for codec in codecs if wish != "cpu" else ():
        try:
            try_encoder(codec, "nvenc", limits=limits)
        except (EncodeError, ContainmentError) as error:
            if wish == "nvenc":
                notes.append(f"{codec} is encoded on the processor: {error}")
        else:
            devices[codec] = "nvenc"
    return devices, tuple(notes)


class _Receipt:
    """Checks off what a part must bring: each rendition's initialisation segment, then its segments in order.

    Artwork may be less than all that there can be, and is under names that are known.
    """

    def __init__(self, plan: Plan, part: Part) -> None:
        self._part = part
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

    def check_init(self, init: Init, data: bytes) -> Init:
        if init.rendition not in self._next or init.rendition in self._inits:
            raise ChildProtocolError(f"the child made an initialisation segment of {init.rendition!r}, unasked")
        if init.size != len(data) or init.sha256 != hashlib.sha256(data).hexdigest():
            raise ChildProtocolError(f"the initialisation segment of {init.rendition!r} is not what the child says")
        self._inits[init.rendition] = init
        return init

    def check_segment(self, segment: Segment, data: bytes) -> Segment:
        headed = segment.rendition in self._inits or self._part.kind == "subtitles"
        if not headed or segment.index != self._next[segment.rendition]:
            raise ChildProtocolError(f"the child made segment {segment.index} of {segment.rendition!r}, unasked")
        if segment.index >= self._part.stop or segment.size != len(data):
            raise ChildProtocolError(f"segment {segment.index} of {segment.rendition!r} is not what the child says")
        self._next[segment.rendition] += 1
        self._segments.append(segment)
        return segment

    def check_art(self, file: ArtFile, data: bytes) -> ArtFile:
        named = is_art_name(file.name) if self._part.kind == "artwork" else file.name in self._whole
        if not named or file.name in self._art:
            raise ChildProtocolError(f"the child made {file.name!r}, unasked")
        if file.size != len(data):
            raise ChildProtocolError(f"{file.name!r} is not what the child says")
        self._art[file.name] = file
        return file

    def result(self) -> PartResult:
        missing = [*self._whole - self._art.keys()]
        missing += [name for name, index in self._next.items() if index < self._part.stop]
        if missing:
            raise ChildProtocolError(f"the child said that it was done, without all segments of {', '.join(missing)}")
        order = list(self._next)
        self._segments.sort(key=lambda segment: (order.index(segment.rendition), segment.index))
        return PartResult(
            part=self._part.index,
            inits=tuple(self._inits.values()),
            segments=tuple(self._segments),
            art=tuple(self._art.values()),
        )


@contextmanager
def _conversation(
    request: dict[str, Any],
    source: Source,
    limits: Limits,
    cancelled: Cancellation | None,
    children: Children | None = None,
) -> Iterator[tuple[Child, Iterator[Message]]]:
    """Start a child, and give what it says up to an error, which is raised."""
    process = start_process(COMMAND) if children is None else children.take()
    with Child(process, json.dumps(request).encode() + b"\n", limits=limits, cancelled=cancelled) as child:
        yield child, _answers(child, source, limits)


def _answers(child: Child, source: Source, limits: Limits) -> Iterator[Message]:
    ranges = None if isinstance(source, (str, Path)) else source
    for message in child.messages():
        if message.kind == "read" and ranges is not None:
            child.reply(ranges.read(*_range(message, ranges)))
            continue
        if message.kind == "error":
            error = from_wire(message.body)
            if isinstance(error, (MediaUnreadableError, EncodeError)) and child.was_starved():
                raise _memory_error(child, limits) from error
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


def _memory_error(child: Child, limits: Limits) -> ChildMemoryError:
    return ChildMemoryError(
        f"the media takes more than the {limits.memory >> 20} MiB of memory it is allowed",
        limit=limits.memory,
        stderr=child.last_words(),
    )


def _request(
    task: Literal["probe", "encode", "thumbnails", "trial"], source: Source, limits: Limits, **more: Any
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


def _parse(model: type[M], message: Message) -> M:
    try:
        return model.model_validate(message.body)
    except ValidationError as error:
        raise ChildProtocolError(f"the child said something that is no {model.__name__}") from error


def _range(message: Message, ranges: RangeReader) -> tuple[int, int]:
    match message.body:
        case [int(start), int(stop)] if 0 <= start < stop <= min(ranges.size, start + MOST_AHEAD):
            return start, stop
    raise ChildProtocolError(f"the child asked for bytes that it must not have: {message.body!r:.100}")


def _progress(message: Message) -> Fraction:
    try:
        done = Fraction(message.body)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ChildProtocolError("the child reported progress that is no number") from error
    return min(max(done, Fraction(0)), Fraction(1))
