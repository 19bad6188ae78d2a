"""Where the bytes of a source come from: a file here, or ranges that somebody reads, from an object store maybe."""

import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Protocol, cast, runtime_checkable

from mamkit.transcode.errors import SourceUnavailableError

__all__ = [
    "MOST_AHEAD",
    "MOST_AT_ONCE",
    "CachedRanges",
    "RangeReader",
    "ReadsMany",
    "Source",
    "fetch_ahead",
    "name_of",
    "open_bytes",
    "size_of",
]

_BLOCK = 256 << 10  # bytes; a key frame at 1080p, and less than one answer of a store takes to begin
MOST_AHEAD = 4 << 20
"""Bytes that are asked for at once, at most: while reading goes straight on."""
MOST_AT_ONCE = 32
"""Ranges that are asked for at once, at most."""
_CACHED = 32 << 20  # bytes kept: what several readers of one place of the file share


@runtime_checkable
class RangeReader(Protocol):
    """A source of which any range of bytes can be read, again and again, always the same.

    Methods may be called from several threads, not at the same time. What `read` raises ends the work, and reaches the
    caller as it is.
    """

    @property
    def name(self) -> str:
        """What the source is called in errors; a file name will do."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to before `stop`, where 0 <= start < stop <= size: all of them."""


@runtime_checkable
class ReadsMany(Protocol):
    """What a `RangeReader` can do, too, that has a long way to go: bring several ranges in the time of one or two."""

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range, as `RangeReader.read` does."""


Source = str | Path | RangeReader
"""The path of a regular file, or something that ranges are read from."""


def name_of(source: Source) -> str:
    """Return what a source is called in errors."""
    return Path(source).name if isinstance(source, (str, Path)) else source.name


def size_of(source: Source) -> int:
    """Return the bytes of a source.

    Raises:
        OSError: There is no such file.
    """
    if isinstance(source, (str, Path)):
        return Path(source).stat().st_size
    return source.size


def open_bytes(source: Source) -> BinaryIO:
    """Open a source for reading anywhere.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
    """
    if not isinstance(source, (str, Path)):
        return cast("BinaryIO", _RangeFile(source))
    try:
        if not stat.S_ISREG(Path(source).stat().st_mode):  # a pipe or a device might never end, or never answer
            raise SourceUnavailableError(f"{str(source)!r} is not a regular file")
        return Path(source).open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SourceUnavailableError(f"{str(source)!r} cannot be read: {error}") from error


def fetch_ahead(source: Source, ranges: Sequence[tuple[int, int]]) -> None:
    """Say which ranges of a source are read next, each as it is named here, so that they can be asked for together.

    Args:
        source: To be read.
        ranges: At most `MOST_AT_ONCE`, and of `MOST_AHEAD` bytes together.
    """
    if isinstance(source, CachedRanges):
        source.fetch(ranges)


class CachedRanges:
    """A `RangeReader` that asks another one in blocks, more at once while reading goes straight on, and keeps some.

    Safe to read from in several threads at once.

    Args:
        inner: What is asked, by one thread at a time.
    """

    def __init__(self, inner: RangeReader) -> None:
        self.name, self.size = inner.name, inner.size
        self._inner = inner
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._fetched: dict[tuple[int, int], bytes] = {}
        self._expected = 0  # block that comes next if reading goes straight on
        self._ahead = 1  # blocks

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes."""
        with self._lock:
            if (start, stop) in self._fetched:
                return self._fetched.pop((start, stop))
            parts = []
            last = -(-stop // _BLOCK)
            for number in range(start // _BLOCK, last):
                first = number * _BLOCK
                parts.append(self._block(number, last)[max(0, start - first) : stop - first])
            return b"".join(parts)

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Ask for ranges together; see `fetch_ahead`."""
        with self._lock:
            wanted = [each for each in dict.fromkeys(ranges) if self._missing_in(*each)]
            if wanted and isinstance(self._inner, ReadsMany):
                self._fetched = dict(zip(wanted, self._inner.read_many(wanted), strict=True))

    def _block(self, number: int, last: int) -> bytes:
        if number not in self._blocks:
            self._ahead = min(2 * self._ahead, MOST_AHEAD // _BLOCK) if number == self._expected else 1
            self._ahead = max(self._ahead, self._missing(number, last))
            start = number * _BLOCK
            data = self._inner.read(start, min(start + self._ahead * _BLOCK, self.size))
            for offset in range(0, len(data), _BLOCK):
                self._blocks[number + offset // _BLOCK] = data[offset : offset + _BLOCK]
            self._expected = number + self._ahead
            while len(self._blocks) > _CACHED // _BLOCK:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _missing_in(self, start: int, stop: int) -> bool:
        return not self._blocks.keys() >= set(range(start // _BLOCK, -(-stop // _BLOCK)))

    def _missing(self, number: int, last: int) -> int:
        """Return how many blocks from one on, and before the last, are to be asked for together."""
        bound = min(last, number + MOST_AHEAD // _BLOCK)
        return next((n for n in range(number, bound) if n in self._blocks), bound) - number


class _RangeFile(BufferedIOBase):
    """The face of a file that FFmpeg reads through, in front of ranges."""

    def __init__(self, ranges: RangeReader) -> None:
        self._ranges = ranges
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        base = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._ranges.size}[whence]
        if base + offset < 0:
            raise ValueError(f"there is nothing before the start: {base + offset}")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        stop = self._ranges.size if size is None or size < 0 else min(self._at + size, self._ranges.size)
        if stop <= self._at:
            return b""
        data = self._ranges.read(self._at, stop)
        self._at += len(data)
        return data
