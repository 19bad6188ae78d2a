"""SHA-256 of bytes on their way: beside the reading and writing, once there are many of them."""

import hashlib
from queue import SimpleQueue
from threading import Thread
from typing import Self

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of

__all__ = ["Sha256"]

_ALONE = 16 * 1024 * 1024  # bytes that are hashed without a thread: some 25 ms, beside which one would not pay
_AHEAD = 4  # blocks that may wait: of 256 KiB each they fit into the cache of a core, from where they are hashed
_RING = _AHEAD + 1  # when a block is handed over, all but the last `_AHEAD` are hashed, so the next buffer is free


class Sha256:
    """A digest that is computed in a thread of its own after the first few MiB.

    To be used by one thread at a time, and to be closed: a context manager.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._worker: _Worker | None = None
        self._ring: list[memoryview] = []
        self._turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def buffer(self) -> memoryview:
        """Return room for one block that is to be filled, given to `update` once, and left alone then."""
        if not self._ring:
            whole = buffer_of(_RING * BLOCK_SIZE)
            self._ring = [whole[start : start + BLOCK_SIZE] for start in range(0, len(whole), BLOCK_SIZE)]
        self._turn = (self._turn + 1) % _RING
        return self._ring[self._turn]

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes, which must stay as they are until `settle`, `hexdigest` or `close` returns."""
        if self._worker is None:
            if self._size < _ALONE:
                self._size += len(block)
                self._digest.update(block)
                return
            self._worker = _Worker(self._digest)
        self._worker.put(block)

    def settle(self) -> None:
        """Return when all bytes so far are hashed."""
        if self._worker is not None:
            self._worker.settle()

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, lower-case hexadecimal."""
        self.settle()
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread, if there is one; may be called twice. Nothing more is taken."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()


class _Worker:
    """Hashes blocks in order; a token for each that may wait goes to and fro between two queues."""

    def __init__(self, digest: "hashlib._Hash") -> None:
        self._blocks: SimpleQueue[bytes | memoryview | None] = SimpleQueue()
        self._tokens: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._tokens.put(None)
        # It ends with the process, even if somebody leaves an upload open for ever.
        self._thread = Thread(
            target=_hash, args=(digest, self._blocks, self._tokens), name="mamkit-sha256", daemon=True
        )
        self._thread.start()

    def put(self, block: bytes | memoryview) -> None:
        self._tokens.get()
        self._blocks.put(block)

    def settle(self) -> None:
        for _ in range(_AHEAD):
            self._tokens.get()
        for _ in range(_AHEAD):
            self._tokens.put(None)

    def stop(self) -> None:
        self._blocks.put(None)
        self._thread.join()


def _hash(
    digest: "hashlib._Hash", blocks: "SimpleQueue[bytes | memoryview | None]", tokens: "SimpleQueue[None]"
) -> None:
    while (block := blocks.get()) is not None:
        digest.update(block)
        del block  # or it would be kept in memory until the next one comes
        tokens.put(None)
