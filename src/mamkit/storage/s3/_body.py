"""An object of S3 opened for reading, which reads on where a connection broke."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

from urllib3.exceptions import HTTPError

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.s3._http import Answer, Patience

__all__ = ["S3Body"]


class S3Body:
    """An `ObjectBody` over one answer after another.

    Args:
        answer: The first, to be streamed.
        info: Facts of the object.
        byte_range: What to read; `stop` is known.
        resume: Asks for the bytes from a position on, of this very object and no other.
        patience: How often to try without a byte of progress.
    """

    def __init__(
        self,
        answer: Answer,
        info: ObjectInfo,
        byte_range: ByteRange,
        *,
        resume: Callable[[int], Answer],
        patience: Patience,
    ) -> None:
        self._raw = answer.raw
        self._info = info
        self._range = byte_range
        self._resume = resume
        self._patience = patience
        self._position = byte_range.start
        self._stop = info.size if byte_range.stop is None else byte_range.stop
        self._failures = 0

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
        while block := self._block(self._stop - self._position):
            blocks.append(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        """Give the connection back; may be called twice."""
        raw, self._raw = self._raw, None
        if raw is not None:
            if self._position < self._stop:
                raw.close()  # what is still to come is not waited for
            raw.release_conn()

    def _block(self, size: int) -> bytes:
        size = min(size, self._stop - self._position)
        while size > 0:
            try:
                if self._raw is None:
                    self._raw = self._resume(self._position).raw
                block = self._raw.read(size) if self._raw is not None else b""
            except (HTTPError, OSError) as error:
                self._break(error)
                continue
            if not block:
                self._break(EOFError("the connection ended early"))
                continue
            self._position += len(block)
            self._failures = 0
            if self._position >= self._stop:
                self.close()
            return block
        return b""

    def _break(self, error: Exception) -> None:
        """Drop the connection, wait, and let the next read open another."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(HTTPError, OSError):
                raw.close()
        self._failures += 1
        if self._failures >= self._patience.attempts:
            left = self._stop - self._position
            reason = f"the connection broke {self._failures} times with {left} bytes to come"
            raise StorageUnavailableError(self._info.key, reason) from error
        self._patience.pause(self._failures)
