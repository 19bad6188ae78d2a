"""A store that keeps what was read of another one at hand."""

import hashlib
from collections import OrderedDict
from contextlib import suppress
from threading import Lock

from mamkit.storage._wrapper import RenamedBody, StoreWrapper
from mamkit.storage.errors import ObjectChangedError, ObjectNotFoundError, StorageError
from mamkit.storage.models import ByteRange
from mamkit.storage.protocols import ObjectBody, ObjectStore

__all__ = ["CachedStore"]


class CachedStore(StoreWrapper):
    """A store whose objects, once read, are read from another one, which is nearer.

    Never stale: each `get` asks the store within for the facts first, and bytes are kept under their ETag. So it saves
    bytes, not round trips. The least recently read objects go when there is no more room.

    Args:
        store: Does the work.
        cache: Keeps the bytes; a folder of this machine, say. Nobody else uses it.
        max_bytes: Room that it has.
        max_object: Bytes of the largest object that is kept; larger ones are read past the cache. None is an eighth of
            the room.
    """

    def __init__(
        self, store: ObjectStore, cache: ObjectStore, *, max_bytes: int, max_object: int | None = None
    ) -> None:
        super().__init__(store)
        self._cache = cache
        self._max_bytes = max_bytes
        self._max_object = max_bytes // 8 if max_object is None else max_object
        self._lock = Lock()
        self._kept: OrderedDict[str, int] = OrderedDict((info.key, info.size) for info in cache.list())

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        """Open an object, or a run of its bytes."""
        info = self._store.head(key)
        if info.size > self._max_object:
            return self._store.get(key, byte_range)
        place = hashlib.sha256(f"{info.etag}\n{key}".encode()).hexdigest()
        if not self._touch(place):
            try:
                self._cache.copy(key, place, origin=self._store, if_match=info.etag)
            except ObjectChangedError:
                return self._store.get(key, byte_range)
            self._keep(place, info.size)
        try:
            return RenamedBody(self._cache.get(place, byte_range), info)
        except ObjectNotFoundError:  # it was its turn to go just now
            return self._store.get(key, byte_range)

    def _touch(self, place: str) -> bool:
        with self._lock:
            if place not in self._kept:
                return False
            self._kept.move_to_end(place)
            return True

    def _keep(self, place: str, size: int) -> None:
        gone = []
        with self._lock:
            self._kept[place] = size
            total = sum(self._kept.values())
            while total > self._max_bytes:
                oldest, its_size = self._kept.popitem(last=False)
                gone.append(oldest)
                total -= its_size
        for each in gone:
            with suppress(StorageError):
                self._cache.delete(each)
