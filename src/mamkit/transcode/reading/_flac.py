"""The sample rate of a FLAC file, which it says twice: once in its header, and in each frame (RFC 9639).

FFmpeg makes its clock of the header, which nothing guards: with a wrong rate there the film is half as long, or twice,
and with none in it the clock ticks 90,000 times a second whatever is heard. A frame has a checksum.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from mamkit.transcode.reading.source import Source, name_of, open_bytes, size_of

__all__ = ["with_true_rate"]

_TAG = b"ID3"  # which some writers put before the file: id3v2.4.0-structure section 3.1
_TAG_HEADER = 10  # bytes
_MAGIC = b"fLaC"
_BLOCK_HEADER = 4  # bytes: section 8.1
_RATE = slice(10, 13)  # of the body of the first block, streaminfo, where the rate has the upper 20 bits: section 8.2
_MOST_BLOCKS = 32  # each may be a journey to a store; files have three to ten
_WINDOW = 256 << 10  # bytes in which frames are looked for: a second or so
_FRAME = re.compile(rb"\xff[\xf8\xf9]")  # section 9.1
_LONGEST_HEADER = 16  # bytes
_BLOCK_SIZES = {6: 1, 7: 2}  # bytes at the end of a frame's header that say how large its block is: section 9.1.6
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)  # section 9.1.2
_WRITTEN_RATES = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}  # bytes, and Hz of one unit: section 9.1.7
_POLYNOMIAL = 0x107  # section 9.1.8


class _Header(NamedTuple):
    rate_at: int
    """Where the rate stands, bytes from the start of the file."""
    rate: int
    """Three bytes, the lower four bits of which are something else's."""
    frames_at: int
    """Where the first frame begins."""


def with_true_rate(source: Source, head: bytes) -> Source:
    """Return a FLAC file as one whose header has the rate that its frames have; any other file as it is.

    Args:
        source: The file.
        head: Its first four bytes, or more.
    """
    if not head.startswith((_MAGIC, _TAG)) or (header := _header(source)) is None:
        return source
    with open_bytes(source) as file:
        file.seek(header.frames_at)
        data = file.read(_WINDOW)
    said = header.rate >> 4
    if _rate(data[:_LONGEST_HEADER]) == said:  # as in nearly all files
        return source
    [(rate, _)] = Counter(_rates(data)).most_common(1) or [(0, 0)]
    if rate in {0, said}:
        return source
    return _Mended(source, header.rate_at, (rate << 4 | header.rate & 15).to_bytes(3))


def _header(source: Source) -> _Header | None:
    with open_bytes(source) as file:
        start = 0
        head = file.read(_TAG_HEADER)
        if head[:3] == _TAG and len(head) == _TAG_HEADER:
            sizes = head[6:10]  # seven bits each
            start = _TAG_HEADER + (sizes[0] << 21 | sizes[1] << 14 | sizes[2] << 7 | sizes[3])
        file.seek(start)
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
        at = start + len(_MAGIC)
        body = at + _BLOCK_HEADER
        file.seek(body)
        rate = file.read(_RATE.stop)[_RATE]
        for _ in range(_MOST_BLOCKS):
            file.seek(at)
            block = file.read(_BLOCK_HEADER)
            if len(block) < _BLOCK_HEADER:
                return None
            at += _BLOCK_HEADER + int.from_bytes(block[1:])
            if block[0] & 0x80:
                break
    return _Header(body + _RATE.start, int.from_bytes(rate), at) if len(rate) == 3 else None


def _rates(data: bytes) -> Iterator[int]:
    """Yield the rate of each frame that begins in some bytes; 0 where it says that the header has it."""
    for found in _FRAME.finditer(data):
        rate = _rate(data[found.start() : found.start() + _LONGEST_HEADER])
        if rate is not None:
            yield rate


def _rate(header: bytes) -> int | None:
    """Return the samples per second of a frame, 0 where the file's header has them; None if there is no frame."""
    if len(header) < _LONGEST_HEADER or not _FRAME.match(header) or header[3] & 1:
        return None
    code = header[2] & 15
    at = 4 + _number_length(header[4]) + _BLOCK_SIZES.get(header[2] >> 4, 0)
    length, unit = _WRITTEN_RATES.get(code, (0, 0))
    if code == 15 or _checksum(header[: at + length]) != header[at + length]:
        return None
    return int.from_bytes(header[at : at + length]) * unit if length else _RATES[code]


def _number_length(first: int) -> int:
    """Return how many bytes a frame's number has, by its first one: section 9.1.5."""
    ones = 8 - (~first & 0xFF).bit_length()
    return max(1, min(ones, 7))


def _checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return value


class _Mended:
    """A `RangeReader` in front of a file of which some bytes are others."""

    def __init__(self, source: Source, at: int, data: bytes) -> None:
        self.name, self.size = name_of(source), size_of(source)
        self._source, self._at, self._data = source, at, data

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes."""
        with open_bytes(self._source) as file:
            file.seek(start)
            found = bytearray(file.read(stop - start))
        first, last = max(start, self._at), min(stop, self._at + len(self._data))
        if first < last:
            found[first - start : last - start] = self._data[first - self._at : last - self._at]
        return bytes(found)
