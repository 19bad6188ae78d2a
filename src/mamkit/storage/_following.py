"""SHA-256 of a file that is being written, read back behind the writing."""

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of
from mamkit.storage.errors import StorageUnavailableError

__all__ = ["FileSha256"]

_ALONE = 16 * 1024 * 1024  # bytes that are hashed without a thread: some 12 ms, beside which one would not pay
# Bytes between two words to the thread. Each word costs both threads a turn at the interpreter, and the sleeping one
# its waking, which takes as long as hashing 100 KiB: one a block of 256 KiB had doubled the time of a copy.
_STEP = 8 * 1024 * 1024


class FileSha256:
    """The digest of a file's first bytes, which nobody changes once they are written: of what is in it, not on its way.

    After the first few MiB a thread of its own reads them back, from the memory in which the kernel has them still, as
    far behind the writing as it must. Nobody waits for it but who asks for the digest. To be used by one thread at a
    time, and to be closed before the file is: a context manager.

    Args:
        descriptor: Of the file, opened for reading too. Its position is left alone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self._size = 0
        self._asked = 0
        self._hashed = 0
        self._closed = False
        self._buffer = memoryview(b"")
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def grow(self, count: int, block: memoryview | None = None) -> None:
        """Take note of the next bytes of the file, which are written.

        Args:
            count: How many.
            block: They themselves, if they are at hand; it may be used again when this returns.
        """
        alone = self._thread is None and self._size + count <= _ALONE
        if alone and block is not None and self._hashed == self._size:
            self._digest.update(block)
            self._hashed += count
        self._size += count
        if not alone and self._size - self._asked >= _STEP:
            self._follow()

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, lower-case hexadecimal.

        Raises:
            OSError: The file cannot be read.
            StorageUnavailableError: It is shorter than what was written to it.
        """
        if self._thread is None:
            self._read_on(self._size)
        else:
            # One that failed in between was tried again by the next, from where it had come to.
            self._follow().result()
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread, if there is one; may be called twice."""
        self._closed = True
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _follow(self) -> Future[None]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mamkit-sha256")
        self._asked = self._size
        return self._thread.submit(self._read_on, self._size)

    def _read_on(self, stop: int) -> None:
        if self._hashed < stop and not self._buffer:
            self._buffer = buffer_of(min(BLOCK_SIZE, stop))
        while self._hashed < stop and not self._closed:
            buffer = self._buffer[: stop - self._hashed]
            count = os.preadv(self._descriptor, [buffer], self._hashed)
            if not count:
                raise StorageUnavailableError("a file", "it is shorter than what was written to it")
            self._digest.update(buffer[:count])
            self._hashed += count
