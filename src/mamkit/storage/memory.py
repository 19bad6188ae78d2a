"""A store in memory: the reference for all others, and what tests use."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import BinaryIO

from mamkit.clock import Clock, utc_now
from mamkit.storage._body import FileBody, found_range
from mamkit.storage._facts import check_facts
from mamkit.storage._upload import CheckedUpload, carry, check_match, feed
from mamkit.storage.errors import ObjectExistsError, ObjectNotFoundError, ObjectRetainedError
from mamkit.storage.keys import check_key, check_prefix
from mamkit.storage.models import ByteRange, Expected, ObjectInfo
from mamkit.storage.protocols import ObjectReader, Upload

__all__ = ["MemoryStore"]


class MemoryStore:
    """An `ObjectStore` that forgets everything when it is dropped.

    Args:
        clock: Tells when objects were modified.
    """

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._lock = Lock()
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._retained: dict[str, datetime] = {}

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        return self._find(key)[0]

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        """Open an object, or a run of its bytes."""
        info, data = self._find(key)
        return FileBody(io.BytesIO(data), info, found_range(byte_range, info.size))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Return the objects whose keys start with `prefix` and sort after `after`, as they are at this moment."""
        check_prefix(prefix)
        with self._lock:
            objects = list(self._objects.items())
        # Code points sort as their UTF-8 bytes do (RFC 3629 section 1).
        return iter([info for key, (info, _) in sorted(objects) if key.startswith(prefix) and key > after])

    def upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> AbstractContextManager[Upload]:
        """Begin to write an object block by block."""
        return self._upload(key, content_type, metadata, expected, if_absent=if_absent)

    def _upload(
        self,
        key: str,
        content_type: str,
        metadata: Mapping[str, str] | None,
        expected: Expected | None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> AbstractContextManager[Upload]:
        check_key(key)
        metadata = check_facts(content_type, metadata)

        def publish(data: bytes, sha256: str) -> ObjectInfo:
            info = ObjectInfo(
                key=key,
                size=len(data),
                etag=sha256,
                modified_at=self._clock(),
                content_type=content_type,
                sha256=sha256,
                metadata=metadata,
            )
            return self._place(info, data, if_absent=if_absent, if_match=if_match)

        return _MemoryUpload(key, expected, publish)

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
        upload = self.upload(key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent)
        return feed(upload, data)

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
        if origin is not None and origin is not self:
            return carry(origin, source, self, key, if_match=if_match, if_absent=if_absent)
        info, data = self._find(source)
        check_match(info, if_match)
        return self._place(replace(info, key=check_key(key), modified_at=self._clock()), data, if_absent=if_absent)

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        check_key(key)
        with self._lock:
            self._check_free(key)
            self._objects.pop(key, None)

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
        return feed(self._upload(key, content_type, metadata, expected, if_match=if_match), data)

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag."""
        check_key(key)
        with self._lock:
            self._check_match(key, if_match)
            self._check_free(key)
            del self._objects[key]

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`."""
        self._find(key)
        with self._lock:
            self._retained[key] = max(until.astimezone(UTC), self._retained.get(key, until.astimezone(UTC)))

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not."""
        self._find(key)
        with self._lock:
            return self._retained.get(key)

    def _find(self, key: str) -> tuple[ObjectInfo, bytes]:
        check_key(key)
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectNotFoundError(key)
        return found

    def _check_free(self, key: str) -> None:
        """Let a retention go that is over; with the lock held."""
        until = self._retained.get(key)
        if until is not None and until > self._clock():
            raise ObjectRetainedError(key, until)
        self._retained.pop(key, None)

    def _check_match(self, key: str, if_match: str) -> None:
        """Do nothing if the object is the one that was meant; with the lock held."""
        if key not in self._objects:
            raise ObjectNotFoundError(key)
        check_match(self._objects[key][0], if_match)

    def _place(self, info: ObjectInfo, data: bytes, *, if_absent: bool, if_match: str | None = None) -> ObjectInfo:
        with self._lock:
            if if_match is not None:
                self._check_match(info.key, if_match)
            if if_absent and info.key in self._objects:
                raise ObjectExistsError(info.key)
            self._check_free(info.key)
            self._objects[info.key] = (info, data)
        return info


class _MemoryUpload(CheckedUpload):
    def __init__(self, key: str, expected: Expected | None, publish: Callable[[bytes, str], ObjectInfo]) -> None:
        super().__init__(key, expected)
        self._commit = publish
        self._data = bytearray()

    def _begin(self) -> None:
        self._data = bytearray()

    def _append(self, block: memoryview) -> None:
        self._data += block

    def _publish(self, sha256: str) -> ObjectInfo:
        return self._commit(bytes(self._data), sha256)

    def _discard(self) -> None:
        self._data = bytearray()
