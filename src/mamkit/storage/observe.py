"""What a store is asked, how long it takes and how it ends, for metrics and logs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from mamkit.storage._wrapper import StoreWrapper
from mamkit.storage.errors import StorageError
from mamkit.storage.models import ByteRange, Expected, ObjectInfo
from mamkit.storage.protocols import HasLocalPath, ObjectBody, ObjectReader, ObjectStore

__all__ = ["ObservedStore", "Operation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of a store, when it has ended."""

    name: str
    """Of the method."""
    key: str
    seconds: float
    """Until it returned; for `get`, until the object was open."""
    size: int | None
    """Bytes of the object, where there is one."""
    error: str | None
    """Code of the error that it ended with (`internal` if it was none of a store's); None if it did not."""


class ObservedStore(StoreWrapper):
    """A store that tells of each `head`, `get`, `put`, `copy`, `delete`, `replace` and `remove`.

    Where objects are files of this machine (`HasLocalPath`) they are so here, too; who reads the file is not told of.

    Args:
        store: Does the work.
        observer: Told of each; called in the thread of the caller. It should not raise.
    """

    def __init__(self, store: ObjectStore, observer: Callable[[Operation], object]) -> None:
        super().__init__(store)
        self._observer = observer
        if isinstance(store, HasLocalPath):  # an attribute of its own: whether there is one is asked of the object
            self.local_path = store.local_path

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        with self._observed("head", key) as sizes:
            info = super().head(key)
            sizes.append(info.size)
            return info

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        """Open an object, or a run of its bytes."""
        with self._observed("get", key) as sizes:
            body = super().get(key, byte_range)
            sizes.append(body.info.size)
            return body

    def put(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write a whole object."""
        with self._observed("put", key) as sizes:
            info = self._store.put(
                key, data, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
            )
            sizes.append(info.size)
            return info

    def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Copy an object of this store, or of another."""
        with self._observed("copy", key) as sizes:
            if isinstance(origin, ObservedStore):  # within one server, or one file system, nothing is carried
                origin = origin._store
            info = super().copy(source, key, origin=origin, if_match=if_match, if_absent=if_absent)
            sizes.append(info.size)
            return info

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        with self._observed("delete", key):
            super().delete(key)

    def replace(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        if_match: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
    ) -> ObjectInfo:
        """Write a whole object in the place of just the one with this ETag."""
        with self._observed("replace", key) as sizes:
            info = super().replace(
                key, data, if_match=if_match, content_type=content_type, metadata=metadata, expected=expected
            )
            sizes.append(info.size)
            return info

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag."""
        with self._observed("remove", key):
            super().remove(key, if_match=if_match)

    @contextmanager
    def _observed(self, name: str, key: str) -> Iterator[list[int]]:
        sizes: list[int] = []
        error: str | None = None
        start = time.perf_counter()
        try:
            yield sizes
        except BaseException as raised:
            error = raised.code if isinstance(raised, StorageError) else "internal"
            raise
        finally:
            seconds = time.perf_counter() - start
            size = sizes[0] if sizes else None
            self._observer(Operation(name=name, key=key, seconds=seconds, size=size, error=error))
