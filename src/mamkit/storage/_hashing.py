"""SHA-256 beside the work that it is about: a block is hashed while it is written, on another core if there is one."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["Hashing"]


class Hashing:
    """A SHA-256 that is computed in a thread of its own, which exists once the first block has come."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._thread: ThreadPoolExecutor | None = None

    @contextmanager
    def update(self, block: bytes | memoryview) -> Iterator[None]:
        """Hash a block while the body of the `with` statement runs; at its end the hashing is done, too."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mamkit-sha256")
        job = self._thread.submit(self.digest.update, block)
        try:
            yield
        finally:
            job.result()

    def close(self) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()
