"""Encodes a video part: decoded once, scaled and encoded in all renditions at the same time."""

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedSegment, Event
from mamkit.transcode.encoding._copy import PacketSegments
from mamkit.transcode.encoding._crew import Channel, Crew
from mamkit.transcode.encoding._pictures import PictureSegments
from mamkit.transcode.encoding.encoders import encoder_for
from mamkit.transcode.errors import MediaUnreadableError
from mamkit.transcode.models import Codec, Device, Part, Plan, VideoRendition
from mamkit.transcode.picture._picture import Standardiser, deinterlaced, scaler
from mamkit.transcode.picture._sampler import EARLY, sample
from mamkit.transcode.planning.plan import frame_range
from mamkit.transcode.reading._decode import decode_from
from mamkit.transcode.reading._orientation import Orientation, orientation
from mamkit.transcode.reading.source import Source, name_of

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["encode_video"]

# Pictures that wait for each encoder, of which all share the same: it evens out that one is slow here, one there.
# The largest size takes about as long as all the others together, so that each wait is a processor that stands idle.
_WAITING_PICTURES = range(4, 25)
_WAITING_BYTES = 48 << 20  # that is 15 pictures of 1080p, and 4 of 2160p
_WAITING_REPORTS = 2  # a slow reader holds the encoders back
_PICTURES_PER_BEAT = 100  # between signs of life, while decoding leads up to the part
_FRAMES_PER_BEAT = 25
_BEHIND = 5  # of nice(2): a third of the weight, so that three such threads count as one


class _Shown(NamedTuple):
    """An output frame on its way to the encoders."""

    number: int
    picture: av.VideoFrame
    original: av.VideoFrame
    """The same before its brightness and colours were brought to BT.709."""
    turn: Orientation


_Report = EncodedSegment | int
"""A finished segment, or how many more frames have been encoded; 0 is a sign of life."""


def encode_video(
    source: Source, plan: Plan, part: Part, devices: Mapping[Codec, Device], headers: Mapping[str, bytes]
) -> Generator[Event, None, None]:
    """Encode a run of video segments in all renditions, or copy those that are made of the source's packets.

    One thread decodes, and one for each rendition scales and encodes. Few pictures wait between them, so that memory
    does not grow with the length of the part. They stop when the iterator is closed.

    Raises:
        MediaUnreadableError: Not one picture of the source can be decoded.
        MediaError: The file cannot be opened.
        EncodeError: An encoder or a filter failed.
    """
    if not plan.video:
        raise ValueError("the plan has no video")
    segments = range(part.start, part.stop)
    frames = range(frame_range(plan, part.start).start, frame_range(plan, part.stop - 1).stop)
    encoded = [rendition for rendition in plan.video if not rendition.copied]
    largest = max((rendition.height for rendition in encoded), default=0)
    writers = len(plan.video) + (1 if encoded else 0)
    with ExitStack() as opened, Crew() as crew:
        finished: Channel[_Report] = crew.channel(_WAITING_REPORTS, writers=writers)
        inputs: list[Channel[_Shown]] = []
        for rendition in plan.video:
            if rendition.copied:
                packets = opened.enter_context(closing(PacketSegments(source, plan, rendition, segments)))
                yield packets.init
                crew.start(partial(_copy, packets, finished))
                continue
            encoder = encoder_for(rendition, devices)
            pictures = PictureSegments(plan, rendition, segments, encoder, header=headers.get(rendition.name))
            opened.enter_context(pictures.encoder)
            yield pictures.init
            inputs.append(crew.channel(_WAITING_PICTURES.start))
            work = partial(_encode, rendition, pictures, inputs[-1], finished)
            # Behind the largest size, whose one thread is what the end of the part waits for.
            crew.start(work if rendition.height == largest else partial(_behind_others, work))
        if encoded:
            crew.start(partial(_decode, source, plan, frames, inputs, finished))
        done, whole = 0, len(frames) * len(plan.video)
        for report in finished:
            if isinstance(report, int):
                done += report
                yield Fraction(done, whole)
            else:
                yield report


def _behind_others(work: Callable[[], None]) -> None:
    """Do the work of one thread when others of this process have nothing to do, or not much later."""
    if sys.platform == "linux":  # where threads have a priority of their own
        with suppress(OSError):  # some sandboxes know no priorities
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _BEHIND)
    work()


def _copy(packets: PacketSegments, finished: Channel[_Report]) -> None:
    """Copy one rendition; the work of one thread."""
    for report in packets.copy():
        finished.put(report)
    finished.close()


def _decode(
    source: Source,
    plan: Plan,
    frames: range,
    encoders: Sequence[Channel[_Shown]],
    finished: Channel[_Report],
) -> None:
    """Hand each output frame with its picture to all encoders; the work of one thread."""
    if plan.video_stream is None or plan.frame_rate is None:
        raise ValueError("the plan has no video")
    turn: Orientation | None = None
    standardise: Standardiser | None = None
    pictures = _pictures(source, plan.video_stream, _start(plan, frames), EARLY / plan.frame_rate, finished)
    stop = plan.origin + plan.duration  # what is said to come later was not planned: its time cannot be meant
    relative = ((time - plan.origin, picture) for time, picture in pictures if time <= stop)
    for number, picture in sample(deinterlaced(relative), frames, plan.frame_rate):
        if turn is None or standardise is None:
            turn = orientation(picture)
            standardise = Standardiser(turn.before(plan.video[0].width, plan.video[0].height))
            for encoder in encoders:
                encoder.size = _waiting(picture)
        shown = _Shown(number, standardise(picture), picture, turn)
        for encoder in encoders:
            encoder.put(shown)
    if turn is None:
        raise MediaUnreadableError(f"{name_of(source)!r} has no picture that can be decoded")
    for encoder in encoders:
        encoder.close()
    finished.close()


def _waiting(picture: av.VideoFrame) -> int:
    """Return how many pictures as large as this one may wait for an encoder."""
    size = sum(plane.buffer_size for plane in picture.planes)
    return min(max(_WAITING_BYTES // size, _WAITING_PICTURES.start), _WAITING_PICTURES.stop - 1)


def _start(plan: Plan, frames: range) -> Fraction | None:
    """Return the time of the first frame on the source's clock; None for the start of the film."""
    if frames.start == 0 or plan.frame_rate is None:
        return None
    return plan.origin + frames.start / plan.frame_rate


def _pictures(
    source: Source, stream: int, start: Fraction | None, late: Fraction, finished: Channel[_Report]
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Yield pictures with their times on the source's clock, and give signs of life."""
    for count, decoded in enumerate(decode_from(source, [stream], start, late=late)):
        if count % _PICTURES_PER_BEAT == 0:
            finished.put(0)
        picture = decoded.frame
        if isinstance(picture, av.VideoFrame):
            picture.pts = count  # filters want timestamps that rise; the true one goes beside it
            yield decoded.time, picture


def _encode(
    rendition: VideoRendition, segments: PictureSegments, pictures: Channel[_Shown], finished: Channel[_Report]
) -> None:
    """Scale and encode for one rendition; the work of one thread."""
    scale = None
    count = 0
    for shown in pictures:
        if scale is None:
            scale = scaler(rendition.width, rendition.height, shown.turn, rendition.video_range)
        picture = shown.picture if rendition.video_range == "SDR" else shown.original
        for segment in segments.push(shown.number, scale(picture)):
            finished.put(segment)
        count += 1
        if count == _FRAMES_PER_BEAT:
            finished.put(count)
            count = 0
    for segment in segments.finish():
        finished.put(segment)
    finished.put(count)
    finished.close()
