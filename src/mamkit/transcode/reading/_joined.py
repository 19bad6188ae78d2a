"""Transport streams behind each other in one file, as recorders and `cat` leave them: one film with one clock.

Each stretch has a clock of its own, and FFmpeg shows the first one only. So their clocks are moved while the file is
read: each begins where the one before ends. No byte changes its place, and whoever reads may seek as in any film.
"""

import statistics
from collections.abc import Sequence

from mamkit.transcode.models import Join
from mamkit.transcode.reading._transport import (
    PACKET,
    TICKS,
    Clock,
    clocks,
    following,
    moved,
    starts_of_tables,
    synchronised,
)
from mamkit.transcode.reading.source import Source, name_of, open_bytes, size_of

__all__ = ["find_joins", "joined"]

_READ_THROUGH = 64 << 20  # bytes; of a larger file as many places are looked at,
_PLACES = 256
_WINDOW = 512 * PACKET  # bytes that are read at each: clocks stand at least every 0.1 s, section 2.7.2
_BLOCK = 4096 * PACKET
_NEAR = 8 * _BLOCK  # bytes among which the place of a join is looked for packet by packet
_AROUND = 16 * 1024 * PACKET  # bytes before and after a join in which its last and first pictures are
_BACK = -9_000  # ticks: a clock that goes back by a tenth of a second is another one
_AHEAD = 90_000 * 60  # ticks: so is one that leaps by a minute, where a recording that has gaps only leaps by seconds
_UNUSUAL = 20  # times the usual ticks from place to place
_MOST = 100  # joins: each is read around


def joined(source: Source, joins: Sequence[Join]) -> Source:
    """Return a source whose clocks go on at the joins."""
    return _Joined(source, joins) if joins else source


def find_joins(source: Source) -> tuple[Join, ...]:
    """Return where the stretches of a transport stream begin but the first, and how far each clock is moved.

    In any other file there are none.

    A file of up to 64 MB is read through. A larger one is looked at in 256 places, and by halves where the clock does
    not go on between two of them: a stretch shorter than a 256th of the file may be missed.

    Args:
        source: The file.
    """
    found: list[Join] = []
    if synchronised(_read(source, 0, _WINDOW)) != 0:
        return ()
    size = size_of(source)
    step = max(_BLOCK, size // _PLACES) if size > _READ_THROUGH else _BLOCK
    before: Clock | None = None
    usual: list[int] = []
    at = 0
    while at < size and len(found) < _MOST:
        here = _clocks(source, at, _BLOCK if step == _BLOCK else _WINDOW, before.pid if before else None)
        for clock in here:
            while before is not None and _leaps(before, clock, usual) and len(found) < _MOST:
                edge = _edge(source, before, clock, usual)
                if edge is None:
                    break
                position, before = edge
                shift = _shift(joined(source, found), source, position)
                if shift is not None:
                    found.append(Join(position=position, shift=shift))
            if before is not None:
                usual.append((clock.ticks - before.ticks) % TICKS)
            before = clock
        at += step
    return tuple(found)


def _leaps(before: Clock, after: Clock, usual: Sequence[int]) -> bool:
    """Return whether a clock is not the one before, going on."""
    ticks = (after.ticks - before.ticks + TICKS // 2) % TICKS - TICKS // 2
    return ticks < _BACK or ticks > max(_AHEAD, _UNUSUAL * statistics.median(usual[-_PLACES:] or [0]))


def _edge(source: Source, before: Clock, after: Clock, usual: Sequence[int]) -> tuple[int, Clock] | None:
    """Return where the first stretch between two clocks begins that is another than the one before, and its clock."""
    low, high = before, after
    while high.position - low.position > _NEAR:
        middle = next(iter(_clocks(source, (low.position + high.position) // 2, _WINDOW, before.pid)), None)
        if middle is None or not low.position < middle.position < high.position:
            break
        low, high = (low, middle) if _leaps(low, middle, usual) else (middle, high)
    start, last = low.position, low
    while start < high.position + PACKET:
        for clock in _clocks(source, start, _BLOCK, before.pid):
            if _leaps(last, clock, ()):
                return _beginning(source, last.position, clock.position), clock
            last = clock
        start += _BLOCK
    return None


def _beginning(source: Source, last: int, first: int) -> int:
    """Return where a stretch begins whose first clock is in one packet, and the last of the one before in another."""
    start = first - (first - last) // PACKET * PACKET  # in step with its own packets
    tables = starts_of_tables(_read(source, start, first))
    return first if tables is None else start + tables


def _shift(before: Source, source: Source, position: int) -> int | None:
    start = max(0, position - _AROUND)
    end = _read(before, start, position)
    at = synchronised(end) or 0
    return following(end[at:], _read(source, position, position + _AROUND))


def _clocks(source: Source, start: int, length: int, pid: int | None) -> list[Clock]:
    """Return the clocks of one program in a range of a file: of that of the first clock if none is named."""
    data = _read(source, start, start + length + 2 * PACKET)
    found: list[Clock] = []
    at = synchronised(data)
    while at is not None and at < length:
        stop = at
        while stop + PACKET <= len(data) and data[stop] == data[at]:
            stop += PACKET
        for clock in clocks(data[at:stop]):
            pid = clock.pid if pid is None else pid
            if clock.pid == pid and at + clock.position < length:
                found.append(clock._replace(position=start + at + clock.position))
        at = synchronised(data, stop) if stop + PACKET <= len(data) else None
    return found


def _read(source: Source, start: int, stop: int) -> bytes:
    with open_bytes(source) as file:
        file.seek(start)
        return file.read(max(0, stop - start))


class _Joined:
    """A `RangeReader` in front of a file whose clocks are moved."""

    def __init__(self, source: Source, joins: Sequence[Join]) -> None:
        self.name, self.size = name_of(source), size_of(source)
        self._source = source
        self._joins = joins

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes."""
        parts = [_read(self._source, start, min(stop, self._joins[0].position))]
        stops = [join.position for join in self._joins[1:]] + [self.size]
        for join, end in zip(self._joins, stops, strict=True):
            if start < end and join.position < stop:
                first = max(join.position, start - (start - join.position) % PACKET)
                last = min(end, stop + PACKET)  # with the whole of the last packet
                data = moved(_read(self._source, first, last), join.shift)
                parts.append(data[max(start, join.position) - first : min(stop, end) - first])
        return b"".join(parts)
