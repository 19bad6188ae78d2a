"""A stored object as a seekable file, so that what reads files (libav, zipfile, …) reads any store."""

import io
from typing import TYPE_CHECKING

from mamkit.storage.errors import ObjectChangedError
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.protocols import ObjectReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ObjectFile", "open_seekable"]

_FIRST_WINDOW = 64 * 1024  # bytes read after a jump: what a demuxer wants of an index or a header
_LARGEST_WINDOW = 4 * 1024 * 1024  # bytes; reading on doubles the window up to here, the memory of one open file


def open_seekable(store: ObjectReader, key: str) -> "ObjectFile":
    """Open an object as a binary file for reading and seeking.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
    """
    return ObjectFile(store, store.head(key))


class ObjectFile(io.RawIOBase):
    """A binary file over range reads.

    A few MiB are held at most, however large the object is. A window of bytes is read at a time: a small one after a
    jump, and larger ones the longer the reading goes on. To be used by one thread at a time.

    Args:
        store: Holds the object.
        info: Facts of the object.
    """

    def __init__(self, store: ObjectReader, info: ObjectInfo) -> None:
        super().__init__()
        self._store = store
        self._info = info
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._next_size = _FIRST_WINDOW

    @property
    def info(self) -> ObjectInfo:
        """Facts of the object that was opened."""
        return self._info

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes from the start."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which may be past the end, and return it.

        Raises:
            ValueError: The position is before the start, or `whence` is unknown.
        """
        self._check_open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size}
        if whence not in bases:
            raise ValueError(f"whence is {whence}; it must be 0, 1 or 2")
        if bases[whence] + offset < 0:
            raise ValueError(f"byte {bases[whence] + offset} is before the start of the file")
        self._position = bases[whence] + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read up to as many bytes as the buffer takes, and return how many; 0 at the end.

        Raises:
            ObjectChangedError: The object was replaced since it was opened.
            ObjectNotFoundError: It was removed.
        """
        self._check_open()
        with memoryview(buffer) as view, view.cast("B") as target:
            if not target or self._position >= self._info.size:
                return 0
            if not self._window_start <= self._position < self._window_start + len(self._window):
                self._load()
            offset = self._position - self._window_start
            count = min(len(target), len(self._window) - offset)
            target[:count] = self._window[offset : offset + count]
        self._position += count
        return count

    def _load(self) -> None:
        """Read the window that starts at the position."""
        goes_on = self._position == self._window_start + len(self._window)
        self._next_size = min(2 * self._next_size, _LARGEST_WINDOW) if goes_on else _FIRST_WINDOW
        with self._store.get(self._info.key, ByteRange(self._position, self._position + self._next_size)) as body:
            if body.info.etag != self._info.etag:
                raise ObjectChangedError(self._info.key, expected=self._info.etag, actual=body.info.etag)
            self._window, self._window_start = body.read(), self._position

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
