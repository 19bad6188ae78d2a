"""Files as where bytes come from: what the kernel can copy by itself does not pass through this process."""

import io
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["MOVED", "WatchedFile", "move", "mover", "write_all"]

MOVED = 8 * 1024 * 1024  # bytes that the kernel copies at once: some 3 ms, after which size and progress are looked at
_WRITTEN = 64 * 1024  # bytes; see `write_all`


def move(source: BinaryIO, target: int, count: int = MOVED) -> int:
    """Let the kernel copy the next bytes of a file to a descriptor, at the positions of both, and return how many.

    Where the file system can, the files share the bytes until one of them is changed (`copy_file_range(2)`). None are
    copied at the end of the source, and where the kernel cannot; reading it says which.
    """
    if sys.platform != "linux":
        return 0
    start, moved = source.tell(), 0
    # Two file systems, one of a kind that cannot, a full disk: writing says which.
    with suppress(OSError):
        moved = os.copy_file_range(source.fileno(), target, count, start)
    if not moved:
        with suppress(OSError):
            moved = os.sendfile(target, source.fileno(), start, count)
    if moved:
        source.seek(start + moved)
    return moved


def mover(source: object) -> Callable[[int], int] | None:
    """Return what moves the next bytes of a source to a descriptor, as `move` does; None if it is no plain file.

    What has a method `move_to` knows itself. A class that is derived from a file may read otherwise than its file.
    """
    found: object = getattr(source, "move_to", None)
    if callable(found):
        return found
    file: BinaryIO
    if type(source) is io.BufferedReader and type(source.raw) is io.FileIO:
        file = source
    elif type(source) is io.FileIO:
        file = cast("BinaryIO", source)
    else:
        return None
    if file.closed or not file.readable() or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    return lambda target: move(file, target)


def write_all(descriptor: int, block: memoryview) -> None:
    """Write a block at the position of a file, all of it.

    In pieces: for one of more than 64 KiB, ext4 and XFS take as many pages that lie together, which a machine that has
    been up for a while must make room for first, at several times the cost of the copy.
    """
    for start in range(0, len(block), _WRITTEN):
        left = block[start : start + _WRITTEN]
        while left:
            left = left[os.write(descriptor, left) :]


class WatchedFile(io.RawIOBase):
    """A file that tells how much of it was read and taken, as the next bytes are asked for.

    Args:
        file: Unbuffered.
        progress: Told of the bytes that were taken so far.
    """

    def __init__(self, file: io.FileIO, progress: Callable[[int], object]) -> None:
        super().__init__()
        self._file = file
        self._progress = progress
        self._mover = mover(file)
        self._done = 0
        self._told = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Read the next bytes into a buffer and return how many."""
        self._tell()
        count = self._file.readinto(buffer)
        self._done += count or 0
        return count

    def move_to(self, target: int) -> int:
        """Let the kernel copy the next bytes to a descriptor, as `move` does."""
        self._tell()
        count = 0 if self._mover is None else self._mover(target)
        self._done += count
        return count

    def _tell(self) -> None:
        if self._done > self._told:
            self._told = self._done
            self._progress(self._done)
