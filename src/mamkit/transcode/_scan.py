"""When the packets of a file are shown: measured, because headers are wrong about it too often.

Nothing is decoded. A small file is read through; of a large one the beginning and the end are, unless its end cannot be
found that way.
"""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream

from mamkit.transcode._input import open_source
from mamkit.transcode.source import Source

__all__ = ["Timing", "scan"]

_READ_THROUGH = 64 << 20  # bytes; read in well under a second
_HEAD_PACKETS = 2_000  # of all streams: half a minute or more, and enough to measure a rate
_TAIL = 10  # seconds before the end that the headers promise
_KEPT_TIMES = 1_000  # first pictures of which the spacing is looked at
_JITTER = Fraction(1, 4)  # of a frame
_COARSE_JITTER = Fraction(1, 2)  # of a frame, for fast films on a clock of milliseconds; two ticks at most
_STEADY_SHARE = Fraction(95, 100)  # of frames that keep their distance in a film of constant rate


@dataclass(slots=True)
class Timing:
    """What the packets of one stream say."""

    tick: Fraction
    """Seconds of one unit of the stream's clock."""
    end: Fraction | None = None
    """When the last packet ends, seconds on the container's clock."""
    times: list[Fraction] = field(default_factory=list)
    """When the first packets are shown, in order of decoding."""

    def add(self, packet: "av.Packet[Stream]") -> None:
        """Take note of a packet; those that are only decoded, or have no time, are passed over."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.is_discard:
            return
        time = stamp * self.tick
        end = time + (packet.duration or 0) * self.tick
        self.end = end if self.end is None else max(self.end, end)
        if len(self.times) < _KEPT_TIMES:
            self.times.append(time)

    def rate(self) -> Fraction | None:
        """Return packets per second, or None where there are fewer than two; gaps in a constant rate do not count."""
        spacing = self._spacing()
        if not self.is_variable():
            spacing = self._steady(spacing)
        return len(spacing) / sum(spacing, Fraction(0)) if spacing else None

    def is_variable(self) -> bool:
        """Return whether the packets do not keep one distance."""
        spacing = self._spacing()
        return len(self._steady(spacing)) < _STEADY_SHARE * len(spacing)

    def _spacing(self) -> list[Fraction]:
        """Return the seconds from each of the first packets to the next, in order of presentation."""
        return [b - a for a, b in itertools.pairwise(sorted(self.times)) if b > a]

    def _steady(self, spacing: list[Fraction]) -> list[Fraction]:
        """Return the distances that are the usual one."""
        if not spacing:
            return []
        usual = statistics.median(spacing)
        allowed = max(_JITTER * usual, min(2 * self.tick, _COARSE_JITTER * usual))
        return [distance for distance in spacing if abs(distance - usual) <= allowed]


def scan(source: Source, indices: Iterable[int]) -> dict[int, Timing]:
    """Return the timing of streams by their index; it has no `end` where a stream has no packet with a time."""
    wanted = tuple(indices)
    with open_source(source) as container:
        timings = {index: Timing(tick=container.streams[index].time_base or Fraction(1)) for index in wanted}
        large = source.size > _READ_THROUGH
        _read(container, timings, at_most=_HEAD_PACKETS if large else None)
    if large:
        tail = {index: Timing(tick=timing.tick) for index, timing in timings.items()}
        with open_source(source) as container:
            found = _read_tail(container, tail)
        if not found:
            with open_source(source) as container:
                _read(container, tail, at_most=None)
        for index, timing in tail.items():
            timings[index].end = timing.end or timings[index].end
    return timings


def _read(source: InputContainer, timings: dict[int, Timing], *, at_most: int | None) -> None:
    """Read on from where the source stands; a broken place is where the film ends."""
    streams: Sequence[Stream] = [source.streams[index] for index in timings]
    try:
        for packet in itertools.islice(source.demux(*streams), at_most):
            timings[packet.stream.index].add(packet)
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def _read_tail(source: InputContainer, timings: dict[int, Timing]) -> bool:
    """Read the last seconds, and return whether there was an end of every stream."""
    if source.duration is None:
        return False
    tail = (source.start_time or 0) + source.duration - _TAIL * av.time_base
    try:
        source.seek(max(0, tail))
    except av.FFmpegError:
        return False
    _read(source, timings, at_most=None)
    return all(timing.end is not None for timing in timings.values())
