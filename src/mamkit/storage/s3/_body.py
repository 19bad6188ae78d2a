"""An object of S3 opened for reading, which reads on where a connection broke."""

from collections.abc import Callable
from contextlib import suppress

from urllib3.exceptions import HTTPError

from mamkit.storage._body import BlockBody
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.s3._http import Answer, Patience

__all__ = ["S3Body"]


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
            if self._left:
                raw.close()  # what is still to come is not waited for
            raw.release_conn()

    def _block(self, size: int) -> bytes:
        size = min(size, self._left)
        while size > 0:
            try:
                if self._raw is None:
                    self._raw = self._resume(self._stop - self._left).raw
                block = self._raw.read(size) if self._raw is not None else b""
            except (HTTPError, OSError) as error:
                self._break(error)
                continue
            if not block:
                self._break(EOFError("the connection ended early"))
                continue
            self._left -= len(block)
            self._failures = 0
            if not self._left:
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
            reason = f"the connection broke {self._failures} times with {self._left} bytes to come"
            raise StorageUnavailableError(self._info.key, reason) from error
        self._patience.pause(self._failures)
