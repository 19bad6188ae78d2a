"""An opened object over any file-like thing that holds its bytes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO, Self

from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import ByteRange, ObjectInfo

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

    @abstractmethod
    def close(self) -> None:
        """Give back what is open; may be called twice."""

    @abstractmethod
    def _block(self, size: int) -> bytes:
        """Return the next bytes, at most `size` and at most `_left`, and take them from `_left`; none at the end."""


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

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _block(self, size: int) -> bytes:
        size = min(size, self._left)
        try:
            block = self._file.read(size)
        except OSError as error:
            raise StorageUnavailableError(self._info.key, error.strerror or "it cannot be read") from error
        if not block and size:
            raise StorageUnavailableError(self._info.key, f"{self._left} bytes of the object are missing")
        self._left -= len(block)
        return block
