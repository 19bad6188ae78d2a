"""When the packets of a file are shown: measured, because headers are wrong about it too often.

Nothing is decoded. A small file is read through; of a large one the beginning and the end are, unless its end cannot be
found that way.
"""

import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Discard, Stream

from mamkit.transcode.limits import Limits
from mamkit.transcode.reading import _adts
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading._order import LEAP, LONGEST_STILL, Islands, Stretch
from mamkit.transcode.reading.source import Source, size_of

__all__ = ["Timing", "left_out", "longest", "scan"]

_READ_THROUGH = 64 << 20  # bytes; read in well under a second
_READ_THROUGH_BY_TABLE = 4 << 20  # bytes of a film in MP4, where seeking costs no reading
_HEAD_PACKETS = 2_000  # of all streams: half a minute or more, and enough to measure a rate
_BEFORE_ALL = -(1 << 40)  # microseconds: before any time that a film begins at
_TAIL = 10  # seconds before the end that the headers promise
_MOST_READ = 1 << 30  # bytes of a file whose times are strange and that is read through for them
_THIN = 4096  # bytes a second, sound of 32 kb/s: a large file of fewer is read through, in search of an hour of nothing
_FAR = 1 << 62  # ticks: later than anything
_BACK = 1  # seconds that decode times may go back: they should not at all
_LASTS = 10  # seconds that the last picture before an hour of nothing may last
_THINNEST = 32  # bytes a second: silence and black of the best codecs take more
_KEPT_TIMES = 1_000  # first pictures of which the spacing is looked at
_JITTER = 0.25  # of a frame
_COARSE_JITTER = 0.5  # of a frame, for fast films on a clock of milliseconds; two ticks at most
_STEADY_SHARE = Fraction(95, 100)  # of frames that keep their distance in a film of constant rate


@dataclass(slots=True)
class Timing:
    """What the packets of one stream say."""

    tick: Fraction
    """Seconds of one unit of the stream's clock."""
    last: int | None = None
    """When the last packet ends, in ticks, as everything that is noted of each of a film's many packets."""
    stamps: list[int] = field(default_factory=list)
    """When the first packets are shown, in ticks, in order of decoding."""
    counted: bool = True
    """Whether no packet had a time so far: those of an elementary stream never have one, and are shown in turn."""
    decoded: list[int] = field(default_factory=list)
    """When the first packets are decoded, in ticks."""
    sparse: bool = False
    """Whether packets say when they are decoded and not when they are shown: in program streams, most of them."""
    delay: int = _FAR
    """Ticks from when a picture is decoded to when it is shown, at least."""
    rewound: bool = False
    """Whether time goes back: what is shown then has had its turn."""
    before: int = -_FAR
    """When the packet before was decoded, in ticks."""
    within: Stretch | None = None
    """Where the film is, if there is an hour of nothing before or after it: all else is passed over."""
    by_decoding: bool = False
    """Whether a packet lasts until the next one is decoded (pictures in MP4), and not until another one is shown."""

    seconds: float = field(init=False)
    """The same as `tick`, for what is done with each packet."""
    _back: int = field(init=False)
    _longest: int = field(init=False)
    _shown: int = field(init=False, default=-_FAR)

    def __post_init__(self) -> None:
        self.seconds = float(self.tick)
        self._back, self._longest = int(_BACK / self.tick), int(LONGEST_STILL / self.tick)

    @property
    def end(self) -> Fraction | None:
        """When the last packet ends, seconds on the container's clock."""
        return None if self.last is None else self.last * self.tick

    @property
    def first(self) -> Fraction | None:
        """When the first packet is shown, seconds on the container's clock."""
        return min(self.stamps) * self.tick if self.stamps else None

    def ends_with_a_start(self) -> bool:
        """Return whether the last packet, of the few that there are, does not say how long it lasts."""
        return bool(self.stamps) and self.last == max(self.stamps)

    def add(self, packet: "av.Packet[Stream]") -> int | None:
        """Take note of a packet and return when it is shown, in ticks.

        Those that are only decoded, have no time where others have, or are outside of the film are passed over.
        """
        stamp = packet.pts
        if packet.dts is not None:
            if not packet.is_discard:  # edit lists that leave something out begin at the key frame before
                self.rewound |= self.before - packet.dts > self._back
                self.before = packet.dts
            if stamp is None:
                stamp = packet.dts + (self.delay if self.delay < _FAR else 0)
            elif stamp - packet.dts < self.delay:
                self.delay = stamp - packet.dts
        if packet.is_discard or (stamp is None and not (self.counted and packet.duration)):
            return None
        if stamp is None:
            stamp = self.last or 0
        elif self.counted:
            self.counted, self.last = False, None
            self.stamps.clear()
        if self.within is not None and not self.within.holds(stamp * self.seconds):
            return None
        self._note_end(stamp, min(packet.duration or 0, self._longest))
        if len(self.stamps) < _KEPT_TIMES:
            self.stamps.append(stamp)
            if packet.dts is not None:
                self.decoded.append(packet.dts)
                self.sparse |= packet.pts is None
        return stamp

    def _note_end(self, stamp: int, lasts: int) -> None:
        if self.by_decoding:  # what comes last in the file is followed by nothing, and says how long the last one lasts
            self._shown = stamp = max(self._shown, stamp)
        if self.within is not None and (stamp + lasts) * self.seconds > self.within.stop + _LASTS:
            lasts = 0  # up to what is left out, it says
        self.last = stamp + lasts if self.last is None or self.by_decoding else max(self.last, stamp + lasts)

    def rate(self) -> Fraction | None:
        """Return packets per second, or None where there are fewer than two; gaps in a constant rate do not count."""
        spacing = self._spacing()
        if not self.is_variable():
            spacing = self._steady(spacing)
        return len(spacing) / (sum(spacing) * self.tick) if spacing else None

    def is_variable(self) -> bool:
        """Return whether the packets do not keep one distance."""
        spacing = self._spacing()
        return len(self._steady(spacing)) < _STEADY_SHARE * len(spacing)

    def _spacing(self) -> list[int]:
        """Return the ticks from each of the first packets to the next, in order of presentation."""
        stamps = self.decoded if self.sparse else self.stamps
        return [b - a for a, b in itertools.pairwise(sorted(stamps)) if b > a]

    def _steady(self, spacing: list[int]) -> list[int]:
        """Return the distances that are the usual one."""
        if not spacing:
            return []
        usual = statistics.median(spacing)
        allowed = max(_JITTER * usual, min(2, _COARSE_JITTER * usual))  # in ticks
        return [distance for distance in spacing if abs(distance - usual) <= allowed]


def scan(file: Source, indices: Iterable[int], opened: InputContainer) -> dict[int, Timing]:
    """Return the timing of streams by their index; it has no `end` where a stream has no packet with a time.

    Args:
        file: The source.
        indices: Of the streams.
        opened: The source, already open: of a long film in MP4 it takes a while to read the index again. It is left
            somewhere else.
    """
    wanted = tuple(indices)
    size, by_table = size_of(file), "mp4" in opened.format.name
    large = size > (min(_READ_THROUGH, _READ_THROUGH_BY_TABLE) if by_table else _READ_THROUGH)
    large &= opened.format.name != _adts.NAME  # whose end has a time only after all that comes before it
    with nullcontext(opened) if large and by_table and _rewound(opened) else open_source(file) as source:
        timings = _timings(source, wanted)
        islands = _read(source, timings, at_most=_HEAD_PACKETS if large else None)
        tail = _timings(source, wanted)
        found = large and _read_tail(source, tail)
    if large:
        strange = len(islands) > 1 or _rewound_in(timings)
        if not found or (size <= _MOST_READ and (strange or size < _THIN * _span(timings, tail))):
            with open_source(file) as source:
                timings = _timings(source, wanted)
                islands = _read(source, timings, at_most=None)
        else:
            for index, timing in tail.items():
                timings[index].last = timings[index].last if timing.last is None else timing.last
            return timings
    if _rewound_in(timings):  # where time goes back, a gap is none that was meant
        with open_source(file) as source:
            timings = _timings(source, wanted)
            islands = _read(source, timings, at_most=None, apart=LEAP)
    if len(islands) > 1:
        with open_source(file) as source:
            timings = _timings(source, wanted, within=islands.main())
            _read(source, timings, at_most=None)
    return timings


def left_out(timings: Iterable[Timing]) -> Iterator[str]:
    """Yield a sentence on each reason for which packets are not shown."""
    found = list(timings)
    if any(timing.within is not None for timing in found):
        yield "what is far away in time from all the rest is left out, because its times cannot be meant"
    if any(timing.rewound for timing in found):
        yield "time goes back in it, as in recordings that were put behind each other: what is shown twice is left out"


def longest(size: int, limits: Limits) -> float:
    """Return the seconds that a film may last: an hour more than its bytes can fill, so that a small one costs little.

    Args:
        size: Bytes of the file.
        limits: What holds for all films.
    """
    return min(limits.duration.total_seconds(), LONGEST_STILL + size / _THINNEST)


def _timings(source: InputContainer, indices: Iterable[int], within: Stretch | None = None) -> dict[int, Timing]:
    streams = [source.streams[index] for index in indices]
    by_table = "mp4" in source.format.name
    return {
        stream.index: Timing(
            tick=stream.time_base or Fraction(1), within=within, by_decoding=by_table and stream.type == "video"
        )
        for stream in streams
    }


def _rewound_in(timings: dict[int, Timing]) -> bool:
    return any(timing.rewound for timing in timings.values())


def _span(head: dict[int, Timing], tail: dict[int, Timing]) -> Fraction:
    """Return the seconds from the first packet of a file to the end of its last one."""
    starts = [timing.first for timing in head.values() if timing.first is not None]
    ends = [timing.end for timing in (*head.values(), *tail.values()) if timing.end is not None]
    return max(ends, default=Fraction(0)) - min(starts, default=Fraction(0))


def _rewound(source: InputContainer) -> bool:
    """Go back to the first packet of every stream; return whether the demuxer can."""
    for stream in source.streams:
        stream.discard = Discard.default
    try:
        source.seek(_BEFORE_ALL)
    except MemoryError:
        raise
    except av.FFmpegError:
        return False
    return True


def _read(
    source: InputContainer, timings: dict[int, Timing], *, at_most: int | None, apart: float = LONGEST_STILL
) -> Islands:
    """Read on from where the source stands, and return where something is; a broken place is where the film ends."""
    streams: Sequence[Stream] = [source.streams[index] for index in timings]
    islands = Islands(apart)
    try:
        for packet in itertools.islice(packets(source, *streams), at_most):
            timing = timings[packet.stream.index]
            stamp = timing.add(packet)
            if stamp is not None:
                islands.add(stamp * timing.seconds)
    except MemoryError:
        raise
    except av.FFmpegError:
        pass
    return islands


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
    return all(timing.last is not None for timing in timings.values())
