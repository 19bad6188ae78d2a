"""Strangers' files are opened in a child process, with bounded memory and time, no network and no other file.

Whatever a file does to the child (a crash, a hang, a flood) comes out here as an error.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mamkit.transcode.artwork.files import POSTER_NAME, THUMBNAIL_NAME
from mamkit.transcode.containment._process import Cancellation, Child, start_process
from mamkit.transcode.containment._receipt import Receipt, parse
from mamkit.transcode.containment._wire import Message, from_wire
from mamkit.transcode.containment.children import COMMAND, Children
from mamkit.transcode.encoding.encoders import ENCODERS
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
from mamkit.transcode.models import ArtFile, Codec, Device, MediaInfo, Part, PartResult, Plan
from mamkit.transcode.reading.source import MOST_AHEAD, RangeReader, Source, name_of
from mamkit.transcode.sink import Sink

__all__ = [
    "Cancellation",
    "choose_devices",
    "encode_part",
    "make_thumbnails",
    "probe",
    "try_encoder",
]

# What FFmpeg says of a picture for which it makes no room; to its caller it is a broken file like others.
_REFUSED_SIZE = re.compile(r"Picture size ([1-9]\d{0,8})x([1-9]\d{0,8}) (?:exceeds|is invalid)")


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
                info = parse(MediaInfo, message)
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
    headers: Mapping[str, bytes] | None = None,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
    children: Children | None = None,
) -> PartResult:
    """Encode one part of a plan, and hand its segments to a sink as they are finished.

    The sink is called in this thread. While it works the encoders go on only as far as their queues reach.

    Where a card fails, what is missing of the part is made on the processor, from the first segment on that is not
    there in all renditions: each segment is made by one encoder, and none is handed over twice. `PartResult.notes` says
    so. H.264 can always go on, since the initialisation segment that is made with a card has the parameter sets of the
    processor's encoder, too; another codec only where no part has made such a segment yet.

    Args:
        source: What the plan was made for: a regular file, or what ranges are read from, by this process alone.
        plan: What to make.
        part: Which run of segments, one of `plan.parts`.
        sink: Takes the bytes; an exception of its own ends the work and is raised as it is.
        devices: What encodes each codec, as `choose_devices` found; the processor where nothing is named. The parts of
            a film must agree, because each encoder writes headers of its own.
        headers: Initialisation segments of renditions that other parts have made already, by the rendition's name:
            what is made goes with them.
        limits: What the file may ask for; `Limits()` if None.
        cancelled: Ends the work when set.
        children: Has a child process ready; None starts one.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault.
        EncodeError: An encoder failed, and nothing else can go on, or what it makes does not go with `headers`.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    receipt = Receipt(plan, part, sink)
    used = dict(devices or {})
    given = dict(headers or {})
    while True:
        request = _request("encode", source, limits, **_task(plan, receipt.left, used, given))
        try:
            with _conversation(request, source, limits, cancelled, children) as (_, messages):
                return receipt.take(messages)
        except (EncodeError, ContainmentError) as error:
            failed = _failed(error, used) if part.kind == "video" else set()
            given |= receipt.headers
            begun = {video.codec for video in plan.video if video.name in given and not video.copied}
            if not failed or failed & begun - {"h264"}:
                raise
            receipt.note(
                f"{', '.join(sorted(failed))} of the segments {receipt.left.start} to {part.stop - 1} is encoded on "
                f"the processor, because the card failed: {error}"
            )
            used = {codec: device for codec, device in used.items() if codec not in failed}
            if receipt.left.start == part.stop:
                return receipt.result()


def make_thumbnails(
    source: Source, sink: Sink, *, limits: Limits | None = None, cancelled: Cancellation | None = None
) -> tuple[ArtFile, ...]:
    """Make poster and thumbnail of a still image, as JPEG: upright, and without anything that stood beside it.

    JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC are read.

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
            file = parse(ArtFile, message)
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


@contextmanager
def _conversation(
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
        yield child, _answers(child, source, limits)
        if children is not None and keep:
            child.release()
            children.give_back(process, bounds)


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


def _failed(error: EncodeError | ContainmentError, devices: Mapping[Codec, Device]) -> set[Codec]:
    """Return the codecs of the cards that an error is about; of a child that said nothing, it may be any of them."""
    cards: dict[Codec, str] = {
        codec: ENCODERS[codec, device].name for codec, device in devices.items() if device != "cpu"
    }
    blamed = error.encoder if isinstance(error, EncodeError) else None
    return {codec for codec, name in cards.items() if blamed in (None, name)}


def _task(plan: Plan, part: Part, devices: Mapping[Codec, Device], headers: Mapping[str, bytes]) -> dict[str, Any]:
    # The child needs to know of one part only, and the list of all of a long film is long.
    alone = plan.model_copy(update={"parts": (part,)})
    return {
        "plan": alone.model_dump(mode="json"),
        "part": part.model_dump(mode="json"),
        "devices": dict(devices),
        "headers": {name: header.hex() for name, header in headers.items()},
    }


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


def _range(message: Message, ranges: RangeReader) -> tuple[int, int]:
    match message.body:
        case [int(start), int(stop)] if 0 <= start < stop <= min(ranges.size, start + MOST_AHEAD):
            return start, stop
    raise ChildProtocolError(f"the child asked for bytes that it must not have: {message.body!r:.100}")
