"""Groups of coded pictures put together to segments, wherever the pictures come from."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from mamkit.transcode._events import EncodedSegment
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.models import KeyFrame, Plan, Segment
from mamkit.transcode.packaging.fmp4 import Sample, fragment
from mamkit.transcode.packaging.mpegts import H264Track
from mamkit.transcode.planning.plan import frame_range

__all__ = ["Clock", "SegmentWriter"]


class Clock:
    """The clock of a picture track on which a frame lasts a whole number of ticks.

    Args:
        rate: Frames per second.

    Attributes:
        timescale: Ticks per second: at least 1000, so that what readers round to ticks stays exact to a millisecond.
        frame: Ticks of a frame.
    """

    def __init__(self, rate: Fraction) -> None:
        scale = -(-1000 // rate.numerator)
        self.timescale = rate.numerator * scale
        self.frame = rate.denominator * scale


class SegmentWriter:
    """Writes the segments of one rendition, one fragment for each group of pictures.

    Args:
        plan: What the whole film becomes.
        rendition: Name of the rendition.
        segments: Which segments, a run.
        maker: Who makes the pictures, for errors.
        delay: Frames that must be decoded before the first one can be shown.
        header: The initialisation segment.
    """

    def __init__(self, plan: Plan, rendition: str, segments: range, *, maker: str, delay: int, header: bytes) -> None:
        if plan.frame_rate is None:
            raise ValueError("the plan has no video")
        self._rendition = rendition
        self._rate = plan.frame_rate
        self._clock = Clock(plan.frame_rate)
        self._maker = maker
        self._delay = delay
        self._transport = H264Track(header, plan.frame_rate, delay) if plan.container == "ts" else None
        self._waiting = [(index, frame_range(plan, index)) for index in segments]
        self._fragments: list[bytes] = []
        self._key_frames: list[KeyFrame] = []
        self.next = self._waiting[0][1].start
        """Frame that the next group begins with."""

    def write(self, group: Sequence[tuple[int, bytes]]) -> Iterator[EncodedSegment]:
        """Add a closed group of pictures; yield the segment that it completes.

        Args:
            group: Number of the frame and bytes as the file format stores them, of each picture in decode order; the
                first is a key frame, and the earliest.

        Raises:
            EncodeError: The group does not begin with the frame that is next, has gaps, or reaches into the segment
                after its own.
        """
        # Past the last segment nothing is wanted.
        index, frames = self._waiting[0] if self._waiting else (-1, range(self.next, self.next))
        numbers = [number for number, _ in group]
        first, stop = self.next, self.next + len(numbers)
        if numbers[:1] != [first] or sorted(numbers) != list(range(first, stop)) or stop > frames.stop:
            raise EncodeError(
                f"{self._maker!r} did not end its group of pictures at frame {first} or {frames.stop}",
                encoder=self._maker,
            )
        data, key_frame_end = self._packed(group, first)
        offset = sum(map(len, self._fragments))
        self._key_frames.append(KeyFrame(offset=offset, size=key_frame_end, time=Fraction(first) / self._rate))
        self._fragments.append(data)
        self.next = stop
        if stop == frames.stop:
            del self._waiting[0]
            yield self._segment(index, frames)

    def check_complete(self) -> None:
        """Check that nothing is missing.

        Raises:
            EncodeError: A segment is.
        """
        if self._waiting:
            raise EncodeError(f"{self._maker!r} made no segment {self._waiting[0][0]}", encoder=self._maker)

    def _packed(self, group: Sequence[tuple[int, bytes]], first: int) -> tuple[bytes, int]:
        """Return a group in the container, and where its key frame ends."""
        if self._transport is not None:
            return self._transport.run(group)
        made = fragment(
            [
                Sample(data, (number - first - place + self._delay) * self._clock.frame)
                for place, (number, data) in enumerate(group)
            ],
            duration=self._clock.frame,
            decode_time=first * self._clock.frame,
            sequence=first + 1,
            all_sync=False,
        )
        return made.data, made.first_sample_end

    def _segment(self, index: int, frames: range) -> EncodedSegment:
        data = b"".join(self._fragments)
        facts = Segment(
            rendition=self._rendition,
            index=index,
            duration=len(frames) / self._rate,
            size=len(data),
            key_frames=tuple(self._key_frames),
            file="ts" if self._transport else "m4s",
        )
        self._fragments, self._key_frames = [], []
        return EncodedSegment(facts, data)
