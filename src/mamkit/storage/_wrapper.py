"""What wrappers of stores share: everything is handed on."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import BinaryIO, Self

from mamkit.storage._upload import feed
from mamkit.storage.errors import UnsupportedOperationError
from mamkit.storage.keeping import RetainsObjects
from mamkit.storage.models import ByteRange, Expected, ObjectInfo, PartsPlan, SignedForm, SignedRequest
from mamkit.storage.protocols import (
    ChangesIfMatch,
    ObjectBody,
    ObjectReader,
    ObjectStore,
    SignsDownloads,
    SignsForms,
    SignsParts,
    SignsUploads,
    Upload,
    WritesParts,
)

__all__ = ["RenamedBody", "StoreWrapper"]


_FASTER = ("readinto", "move_to", "fileno")
"""What a body may have beyond `ObjectBody`: reading into a buffer, a copy by the kernel, the file itself."""


class StoreWrapper:
    """An `ObjectStore` that hands everything on to another.

    What the store within lacks raises `UnsupportedOperationError`.

    Args:
        store: Does the work.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r})"

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        return self._store.head(key)

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        """Open an object, or a run of its bytes."""
        return self._store.get(key, byte_range)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`."""
        return self._store.list(prefix, after=after)

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
        return self._store.upload(
            key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
        )

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
        return self._store.copy(source, key, origin=origin, if_match=if_match, if_absent=if_absent)

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        self._store.delete(key)

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
        """Write a whole object in the place of just the one with this ETag.

        Raises:
            UnsupportedOperationError: The store within knows no conditions.
        """
        return self._matching().replace(
            key, data, if_match=if_match, content_type=content_type, metadata=metadata, expected=expected
        )

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag.

        Raises:
            UnsupportedOperationError: The store within knows no conditions.
        """
        self._matching().remove(key, if_match=if_match)

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object.

        Raises:
            UnsupportedOperationError: The store within signs nothing.
        """
        if not isinstance(self._store, SignsDownloads):
            raise self._lacks("signs no requests")
        return self._store.sign_get(key, expires_in=expires_in)

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object.

        Raises:
            UnsupportedOperationError: The store within signs nothing.
        """
        if not isinstance(self._store, SignsUploads):
            raise self._lacks("signs no requests")
        return self._store.sign_put(key, content_type=content_type, expected=expected, expires_in=expires_in)

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object.

        Raises:
            UnsupportedOperationError: The store within signs no forms.
        """
        if not isinstance(self._store, SignsForms):
            raise self._lacks("signs no forms")
        return self._store.sign_form(key, content_type=content_type, expected=expected, expires_in=expires_in)

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload in parts by somebody without credentials.

        Raises:
            UnsupportedOperationError: The store within signs no parts.
        """
        return self._parts().begin_parts(
            key, content_type=content_type, expected=expected, part_size=part_size, checksums=checksums
        )

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part."""
        return self._parts().sign_part(plan, number, sha256=sha256, expires_in=expires_in)

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part.

        Raises:
            UnsupportedOperationError: The store within takes no parts from this process.
        """
        if not isinstance(self._store, WritesParts):
            raise self._lacks("takes no parts")
        self._store.put_part(plan, number, data)

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        return self._parts().parts_there(plan)

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        return self._parts().complete_parts(plan)

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        self._parts().abort_parts(plan)

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`.

        Raises:
            UnsupportedOperationError: The store within retains nothing.
        """
        if not isinstance(self._store, RetainsObjects):
            raise self._lacks("retains nothing")
        self._store.retain(key, until=until)

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not.

        Raises:
            UnsupportedOperationError: The store within retains nothing.
        """
        if not isinstance(self._store, RetainsObjects):
            raise self._lacks("retains nothing")
        return self._store.retained_until(key)

    def _matching(self) -> ChangesIfMatch:
        if not isinstance(self._store, ChangesIfMatch):
            raise self._lacks("knows no conditions of changes")
        return self._store

    def _parts(self) -> SignsParts:
        if not isinstance(self._store, SignsParts):
            raise self._lacks("signs no parts")
        return self._store

    def _lacks(self, what: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(f"{self._store!r} {what}")


class RenamedBody:
    """An opened object with other facts; what the body within does faster (`readinto`, say) is done so here, too.

    Args:
        body: Gives the bytes.
        info: The facts.
    """

    def __init__(self, body: ObjectBody, info: ObjectInfo) -> None:
        self._body = body
        self._info = info
        for name in _FASTER:
            if callable(found := getattr(body, name, None)):
                setattr(self, name, found)  # an attribute of its own: whether there is one is asked of the object

    @property
    def info(self) -> ObjectInfo:
        """The facts."""
        return self._info

    @property
    def range(self) -> ByteRange:
        """The range that was found."""
        return self._body.range

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is negative; none at the end."""
        return self._body.read(size)

    def close(self) -> None:
        """Free what the body holds; may be called twice."""
        self._body.close()
