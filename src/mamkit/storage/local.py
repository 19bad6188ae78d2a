"""A store in a folder of this machine."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mamkit.clock import Clock, utc_now
from mamkit.storage._body import FileBody, found_range
from mamkit.storage._facts import check_facts
from mamkit.storage._following import FileSha256
from mamkit.storage._local_parts import LocalParts
from mamkit.storage._shelf import Shelf
from mamkit.storage._sidecar import Facts
from mamkit.storage._tree import Scratch, Tree, os_errors
from mamkit.storage._upload import CheckedUpload, carry, check_match, feed
from mamkit.storage._walk import walk
from mamkit.storage.errors import ObjectNotFoundError, UnboundedUploadError, UnsupportedOperationError
from mamkit.storage.keys import check_key, check_prefix
from mamkit.storage.models import ByteRange, Expected, ObjectInfo, PartsPlan, SignedForm, SignedRequest
from mamkit.storage.protocols import ObjectReader, RequestSigner, Upload

__all__ = ["LocalStore"]

_LINK_ATTEMPTS = 10  # against a source that is replaced just when it is to be linked; then its bytes are carried


class LocalStore:
    """An `ObjectStore` in a folder, for any number of threads and processes of one machine.

    An object of a plain key lies under that very path below the root, so that a web server may serve it; other keys are
    escaped (`mamkit.storage._paths` says how). Files are read only and always replaced, never written to, so a copy is
    a hard link. A crash at any moment, `kill -9` included, leaves every key with its old bytes or its new ones; what
    was written half is removed when the next store is opened on the root.

    Whoever may write below the root is trusted: a symbolic link in place of an object is not followed, one in place of
    a folder is. The file system must know hard links and `flock`, as those of Linux and macOS do. A file that somebody
    puts below the root is an object if its path is one that a key stands for; its type is that of its extension.

    Args:
        root: Folder of the store, made if it is not there.
        signer: Signs requests of strangers (`sign_get`, `sign_put`, …); without one the store signs nothing.
        durable: Whether a finished write is on the disk (fsync) and so outlives a power cut; False is for what can be
            made again.
        clock: Tells when objects were modified.

    Raises:
        StorageUnavailableError: The folder cannot be made or written to.
    """

    def __init__(
        self, root: Path | str, *, signer: RequestSigner | None = None, durable: bool = True, clock: Clock = utc_now
    ) -> None:
        self._root = Path(root).absolute()
        self._signer = signer
        self._clock = clock
        self._parts = LocalParts(self, self._sign)
        with os_errors(str(root)):
            self._shelf = Shelf(Tree(self._root, durable=durable), clock=clock)

    def __repr__(self) -> str:
        return f"LocalStore({str(self._root)!r})"

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        check_key(key)
        with os_errors(key):
            return self._shelf.find(key).info

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        """Open an object, or a run of its bytes."""
        check_key(key)
        with os_errors(key):
            file, info = self._shelf.open(key)
            try:
                return FileBody(file, info, found_range(byte_range, info.size))
            except BaseException:
                file.close()
                raise

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`, in order of their UTF-8 bytes."""
        return self._list(check_prefix(prefix), after)

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
        return self._upload(key, content_type, metadata, expected, partial(self._shelf.publish, if_absent=if_absent))

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
        """Copy an object of this store, or of another: by a hard link from a local store on the same file system.

        A file that was not written by a store is carried, so that nobody who has it open can change the copy.
        """
        check_key(source)
        check_key(key)
        origin = origin or self
        if isinstance(origin, LocalStore):
            for _ in range(_LINK_ATTEMPTS):
                with os_errors(source):
                    found = origin._shelf.find(source)
                check_match(found.info, if_match)
                if found.info.sha256 is None:  # somebody else's file, which they may go on writing to
                    break
                facts = Facts.of(found.info, modified_at=self._clock())
                with os_errors(key):
                    copied = self._shelf.link(key, origin._shelf, found, facts, if_absent=if_absent)
                if copied is not None:
                    return copied
        return carry(origin, source, self, key, if_match=if_match, if_absent=if_absent)

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        check_key(key)
        with os_errors(key):
            self._shelf.remove(key)

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

        Nobody who uses the store comes in between; a program that puts a file there itself may.
        """
        place = partial(self._shelf.publish, if_match=if_match)
        return feed(self._upload(key, content_type, metadata, expected, place), data)

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag."""
        check_key(key)
        with os_errors(key):
            self._shelf.remove(key, if_match=if_match)

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`: against programs that use the store, not its files."""
        check_key(key)
        with os_errors(key):
            self._shelf.retain(key, until.astimezone(UTC))

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not."""
        check_key(key)
        with os_errors(key):
            return self._shelf.retained_until(key)

    def local_path(self, key: str) -> Path:
        """Return the file that holds an object, to be read only."""
        check_key(key)
        with os_errors(key):
            return self._shelf.path(key)

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object until it expires.

        Raises:
            UnsupportedOperationError: The store was made without a signer.
        """
        return self._sign().sign("GET", check_key(key), expires_in=expires_in)

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object, with this type, size and SHA-256 and no other.

        Raises:
            UnboundedUploadError: `expected.size` is None.
            UnsupportedOperationError: The store was made without a signer.
        """
        return self._sign_upload("PUT", key, content_type, expected, expires_in)

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object, with this type, size and SHA-256 and no other.

        Raises:
            UnboundedUploadError: `expected.size` is None.
            UnsupportedOperationError: The store was made without a signer.
        """
        request = self._sign_upload("POST", key, content_type, expected, expires_in)
        return SignedForm(url=request.url, fields={"content-type": content_type}, expires_at=request.expires_at)

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload in parts, which wait beside the key, in `KEY.parts/`.

        Raises:
            UnsupportedOperationError: The store was made without a signer.
        """
        return self._parts.begin(
            key, content_type=content_type, expected=expected, part_size=part_size, checksums=checksums
        )

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part."""
        return self._parts.sign(plan, number, sha256=sha256, expires_in=expires_in)

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part."""
        self._parts.put(plan, number, data)

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        return self._parts.there(plan)

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        return self._parts.complete(plan)

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        self._parts.abort(plan)

    def _upload(
        self,
        key: str,
        content_type: str,
        metadata: Mapping[str, str] | None,
        expected: Expected | None,
        place: Callable[[str, Scratch, Facts], ObjectInfo],
    ) -> AbstractContextManager[Upload]:
        check_key(key)
        checked = check_facts(content_type, metadata)

        def publish(scratch: Scratch, sha256: str) -> ObjectInfo:
            facts = Facts(content_type=content_type, sha256=sha256, modified_at=self._clock(), metadata=checked)
            return place(key, scratch, facts)

        return _LocalUpload(key, expected, self._shelf.tree, publish)

    def _sign(self) -> RequestSigner:
        if self._signer is None:
            raise UnsupportedOperationError(f"{self!r} signs no requests; make it with a signer")
        return self._signer

    def _sign_upload(
        self, method: str, key: str, content_type: str, expected: Expected, expires_in: timedelta
    ) -> SignedRequest:
        signer = self._sign()
        check_key(key)
        check_facts(content_type, None)
        if expected.size is None:
            raise UnboundedUploadError(key)
        return signer.sign(method, key, content_type=content_type, expected=expected, expires_in=expires_in)

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        with os_errors(prefix or str(self._root)):
            for key in walk(self._root, prefix, after):
                with suppress(ObjectNotFoundError):  # it went away since its folder was read
                    yield self._shelf.find(key).info


class _LocalUpload(CheckedUpload):
    def __init__(
        self, key: str, expected: Expected | None, tree: Tree, publish: Callable[[Scratch, str], ObjectInfo]
    ) -> None:
        super().__init__(key, expected)
        self._tree = tree
        self._commit = publish
        self._scratch: Scratch
        self._written: FileSha256

    def _begin(self) -> None:
        with os_errors(self._key):
            self._scratch = self._tree.scratch()
        self._written = FileSha256(self._scratch.fileno())

    def _move(self, move: Callable[[int], int]) -> int:
        count = move(self._scratch.fileno())
        self._written.grow(count)
        return count

    def _hash(self, block: memoryview) -> None:
        """Leave it to `_append`: the digest is of what is in the file."""

    def _append(self, block: memoryview) -> None:
        with os_errors(self._key):
            self._scratch.write(block)
        self._written.grow(len(block), block)

    def _hexdigest(self) -> str:
        with os_errors(self._key):
            return self._written.hexdigest()

    def _publish(self, sha256: str) -> ObjectInfo:
        with os_errors(self._key):
            return self._commit(self._scratch, sha256)

    def _discard(self) -> None:
        self._written.close()
        self._scratch.close()
