"""An object of S3 opened for reading, which reads on where a connection broke."""

from collections.abc import Callable
from typing import TypeVar

from mamkit.storage._body import BlockBody
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.s3._http import Answer, Patience
from mamkit.storage.s3._reply import Reply
from mamkit.storage.s3._wire import BrokenLineError

__all__ = ["S3Body"]

_AT_ONCE = 1024 * 1024  # bytes; where a connection breaks, those that came since the last so many are asked for again
Found = TypeVar("Found")


class S3Body(BlockBody):
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
        super().__init__(info, byte_range)
        self._raw = answer.raw
        self._resume = resume
        self._patience = patience
        self._stop = byte_range.start + self._left
        self._failures = 0

    def close(self) -> None:
        """Give the connection back; may be called twice."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.release()  # which does not wait for what is still to come

    def _block(self, size: int) -> bytes:
        size = min(size, self._left)
        return self._next(lambda raw: raw.read(size), len) if size > 0 else b""

    def _fill(self, target: memoryview) -> int:
        return self._next(lambda raw: raw.readinto(target[:_AT_ONCE]), int)

    def _next(self, read: Callable[[Reply], Found], size_of: Callable[[Found], int]) -> Found:
        """Return what is read of the connection, or of another one if it breaks."""
        while True:
            try:
                if self._raw is None:
                    self._raw = self._resume(self._stop - self._left).raw
                found = None if self._raw is None else read(self._raw)
            except BrokenLineError as error:
                self._break(error)
                continue
            if found is None or not size_of(found):
                self._break(BrokenLineError("the connection ended early"))
                continue
            self._left -= size_of(found)
            self._failures = 0
            if not self._left:
                self.close()
            return found

    def _break(self, error: Exception) -> None:
        """Drop the connection, wait, and let the next read open another."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()
        self._failures += 1
        if self._failures >= self._patience.attempts:
            reason = f"the connection broke {self._failures} times with {self._left} bytes to come"
            raise StorageUnavailableError(self._info.key, reason) from error
        self._patience.pause(self._failures)
