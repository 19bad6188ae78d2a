"""Timestamps that cannot be meant: lone ones that their neighbours contradict, and hours in which nothing happens.

A bit that flips in a file of three seconds makes it last nine hours: whoever believes it encodes nine hours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mamkit.errors import MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["LEAP", "LONGEST_STILL", "Islands", "Stretch", "in_order"]

LONGEST_STILL = 3600
"""Seconds in which nothing is seen or heard anew, at most: slides stand for so long, and then somebody goes on."""

LEAP = 10
"""Seconds that times may be out of order: pictures are stored a second or two before others that are shown earlier."""

_MOST_ISLANDS = 100  # beyond, what is new is added to the last one


def in_order(packets: "Iterator[av.Packet[Any]]") -> "Iterator[av.Packet[Any]]":
    """Yield packets, those of each stream in order, and mend each time that its neighbours on both sides contradict.

    One that is 10 s off from both, where those two are not, takes its place between them. No other has to wait for the
    next one of its stream, which may be far away in the file.

    Args:
        packets: Of any streams, and one without bytes at the end of each.

    Raises:
        av.FFmpegError: There is a broken place; what comes before it was yielded.
    """
    held: dict[int, _Held] = {}  # by stream: a packet that leaps, until the next one tells what to think of it
    last: dict[int, int] = {}
    leaps: dict[int, int] = {}
    try:
        for packet in packets:
            index, time = packet.stream.index, packet.dts
            if waiting := held.pop(index, None):
                waiting.mend(time, leaps[index])
                last[index] = waiting.packet.dts or 0
                yield waiting.packet
            if time is None or not packet.size:
                yield packet
                continue
            before = last.get(index)
            last[index] = time
            if before is None:
                leaps[index] = int(LEAP / (packet.stream.time_base or 1))
            elif not -leaps[index] <= time - before <= leaps[index]:
                held[index] = _Held(packet, before)
                continue
            yield packet
    except av.FFmpegError:
        yield from (waiting.packet for waiting in held.values())
        raise
    yield from (waiting.packet for waiting in held.values())


class _Held(NamedTuple):
    """A packet that is far from the one before it in its stream."""

    packet: "av.Packet[Any]"
    before: int

    def mend(self, following: int | None, leap: int) -> None:
        """Give the packet the time of its place if the next one is where the one before was."""
        here = self.packet.dts
        if here is None or following is None or not -leap <= following - self.before <= leap:
            return
        place = (self.before + following) // 2
        if self.packet.pts is not None:
            ahead = self.packet.pts - here
            self.packet.pts = place + (ahead if -leap <= ahead <= leap else 0)
        self.packet.dts = place


class Stretch(NamedTuple):
    """A stretch of time, seconds on the container's clock."""

    start: float
    stop: float

    def holds(self, time: float) -> bool:
        """Return whether a time lies within, both ends included."""
        return self.start <= time <= self.stop


class Islands:
    """The stretches of time in which things begin to be seen or heard, with nothing for long between them.

    Args:
        apart: Seconds between two, at least.
    """

    def __init__(self, apart: float = LONGEST_STILL) -> None:
        self._apart = apart
        self._islands: list[list[float]] = []  # of each: when its first and its last packet begin, and how many it has
        self._last: list[float] = []

    def __len__(self) -> int:
        return len(self._islands)

    def add(self, time: float) -> None:
        """Note a packet that is shown from a time on."""
        here = self._last
        if not here or not self._is_near(here, time):
            here = next((each for each in self._islands if self._is_near(each, time)), [])
            if not here:
                if len(self._islands) < _MOST_ISLANDS:
                    self._islands.append([time, time, 0])
                here = self._islands[-1]
            self._last = here
        here[2] += 1
        if not here[0] <= time <= here[1]:
            here[0], here[1] = min(time, here[0]), max(time, here[1])
            self._join(here)

    def main(self) -> Stretch:
        """Return the one with the most packets."""
        start, stop, _ = max(self._islands, key=lambda each: each[2])
        return Stretch(start, stop)

    def _join(self, grown: list[float]) -> None:
        """Make one of it and another that is no longer an hour away."""
        for each in self._islands:
            if each is not grown and (self._is_near(each, grown[0]) or self._is_near(each, grown[1])):
                grown[0], grown[1] = min(each[0], grown[0]), max(each[1], grown[1])
                grown[2] += each[2]
                self._islands.remove(each)
                return

    def _is_near(self, island: list[float], time: float) -> bool:
        return island[0] - self._apart <= time <= island[1] + self._apart
