"""The clocks in MPEG transport streams (ISO/IEC 13818-1, to which each number here refers): read, and moved."""

import itertools
import statistics
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PACKET", "TICKS", "Clock", "clocks", "following", "moved", "starts_of_tables", "synchronised"]

PACKET = 188
"""Bytes of a packet: section 2.4.3.2."""

TICKS = 1 << 33
"""After so many ticks of 1/90,000 s all clocks begin anew: section 2.4.3.7."""

_SYNC = 0x47
_ENOUGH = 3  # packets with a sync byte in a row that are taken for packets
_TABLES = {0x00, 0x11}  # PIDs of the tables that a multiplexer begins with: PAT, and DVB's SDT
_MARKED = {0x21, 0x31, 0x11}  # of a time stamp: prefix of PTS alone, of PTS before DTS, and of DTS, with a marker bit
_LONGEST_START = 90_000 * 10  # ticks among which the first and last pictures of a stretch are looked for


class Clock(NamedTuple):
    """A time in the stream."""

    position: int
    """Bytes from the start of the data to its packet."""
    pid: int
    ticks: int


def synchronised(data: bytes | bytearray, start: int = 0) -> int | None:
    """Return where packets begin at or after a byte; None where there are none."""
    last = min(len(data) - PACKET * (_ENOUGH - 1), start + 8 * PACKET)
    for at in range(start, max(start, last)):
        if all(data[at + n * PACKET] == _SYNC for n in range(_ENOUGH)):
            return at
    return None


def clocks(data: bytes | bytearray) -> Iterator[Clock]:
    """Yield the program clock references (section 2.4.3.5) of data that begins with a packet."""
    for n, flags in enumerate(data[3::PACKET]):
        at = n * PACKET
        if flags & 0x20 and at + 12 <= len(data) and data[at] == _SYNC and data[at + 4] >= 7 and data[at + 5] & 0x10:
            yield Clock(at, _pid(data, at), int.from_bytes(data[at + 6 : at + 11]) >> 7)


def starts_of_tables(data: bytes | bytearray) -> int | None:
    """Return where the last run of tables in the data begins, which begins with a packet; None where there is none."""
    last = None
    for at in range(0, len(data) - PACKET + 1, PACKET):
        if _pid(data, at) in _TABLES and (last is None or _pid(data, at - PACKET) not in _TABLES or at == 0):
            last = at
    return last


def following(before: bytes, after: bytes) -> int | None:
    """Return by how many ticks to move the clocks of a stretch so that it goes on where the one before ends.

    Pictures keep their distance; where there are none, sound does.

    Args:
        before: The end of the one, of whole packets.
        after: The beginning of the other.
    """
    for kinds in (range(0xE0, 0xF0), (*range(0xC0, 0xE0), 0xBD)):  # stream ids of table 2-22
        ends, begins = ([stamp for stamp in _stamps(data) if stamp.pid in kinds] for data in (before, after))
        if ends and begins:
            last, first = ends[-1].ticks, begins[0].ticks
            shown = sorted(_distance(last, stamp.ticks) for stamp in ends)
            shown = [ticks for ticks in shown if abs(ticks) < _LONGEST_START]
            steps = [b - a for a, b in itertools.pairwise(shown) if b > a]
            earliest = min(_distance(first, stamp.ticks) for stamp in begins[:16])
            step = round(statistics.median(steps)) if steps else 0
            return (last + shown[-1] + step - first - earliest) % TICKS
    return None


def moved(data: bytes, shift: int) -> bytes:
    """Return whole packets with all their clocks moved.

    Args:
        data: Begins with a packet; a last piece of one is left as it is.
        shift: Ticks that are added.
    """
    out = bytearray(data)
    for clock in clocks(data):
        at = clock.position + 6
        rest = int.from_bytes(out[at : at + 6]) & ((1 << 15) - 1)
        out[at : at + 6] = ((((clock.ticks + shift) % TICKS) << 15) | rest).to_bytes(6)
    for at, ticks in _stamp_places(data):
        value, prefix = (ticks + shift) % TICKS, out[at] & 0xF0
        out[at] = prefix | (value >> 29) & 0x0E | 1
        out[at + 1 : at + 3] = (((value >> 15) & 0x7FFF) << 1 | 1).to_bytes(2)
        out[at + 3 : at + 5] = ((value & 0x7FFF) << 1 | 1).to_bytes(2)
    return bytes(out)


def _stamps(data: bytes) -> Iterator[Clock]:
    """Yield when things are shown, with the stream id in the place of the PID."""
    for start, stream in _headers(data):
        if data[start + 7] & 0x80 and (ticks := _stamp(data, start + 9)) is not None:
            yield Clock(start, stream, ticks)


def _stamp_places(data: bytes) -> Iterator[tuple[int, int]]:
    for start, _ in _headers(data):
        flags = data[start + 7] >> 6
        for at in ((start + 9,), (start + 9, start + 14))[flags == 3] if flags & 2 else ():
            ticks = _stamp(data, at)
            if ticks is not None:
                yield at, ticks


def _stamp(data: bytes, at: int) -> int | None:
    """Read a PTS or DTS (section 2.4.3.7); None where that is none."""
    if at + 5 > len(data) or data[at] & 0xF1 not in _MARKED:
        return None
    high, middle, low = data[at] >> 1 & 7, int.from_bytes(data[at + 1 : at + 3]), int.from_bytes(data[at + 3 : at + 5])
    return high << 30 | middle >> 1 << 15 | low >> 1


def _headers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the headers of packets of pictures and sound begin (table 2-21), and their stream ids."""
    for n, flags in enumerate(data[1::PACKET]):
        at = n * PACKET
        if not flags & 0x40 or data[at] != _SYNC or at + PACKET > len(data):
            continue
        start = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        room = at + PACKET - start
        stream = data[start + 3] if room >= 19 and data[start : start + 3] == b"\0\0\1" else 0  # 19: up to the DTS
        if stream in {0xBD, 0xFD} or 0xC0 <= stream < 0xF0:
            yield start, stream


def _distance(start: int, stop: int) -> int:
    """Return the ticks from one time to another, the shorter way around."""
    return (stop - start + TICKS // 2) % TICKS - TICKS // 2


def _pid(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF
