"""A master that is read where it lies: a worker fetches what its part needs, and keeps nothing on disk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import PurePosixPath

from mamkit.storage import ByteRange, HasLocalPath, ObjectChangedError, ObjectReader
from mamkit.transcode import Source

__all__ = ["StoredMaster", "open_master"]

AT_ONCE = 8  # ranges on their way; a store of one disk, too, has use for as many


@contextmanager
def open_master(store: ObjectReader, key: str) -> Iterator[Source]:
    """Give a master as a file, where the store has one, and else as bytes to be asked for.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
    """
    if isinstance(store, HasLocalPath):
        yield store.local_path(key)
        return
    ahead = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="master")
    try:
        yield StoredMaster(store, key, ahead)
    finally:
        ahead.shutdown(wait=False, cancel_futures=True)


class StoredMaster:
    """A `RangeReader` over range reads of a store, which can `ReadsMany`, too.

    Where the reading goes straight on, the next range is fetched while this one is being used. Two are equal where they
    read the same bytes, through whichever store: the key of a master names its asset, which no two of them share.

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
        self._expected = 0
        self.name = PurePosixPath(key).name
        self.size = self._info.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredMaster) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str, int]:
        return self._info.key, self._info.etag, self._info.size

    def read(self, start: int, stop: int) -> bytes:
        """See `RangeReader.read`.

        Raises:
            ObjectChangedError: The object was replaced since it was opened.
            ObjectNotFoundError: It was removed.
            StorageUnavailableError: The store does not answer.
        """
        coming, self._coming = self._coming, None
        data = coming[1].result() if coming is not None and coming[0] == start else b""
        if len(data) < stop - start:
            data += self._fetch(start + len(data), stop)
        if start == self._expected and stop < self.size:
            last = min(2 * stop - start, self.size)
            self._coming = stop, self._ahead.submit(copy_context().run, self._fetch, stop, last)
        self._expected = stop
        return data[: stop - start]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `ReadsMany.read_many`.

        Raises:
            ObjectChangedError: As for `read`.
            ObjectNotFoundError: As for `read`.
            StorageUnavailableError: As for `read`.
        """
        coming = [self._ahead.submit(copy_context().run, self._fetch, start, stop) for start, stop in ranges]
        return [each.result() for each in coming]

    def _fetch(self, start: int, stop: int) -> bytes:
        with self._store.get(self._info.key, ByteRange(start, stop)) as body:
            if body.info.etag != self._info.etag:
                raise ObjectChangedError(self._info.key, expected=self._info.etag, actual=body.info.etag)
            return body.read()
