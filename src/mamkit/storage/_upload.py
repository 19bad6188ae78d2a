"""What all uploads share: counting, hashing, refusing; and the two ways to feed one."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Self

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of, reader_into
from mamkit.storage._files import mover
from mamkit.storage.errors import ObjectChangedError, UploadClosedError, UploadRejectedError
from mamkit.storage.models import Expected, ObjectInfo
from mamkit.storage.protocols import ObjectReader, ObjectWriter, Upload

__all__ = ["CheckedUpload", "carry", "check_match", "feed", "pour"]


class CheckedUpload(ABC):
    """An `Upload` that holds the bytes against what was expected; a store says where they go.

    Whatever goes wrong, also in the store, ends the upload and leaves nothing.

    Args:
        key: Under which the object will be.
        expected: What the bytes must be.
    """

    def __init__(self, key: str, expected: Expected | None) -> None:
        self._key = key
        self._expected = expected or Expected()
        self._size = 0
        self._digest = hashlib.sha256()
        self._open = False
        self._buffer = memoryview(b"")

    def __enter__(self) -> Self:
        self._begin()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def write(self, block: bytes) -> None:
        """Take the next bytes."""
        self._check_open()
        try:
            self._take(memoryview(block).cast("B"))
        except BaseException:
            self._end()
            raise

    def drain(self, data: bytes | BinaryIO | Iterable[bytes]) -> None:
        """Take all bytes of what `put` is given."""
        self._check_open()
        try:
            move = mover(data)
            while move is not None and (count := self._move(move)):
                self._count(count)
            if (readinto := reader_into(data)) is None:
                for block in _blocks(data):
                    self._take(memoryview(block).cast("B"))
                return
            while self._read(readinto):
                pass
        except BaseException:
            self._end()
            raise

    def commit(self) -> ObjectInfo:
        """Make the object visible under its key, at once and whole."""
        self._check_open()
        try:
            return self._publish(self._check_whole())
        finally:
            self._end()

    def _take(self, view: memoryview) -> None:
        self._count(len(view))
        # A piece at a time, which the processor still has at hand for the second.
        for start in range(0, len(view), BLOCK_SIZE):
            piece = view[start : start + BLOCK_SIZE]
            self._hash(piece)
            self._append(piece)

    def _count(self, more: int) -> None:
        self._size += more
        if self._expected.size is not None and self._size > self._expected.size:
            raise UploadRejectedError("size", expected=self._expected.size, actual=self._size, key=self._key)

    def _read(self, readinto: Callable[[memoryview], int | None]) -> int:
        """Take the next bytes by what reads them into a buffer; return how many, 0 at the end."""
        self._buffer = self._buffer or buffer_of(BLOCK_SIZE)
        count = readinto(self._buffer) or 0
        self._take(self._buffer[:count])
        return count

    def _hash(self, block: memoryview) -> None:
        """Make a block part of the digest; called before `_append` of it."""
        self._digest.update(block)

    def _move(self, _: Callable[[int], int]) -> int:
        """Take and hash the next bytes by what moves them to a descriptor; return how many, 0 if that cannot be."""
        return 0

    def _hexdigest(self) -> str:
        """Return the digest of all bytes."""
        return self._digest.hexdigest()

    def _check_whole(self) -> str:
        """Return the digest of bytes that are all there and the right ones."""
        size, sha256 = self._size, self._hexdigest()
        if self._expected.size is not None and self._expected.size != size:
            raise UploadRejectedError("size", expected=self._expected.size, actual=size, key=self._key)
        if self._expected.sha256 is not None and self._expected.sha256 != sha256:
            raise UploadRejectedError("sha256", expected=self._expected.sha256, actual=sha256, key=self._key)
        return sha256

    def _check_open(self) -> None:
        if not self._open:
            raise UploadClosedError(self._key)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._buffer = memoryview(b"")
            self._discard()

    @abstractmethod
    def _begin(self) -> None:
        """Make room for the bytes."""

    @abstractmethod
    def _append(self, block: memoryview) -> None:
        """Keep a block."""

    @abstractmethod
    def _publish(self, sha256: str) -> ObjectInfo:
        """Make the object visible."""

    @abstractmethod
    def _discard(self) -> None:
        """Free everything that is not published."""


def feed(upload: AbstractContextManager[Upload], data: bytes | BinaryIO | Iterable[bytes]) -> ObjectInfo:
    """Write all of `data` into an upload and commit it."""
    with upload as target:
        pour(target, data)
        return target.commit()


def pour(upload: Upload, data: bytes | BinaryIO | Iterable[bytes]) -> None:
    """Write all of `data` into an upload that is open."""
    if isinstance(upload, CheckedUpload):
        upload.drain(data)
    else:
        for block in _blocks(data):
            upload.write(block)


def carry(
    origin: ObjectReader, source: str, target: ObjectWriter, key: str, *, if_match: str | None, if_absent: bool
) -> ObjectInfo:
    """Copy an object through this process, block by block, its digest verified on the way where the origin knows it."""
    with origin.get(source) as body:
        check_match(body.info, if_match)
        upload = target.upload(
            key,
            content_type=body.info.content_type,
            metadata=body.info.metadata,
            expected=Expected(size=body.info.size, sha256=body.info.sha256),
            if_absent=if_absent,
        )
        return feed(upload, body)


def check_match(info: ObjectInfo, if_match: str | None) -> None:
    """Do nothing if the object is the one that was meant.

    Raises:
        ObjectChangedError: Its ETag is another.
    """
    if if_match is not None and info.etag != if_match:
        raise ObjectChangedError(info.key, expected=if_match, actual=info.etag)


def _blocks(data: bytes | BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(data, bytes | bytearray):
        yield data
    elif isinstance(data, memoryview):
        yield data.tobytes()
    elif callable(read := getattr(data, "read", None)):  # iterating a file would give lines, of any length
        while block := read(BLOCK_SIZE):
            yield block
    else:
        yield from data
