"""A master that is read where it lies: a worker fetches what its part needs, and keeps nothing on disk."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mamkit.storage import ByteRange, HasLocalPath, ObjectChangedError, ObjectReader
from mamkit.transcode import RangeSource

__all__ = ["StoredMaster", "open_master"]

BLOCK = 256 << 10  # bytes: what a demuxer wants of an index, and of sound that lies apart from its pictures
RUN = 16  # blocks fetched at once where the reading goes on: 4 MiB, at 20 MB/s a quarter of a second
KEPT = 96  # blocks in memory: 24 MiB, however large the master is


@contextmanager
def open_master(store: ObjectReader, key: str) -> "Iterator[Path | RangeSource]":
    """Give a master as a file, where the store has one, and else as bytes to be asked for.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
    """
    if isinstance(store, HasLocalPath):
        yield store.local_path(key)
        return
    ahead = ThreadPoolExecutor(1, thread_name_prefix="master")
    try:
        yield StoredMaster(store, key, ahead)
    finally:
        ahead.shutdown(wait=False, cancel_futures=True)


class StoredMaster:
    """A `RangeSource` over range reads of a store, with the blocks read last in memory.

    Where the reading goes on, the next run of blocks is fetched ahead.

    Args:
        store: Holds the object.
        key: Of the object.
        ahead: Fetches ahead.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
    """

    def __init__(self, store: ObjectReader, key: str, ahead: ThreadPoolExecutor) -> None:
        self._store = store
        self._info = store.head(key)
        self._ahead = ahead
        self._coming: tuple[int, Future[bytes]] | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.name = PurePosixPath(key).name
        self.size = self._info.size

    def read(self, start: int, size: int) -> bytes:
        """See `RangeSource.read`.

        Raises:
            ObjectChangedError: The object was replaced since it was opened.
            ObjectNotFoundError: It was removed.
            StorageUnavailableError: The store does not answer.
        """
        stop = min(start + size, self.size)
        found = bytearray()
        while (at := start + len(found)) < stop:
            number, offset = divmod(at, BLOCK)
            found += self._block(number)[offset : offset + stop - at]
        return bytes(found)

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            self._load(number)
            block = self._blocks[number]
        self._blocks.move_to_end(number)
        return block

    def _load(self, number: int) -> None:
        """Bring a block into memory: one that was fetched ahead, or one alone after a jump, or a run."""
        goes_on = number - 1 in self._blocks
        if self._coming is not None and self._coming[0] == number:
            data = self._coming[1].result()
        else:
            data = self._fetch(number, RUN if goes_on else 1)
        for index in range(0, len(data), BLOCK):
            self._blocks[number + index // BLOCK] = data[index : index + BLOCK]
        while len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        following = number + -(-len(data) // BLOCK)
        if goes_on and following * BLOCK < self.size:
            self._coming = following, self._ahead.submit(self._fetch, following, RUN)

    def _fetch(self, number: int, count: int) -> bytes:
        start = number * BLOCK
        wanted = ByteRange(start, min(start + count * BLOCK, self.size))
        with self._store.get(self._info.key, wanted) as body:
            if body.info.etag != self._info.etag:
                raise ObjectChangedError(self._info.key, expected=self._info.etag, actual=body.info.etag)
            return body.read()
