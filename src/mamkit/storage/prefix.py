"""A part of a store as a store of its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mamkit.storage._wrapper import RenamedBody, StoreWrapper
from mamkit.storage.errors import InvalidKeyError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from mamkit.storage.keys import check_key, check_prefix
from mamkit.storage.models import ByteRange, Expected, ObjectInfo, PartsPlan, SignedForm, SignedRequest
from mamkit.storage.protocols import HasLocalPath, ObjectBody, ObjectReader, ObjectStore, Upload

__all__ = ["PrefixStore"]


class PrefixStore(StoreWrapper):
    """The objects of a store whose keys start with a prefix, under keys without it; no key leads out of it.

    Keys are as much shorter as the prefix is long. Evidence in errors of the store within names its own keys. Where
    objects are files of this machine (`HasLocalPath`) they are so here, too.

    Args:
        store: Holds the objects.
        prefix: Ends with a slash.

    Raises:
        InvalidKeyError: No key can start so, or it does not end with a slash.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        super().__init__(store)
        if not check_prefix(prefix).endswith("/"):
            raise InvalidKeyError(prefix, "a prefix that a store is made of ends with a slash")
        self._prefix = prefix
        if isinstance(store, HasLocalPath):  # an attribute of its own: whether there is one is asked of the object
            self.local_path = partial(self._local_path, store)

    def __repr__(self) -> str:
        return f"PrefixStore({self._store!r}, {self._prefix!r})"

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        with self._own():
            return self._strip(self._store.head(self._inner(key)))

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        """Open an object, or a run of its bytes."""
        with self._own():
            body = self._store.get(self._inner(key), byte_range)
            return RenamedBody(body, self._strip(body.info))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`."""
        check_prefix(prefix)
        found = self._store.list(self._prefix + prefix, after=self._prefix + after if after else "")
        return (self._strip(info) for info in found)

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
        upload = self._store.upload(
            self._inner(key), content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
        )
        return _Upload(upload, self)

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
        inner = self._inner(key)
        if origin is None or origin is self:
            source, origin = self._inner(source), self._store
        elif isinstance(origin, PrefixStore):
            source, origin = origin._inner(source), origin._store
        with self._own():
            return self._strip(self._store.copy(source, inner, origin=origin, if_match=if_match, if_absent=if_absent))

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        self._store.delete(self._inner(key))

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
        with self._own():
            written = super().replace(
                self._inner(key),
                data,
                if_match=if_match,
                content_type=content_type,
                metadata=metadata,
                expected=expected,
            )
            return self._strip(written)

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag."""
        with self._own():
            super().remove(self._inner(key), if_match=if_match)

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object."""
        return super().sign_get(self._inner(key), expires_in=expires_in)

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object."""
        return super().sign_put(self._inner(key), content_type=content_type, expected=expected, expires_in=expires_in)

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object."""
        return super().sign_form(self._inner(key), content_type=content_type, expected=expected, expires_in=expires_in)

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload in parts by somebody without credentials."""
        plan = super().begin_parts(
            self._inner(key), content_type=content_type, expected=expected, part_size=part_size, checksums=checksums
        )
        return replace(plan, key=key)

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part."""
        return super().sign_part(self._inner_plan(plan), number, sha256=sha256, expires_in=expires_in)

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part."""
        with self._own():
            super().put_part(self._inner_plan(plan), number, data)

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        with self._own():
            return super().parts_there(self._inner_plan(plan))

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        with self._own():
            return self._strip(super().complete_parts(self._inner_plan(plan)))

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        super().abort_parts(self._inner_plan(plan))

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`."""
        with self._own():
            super().retain(self._inner(key), until=until)

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not."""
        with self._own():
            return super().retained_until(self._inner(key))

    def _local_path(self, store: HasLocalPath, key: str) -> Path:
        with self._own():
            return store.local_path(self._inner(key))

    def _inner_plan(self, plan: PartsPlan) -> PartsPlan:
        return replace(plan, key=self._inner(plan.key))

    def _inner(self, key: str) -> str:
        return check_key(self._prefix + check_key(key))

    def _strip(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, key=info.key.removeprefix(self._prefix))

    def _own(self) -> "_OwnKeys":
        return _OwnKeys(self._prefix)


class _OwnKeys:
    """Raises errors about keys with the keys that the caller knows."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, ObjectNotFoundError | ObjectExistsError) and error.key.startswith(self._prefix):
            raise type(error)(error.key.removeprefix(self._prefix)) from error
        if isinstance(error, ObjectChangedError) and error.key.startswith(self._prefix):
            key = error.key.removeprefix(self._prefix)
            raise ObjectChangedError(key, expected=error.expected, actual=error.actual) from error


class _Upload:
    """An upload to the key that the caller knows."""

    def __init__(self, upload: AbstractContextManager[Upload], store: PrefixStore) -> None:
        self._manager = upload
        self._store = store
        self._upload: Upload

    def __enter__(self) -> Self:
        self._upload = self._manager.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.__exit__(*error)  # type: ignore[arg-type]

    def write(self, block: bytes) -> None:
        self._upload.write(block)

    def commit(self) -> ObjectInfo:
        with self._store._own():
            return self._store._strip(self._upload.commit())
