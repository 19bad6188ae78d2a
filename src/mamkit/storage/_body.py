"""An opened object over any file-like thing that holds its bytes."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Self

from mamkit.storage._files import MOVED, move
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import ByteRange, ObjectInfo

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BLOCK_SIZE", "BlockBody", "FileBody", "found_range"]

BLOCK_SIZE = 256 * 1024  # bytes; large enough that the system calls do not count, small enough for a thousand readers


def found_range(byte_range: ByteRange | None, size: int) -> ByteRange:
    """Return the range of an object of `size` bytes that is to be read; None asks for the whole, even if it is empty.

    Raises:
        RangeNotSatisfiableError: The object has no such byte.
    """
    return ByteRange(0, size) if byte_range is None else byte_range.resolve(size)


class BlockBody(ABC):
    """An `ObjectBody` of which a backend reads one block after another.

    Args:
        info: Facts of the object.
        byte_range: What to read, as `found_range` returns it.
    """

    def __init__(self, info: ObjectInfo, byte_range: ByteRange) -> None:
        self._info = info
        self._range = byte_range
        self._left = (info.size if byte_range.stop is None else byte_range.stop) - byte_range.start

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._info.key!r}, {self._left} bytes left to read>"

    @property
    def info(self) -> ObjectInfo:
        """Facts of the object whose bytes these are."""
        return self._info

    @property
    def range(self) -> ByteRange:
        """The range that was found."""
        return self._range

    def __iter__(self) -> Iterator[bytes]:
        while block := self._block(BLOCK_SIZE):
            yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is negative; none at the end."""
        if size >= 0:
            return self._block(size)
        blocks = []
        while block := self._block(self._left):  # in one piece as a rule: joining many would hold the bytes twice
            blocks.append(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read the next bytes into a buffer, as many as there are at once, and return how many; 0 at the end."""
        with memoryview(buffer) as view, view.cast("B") as whole, whole[: self._left] as target:
            return self._fill(target) if target else 0

    @abstractmethod
    def close(self) -> None:
        """Give back what is open; may be called twice."""

    @abstractmethod
    def _block(self, size: int) -> bytes:
        """Return the next bytes, at most `size` and at most `_left`, and take them from `_left`; none at the end."""

    def _fill(self, target: memoryview) -> int:
        """Put the next bytes, at least one, where there is room for them, and take them from `_left`."""
        block = self._block(len(target))
        target[: len(block)] = block
        return len(block)


class FileBody(BlockBody):
    """An `ObjectBody` that reads from a file and closes it.

    Args:
        file: Holds the whole object; nobody else moves its position.
        info: Facts of the object.
        byte_range: What to read, as `found_range` returns it.
    """

    def __init__(self, file: BinaryIO, info: ObjectInfo, byte_range: ByteRange) -> None:
        super().__init__(info, byte_range)
        self._file = file
        file.seek(byte_range.start)

    def fileno(self) -> int:
        """Return the descriptor of the file, to be read from with positions of one's own (`os.pread`, `os.sendfile`).

        Raises:
            OSError: The bytes are in memory, or the body is closed.
        """
        return self._file.fileno()

    def move_to(self, target: int) -> int:
        """Let the kernel copy the next bytes to a descriptor and return how many; 0 at the end, or if it cannot."""
        if not isinstance(self._file, io.FileIO) or not self._left:
            return 0
        count = move(self._file, target, min(MOVED, self._left))
        self._left -= count
        return count

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _block(self, size: int) -> bytes:
        size = min(size, self._left)
        try:
            block = self._file.read(size)
        except OSError as error:
            raise StorageUnavailableError(self._info.key, error.strerror or "it cannot be read") from error
        self._check_some(len(block), size)
        self._left -= len(block)
        return block

    def _fill(self, target: memoryview) -> int:
        if not isinstance(self._file, io.RawIOBase | io.BufferedIOBase):
            return super()._fill(target)
        try:
            count = self._file.readinto(target) or 0
        except OSError as error:
            raise StorageUnavailableError(self._info.key, error.strerror or "it cannot be read") from error
        self._check_some(count, len(target))
        self._left -= count
        return count

    def _check_some(self, found: int, wanted: int) -> None:
        if wanted and not found:
            raise StorageUnavailableError(self._info.key, f"{self._left} bytes of the object are missing")
