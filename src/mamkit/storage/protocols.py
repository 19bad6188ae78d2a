"""The contract of a store, one Protocol a capability; those of what it does by itself are in `keeping`.

Obligations that hold for every method:

* Keys are what `mamkit.storage.keys.check_key` lets through; anything else raises `InvalidKeyError` before any I/O.
* A reader sees an object whole or not at all: the old bytes until the new ones are complete and verified.
* Methods are synchronous and may be called from several threads at once.
* Everything raised is a `StorageError`; errors of the backend are chained.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, Self, runtime_checkable

from mamkit.storage.models import (
    ByteRange,
    Expected,
    ObjectInfo,
    PartsPlan,
    SignedForm,
    SignedRequest,
)

__all__ = [
    "ChangesIfMatch",
    "HasLocalPath",
    "ObjectBody",
    "ObjectReader",
    "ObjectStore",
    "ObjectWriter",
    "RequestSigner",
    "SignsDownloads",
    "SignsForms",
    "SignsParts",
    "SignsUploads",
    "Upload",
    "WritesParts",
]


class ObjectBody(Protocol):
    """An object opened for reading; a context manager, to be closed. Iterating yields blocks of bytes."""

    @property
    def info(self) -> ObjectInfo:
        """The facts of the object whose bytes these are, even if it is replaced meanwhile."""

    @property
    def range(self) -> ByteRange:
        """The range that was found, `stop` never None."""

    def __iter__(self) -> Iterator[bytes]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is negative; none at the end."""

    def close(self) -> None:
        """Free what the body holds; may be called twice."""


@runtime_checkable
class ObjectReader(Protocol):
    """Reading."""

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
        """

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        """Open an object, or a run of its bytes.

        A `stop` past the end is cut to the end.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
            RangeNotSatisfiableError: `start` is at or past the end (RFC 9110 section 15.5.17).
        """

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`, in order of the keys' UTF-8 bytes.

        Memory stays flat however many there are. A store that would have to ask for each object tells key, size, ETag
        and time alone; `head` tells the rest.
        """


class Upload(Protocol):
    """Bytes on their way into an object. Leaving the `with` block without `commit` leaves nothing behind."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            UploadRejectedError: There are more bytes than `Expected.size`.
            StorageFullError: The store has no room left.
        """

    def commit(self) -> ObjectInfo:
        """Make the object visible under its key, at once and whole.

        Raises:
            UploadRejectedError: Size or SHA-256 are not what was expected.
            ObjectExistsError: `if_absent` was asked for, and the key is taken.
        """


@runtime_checkable
class ObjectWriter(Protocol):
    """Writing."""

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
        """Write a whole object; as `upload`, `write` for each block, `commit`, with their errors."""

    def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Copy an object of this store, or of the store `origin`, without carrying its bytes where that can be avoided.

        Content type and metadata go with it. With `if_match`, what is copied is the object of this ETag and no other,
        even if somebody replaces it at this moment.

        Raises:
            ObjectNotFoundError: Nothing is stored under `source`.
            ObjectChangedError: The object under `source` has another ETag than `if_match`.
            ObjectExistsError: `if_absent` was asked for, and the key is taken.
        """

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing.

        Raises:
            ObjectRetainedError: The store retains it (`RetainsObjects`).
        """


@runtime_checkable
class ObjectStore(ObjectReader, ObjectWriter, Protocol):
    """A store as the rest of mamkit needs it."""


@runtime_checkable
class ChangesIfMatch(Protocol):
    """A store that replaces or removes an object only if it is still the one that the caller has seen.

    Of several who have seen the same one, one wins, whoever they are. What another store of the same kind does by
    comparing first and writing then is not meant: somebody may come in between.
    """

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
        """Write a whole object in the place of another one, as `put` does.

        Args:
            key: The object.
            data: Its new bytes.
            if_match: ETag of the object that is there now, as `ObjectInfo.etag` has it; no wildcard, no list.
            content_type: Its new media type.
            metadata: Its new metadata.
            expected: What the bytes must be.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
            ObjectChangedError: The object under the key has another ETag; it was left as it is.
            ObjectRetainedError: The store retains it.
            UploadRejectedError: Size or SHA-256 are not what was expected.
            UnsupportedOperationError: The store cannot do it, or would ignore the condition.
        """

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is this one.

        Args:
            key: The object.
            if_match: As of `replace`.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
            ObjectChangedError: The object under the key has another ETag; it was left as it is.
            ObjectRetainedError: The store retains it.
            StorageUnavailableError: Also where an answer was lost, and the object is gone now: whether it was this call
                that removed it cannot be told.
            UnsupportedOperationError: The store cannot do it, or would ignore the condition.
        """


@runtime_checkable
class SignsDownloads(Protocol):
    """A store that lets others read without credentials."""

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object until it expires; the object need not exist yet."""


@runtime_checkable
class SignsUploads(Protocol):
    """A store that lets others write one object without credentials."""

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object, with this type, size and SHA-256 and no other.

        Raises:
            UnboundedUploadError: `expected.size` is None: an upload without a bound is not signed.
        """


@runtime_checkable
class SignsForms(Protocol):
    """A store that lets a browser write one object with a plain HTML form."""

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object, with this type and size and no other.

        Raises:
            UnboundedUploadError: `expected.size` is None.
        """


@runtime_checkable
class SignsParts(Protocol):
    """A store that lets others write one large object in parts, in any order, each again if need be.

    Whoever begins an upload keeps its plan, hands out requests for the parts, and completes it. Nothing is visible
    under the key before that.
    """

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload and return its plan.

        Args:
            key: The object.
            content_type: Its media type.
            expected: `size` must be known; a digest is checked when the upload is completed, where the store can.
            part_size: Bytes of every part but the last, 5 MiB at least; None leaves it to the store.
            checksums: Whether each part is signed with its SHA-256; S3 wants that of all parts or of none.

        Raises:
            UnboundedUploadError: `expected.size` is None.
        """

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part, of the planned size and no other, and of this SHA-256 if it is given.

        Raises:
            InvalidRangeError: The plan has no part of this number.
            UnboundedUploadError: `sha256` is missing, or given, against what the plan says of all parts.
        """

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole, so that an upload can be taken up again.

        Raises:
            ObjectNotFoundError: There is no such upload, or it is over.
        """

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts.

        Raises:
            UploadRejectedError: A part is missing or has another size, or together they have another digest than the
                plan says, where the store can tell; the upload goes on.
            ObjectNotFoundError: There is no such upload, or it is over.
        """

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts; if there is none, do nothing."""


@runtime_checkable
class WritesParts(SignsParts, Protocol):
    """A store into which this process writes the parts itself, for a transfer that outlives the process."""

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part, whole or not at all; again, if need be, with the same bytes.

        Of two that differ, servers take one or the other.

        Args:
            plan: Of the upload, without checksums: on the way to the store these bytes have one in any case.
            number: Of the part, from 1.
            data: All of its bytes; not to be changed before this returns.

        Raises:
            InvalidRangeError: The plan has no part of this number.
            UnboundedUploadError: The plan says that parts have checksums.
            UploadRejectedError: These are not as many bytes as the part has.
            ObjectNotFoundError: There is no such upload, or it is over.
        """


class RequestSigner(Protocol):
    """Signs requests for a store that has no server of its own; whoever serves the store's objects provides it."""

    def sign(
        self,
        method: str,
        key: str,
        *,
        content_type: str | None = None,
        expected: Expected | None = None,
        expires_in: timedelta,
    ) -> SignedRequest:
        """Return a request for one object. How long it may last at most is the signer's to say.

        Args:
            method: `GET` (which brings `HEAD` with it), `PUT`, or `POST` of a form whose last field is `file`.
            key: The object.
            content_type: Media type that an upload must name; a form in its field `content-type` as well.
            expected: What the bytes of an upload must be; `expected.size` is not None.
            expires_in: How long the request is good, from now.
        """


@runtime_checkable
class HasLocalPath(Protocol):
    """A store whose objects are files of this machine."""

    def local_path(self, key: str) -> Path:
        """Return the file that holds an object, to be read only: it may be shared with other objects.

        The path is good until the object is replaced or deleted.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
        """
