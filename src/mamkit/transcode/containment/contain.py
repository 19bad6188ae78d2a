"""Strangers' files are opened in a child process, with bounded memory and time, no network and no other file.

Whatever a file does to the child (a crash, a hang, a flood) comes out here as an error.
"""

from collections.abc import Mapping
from typing import Any

from mamkit.transcode.artwork.files import POSTER_NAME, THUMBNAIL_NAME
from mamkit.transcode.containment._conversation import conversation, memory_error, request_for
from mamkit.transcode.containment._process import Cancellation
from mamkit.transcode.containment._receipt import Receipt, parse
from mamkit.transcode.containment.children import Children
from mamkit.transcode.encoding.encoders import ENCODERS
from mamkit.transcode.errors import (
    ChildProtocolError,
    ContainmentError,
    EncodeError,
)
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Codec, Device, MediaInfo, Part, PartResult, Plan
from mamkit.transcode.reading.source import (
    Source,
)
from mamkit.transcode.sink import Sink

__all__ = [
    "Cancellation",
    "encode_part",
    "make_thumbnails",
    "probe",
]


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
    with conversation(request_for("probe", source, limits), source, limits, cancelled, children) as (child, messages):
        for message in messages:
            if message.kind == "info":
                info = parse(MediaInfo, message)
                if info.unusable and child.was_starved():
                    raise memory_error(child, limits)
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
            what is made goes with them, and with those of the plan.
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
    given = {**plan.shared_headers, **(headers or {})}
    while True:
        request = request_for("encode", source, limits, **_task(plan, receipt.left, used, given))
        try:
            with conversation(request, source, limits, cancelled, children) as (_, messages):
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
    source: Source,
    sink: Sink,
    *,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
    children: Children | None = None,
) -> tuple[ArtFile, ...]:
    """Make poster and thumbnail of a still image, as JPEG: upright, and without anything that stood beside it.

    JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC are read.

    Args:
        source: A regular file, or what ranges are read from, by this process alone.
        sink: Takes the files through `art`.
        limits: Of the child; `Limits()` if None.
        cancelled: Ends the work when set.
        children: Has a child process ready; None starts one.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        MediaError: The file is at fault: not an image of a kind that is accepted, broken, more than 67 million pixels.
        EncodeError: A filter or the encoder failed.
        ContainmentError: The child process crashed, hung or asked for too much; the subclass says which.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    files: dict[str, ArtFile] = {}
    request = request_for("thumbnails", source, limits)
    with conversation(request, source, limits, cancelled, children) as (_, messages):
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


def _failed(error: EncodeError | ContainmentError, devices: Mapping[Codec, Device]) -> set[Codec]:
    """Return the codecs of the cards that an error is about; of a child that said nothing, it may be any of them."""
    cards: dict[Codec, str] = {
        codec: ENCODERS[codec, device].name for codec, device in devices.items() if device != "cpu"
    }
    blamed = error.encoder if isinstance(error, EncodeError) else None
    return {codec for codec, name in cards.items() if blamed in (None, name)}


def _task(plan: Plan, part: Part, devices: Mapping[Codec, Device], headers: Mapping[str, bytes]) -> dict[str, Any]:
    # The child needs to know of one part only, and the list of all of a long film is long.
    alone = plan.model_copy(update={"parts": (part,), "shared_headers": {}})
    return {
        "plan": alone.model_dump(mode="json"),
        "part": part.model_dump(mode="json"),
        "devices": dict(devices),
        "headers": {name: header.hex() for name, header in headers.items()},
    }
