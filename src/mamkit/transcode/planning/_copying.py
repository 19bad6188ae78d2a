"""Whether the largest rendition is made of the source's own packets, and where its segments are cut then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mamkit.transcode.models import VideoRendition, VideoStream

__all__ = ["Copied", "copied", "lowered"]

_SEGMENT = Fraction(6)  # seconds: HLS Authoring Specification, rule 7.5
_SHORTEST_TAIL = Fraction(1)  # seconds; a shorter last segment takes a group from the one before
_MOST_PEAK = 2  # times the average: rule 1.30
_LATE_SOUND = Fraction(1, 4)  # seconds that sound may go on after the last picture without one being held


@dataclass(frozen=True, slots=True)
class Copied:
    """Where the segments of a copied rendition begin, and how many frames there are."""

    cuts: tuple[int, ...]
    frame_count: int
    delay: int


def copied(
    stream: VideoStream, top: VideoRendition, rate: Fraction, *, origin: Fraction, end: Fraction
) -> Copied | str:
    """Return how a stream is copied into the largest rendition, or in a few words why it is encoded instead.

    Args:
        stream: The stream that is shown.
        top: The largest rendition as it would be encoded.
        rate: Frames per second of the output.
        origin: Time of the output's zero on the source's clock.
        end: Time of the end of all that is seen and heard.
    """
    source = stream.copyable
    if source is None:
        return stream.uncopyable or "it was not looked at"
    starts = [*_starts(source.groups)]
    frame_count = starts.pop()
    reasons = (
        (top.codec != "h264", "H.264 is not asked for"),
        ((stream.width, stream.height) != (top.width, top.height), "it is made smaller"),
        (stream.frame_rate != rate, "its frame rate is changed"),
        (source.peak_bit_rate > top.max_bit_rate, f"it takes up to {source.peak_bit_rate // 1000} kb/s"),
        (source.peak_bit_rate > _MOST_PEAK * source.bit_rate, "its bit rate rises to more than twice the average"),
        (origin != stream.start, "sound begins before it"),
        (end - origin - frame_count / rate > _LATE_SOUND, "sound ends after it"),
    )
    for applies, reason in reasons:
        if applies:
            return reason
    cuts = _cuts(starts, frame_count, longest=round(_SEGMENT * rate), shortest=int(_SHORTEST_TAIL * rate))
    return (
        Copied(cuts=cuts, frame_count=frame_count, delay=source.delay)
        if cuts
        else "its last group of pictures is too short"
    )


def lowered(renditions: Sequence[VideoRendition], stream: VideoStream) -> Iterator[VideoRendition]:
    """Yield the renditions below a copied one, none at a higher bit rate than what it is made of is worth.

    Pixels count to the power of 3/4, about as the rungs of the default ladder do, and what another codec saves of the
    bits of a rung, it saves of these.
    """
    top, *others = renditions
    most = {video.codec: video.bit_rate for video in reversed(renditions)}  # of the largest size in each codec
    whole = top.bit_rate if stream.copyable is None else stream.copyable.bit_rate
    for rendition in others:
        share = (rendition.width * rendition.height) / (top.width * top.height)
        average = whole * most[rendition.codec] / most[top.codec]
        worth = max(64_000, 1000 * round(average * share**0.75 / 1000))  # 64 kb/s: below, headers outweigh pictures
        if worth < rendition.bit_rate:
            peak = round(worth * Fraction(rendition.max_bit_rate, rendition.bit_rate))
            yield rendition.model_copy(update={"bit_rate": worth, "max_bit_rate": peak})
        else:
            yield rendition


def _starts(groups: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield the first frame of each group, and at last how many frames there are."""
    frame = 0
    yield frame
    for count, length in groups:
        for _ in range(count):
            frame += length
            yield frame


def _cuts(starts: Sequence[int], frame_count: int, *, longest: int, shortest: int) -> tuple[int, ...]:
    """Cut at the last group that begins within `longest` frames; nothing if no such cuts leave a long enough end."""
    places = [0]  # in `starts`
    for place in range(1, len(starts)):
        stop = starts[place + 1] if place + 1 < len(starts) else frame_count
        if stop - starts[places[-1]] > longest:
            places.append(place)
    if len(places) > 1 and frame_count - starts[places[-1]] < shortest:
        places[-1] -= 1
        if places[-1] == places[-2]:
            return ()
    return tuple(starts[place] for place in places)
