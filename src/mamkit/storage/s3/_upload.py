"""Writing to S3: one request for what fits into a part, parallel parts for the rest.

At most `concurrency + 1` parts are in memory. Each part carries its SHA-256, which servers verify; the whole is counted
and hashed as for every store. Nothing is visible under the key before the one request that makes it so.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of
from mamkit.storage._upload import CheckedUpload
from mamkit.storage.errors import StorageError, StorageFullError
from mamkit.storage.models import Expected, ObjectInfo

__all__ = ["MAX_PARTS", "MIN_PART", "PartSink", "Parts", "S3Upload", "Wanted", "part_size_for"]

MAX_PARTS = 10_000  # Amazon S3 user guide, "Multipart upload limits"
MIN_PART = 5 * 1024 * 1024  # bytes of any part but the last: ibid.


def part_size_for(size: int, preferred: int) -> int:
    """Return the size of the parts of an object of `size` bytes: the preferred one, or as large as it needs to be."""
    return max(preferred, MIN_PART, -(-size // MAX_PARTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an upload is to become."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    if_absent: bool
    if_match: str | None = None
    """As the header has it, where the object replaces just one other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An upload in parts that has begun.

    Attributes:
        wanted: What it is to become.
        key: Where the server gathers it; not always where it is to be.
        upload_id: The server's name of it.
        token: Tells its object from everybody else's.
    """

    wanted: Wanted
    key: str
    upload_id: str
    token: str = field(repr=False)


class PartSink(Protocol):
    """What an upload needs of its store."""

    def put_whole(self, wanted: Wanted, data: bytes, sha256: str) -> ObjectInfo:
        """Write an object in one request."""

    def begin_parts(self, wanted: Wanted) -> Parts:
        """Begin an upload in parts."""

    def put_part(self, parts: Parts, number: int, data: bytes | memoryview) -> str:
        """Write a part and return its ETag."""

    def finish_parts(self, parts: Parts, etags: Sequence[str]) -> ObjectInfo:
        """Make the parts an object."""

    def drop_parts(self, parts: Parts) -> None:
        """Forget the parts."""


class S3Upload(CheckedUpload):
    """An upload in as many parts as it takes.

    Args:
        wanted: What it is to become.
        expected: What the bytes must be.
        sink: Writes.
        pool: Runs the requests of parts.
        concurrency: Parts on their way at once.
        part_size: Bytes of a part.
    """

    def __init__(
        self,
        wanted: Wanted,
        expected: Expected | None,
        sink: PartSink,
        pool: ThreadPoolExecutor,
        *,
        concurrency: int,
        part_size: int,
    ) -> None:
        super().__init__(wanted.key, expected)
        self._sink = sink
        self._wanted = wanted
        self._pool = pool
        self._concurrency = concurrency
        size = self._expected.size
        self._part_size = part_size if size is None else part_size_for(size, part_size)
        # The digest of the whole is wanted if somebody gave one, or if one request takes it all.
        self._hashes_all = self._expected.sha256 is not None
        self._may_be_small = size is None or size <= self._part_size
        self._part: bytearray | memoryview = bytearray()
        self._filled = 0
        self._free: list[memoryview] = []
        self._upload: Parts | None = None
        self._pending: dict[Future[str], bytearray | memoryview] = {}
        self._parts: list[Future[str]] = []

    def _begin(self) -> None:
        self._part, self._filled = bytearray() if self._may_be_small else buffer_of(self._part_size), 0
        self._free, self._upload, self._pending, self._parts = [], None, {}, []

    def _append(self, block: memoryview) -> None:
        while block:
            if self._filled == self._part_size:
                self._send()
            count = min(len(block), self._part_size - self._filled)
            end = self._filled + count
            if isinstance(self._part, bytearray) and end > len(self._part):  # the first part, which may be a small one
                self._part += block[:count]
            else:
                self._part[self._filled : end] = block[:count]
            self._filled, block = end, block[count:]

    def _read(self, readinto: Callable[[memoryview], int | None]) -> int:
        """Read into the part itself, where there is memory for a whole one."""
        if isinstance(self._part, bytearray):
            return super()._read(readinto)
        if self._filled == self._part_size:
            self._send()
        room = memoryview(self._part)[self._filled : self._filled + BLOCK_SIZE]
        count = readinto(room) or 0
        self._count(count)
        self._hash(room[:count])
        self._filled += count
        return count

    def _hash(self, block: memoryview) -> None:
        if self._hashes_all or (self._may_be_small and self._upload is None):
            super()._hash(block)

    def _publish(self, sha256: str) -> ObjectInfo:
        if self._upload is None:
            return self._sink.put_whole(self._wanted, bytes(memoryview(self._part)[: self._filled]), sha256)
        if self._filled:
            self._send()
        etags = [part.result() for part in self._parts]
        info = self._sink.finish_parts(self._upload, etags)
        self._upload = None  # it is an object now, and no longer to be dropped
        return info

    def _discard(self) -> None:
        for part in self._parts:
            part.cancel()
        wait(self._parts)  # a part that arrived after the drop would stay on the server
        self._part, self._free, self._pending = bytearray(), [], {}
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(StorageError):  # the bucket's rule for unfinished uploads will see to it
                self._sink.drop_parts(upload)

    def _send(self) -> None:
        """Hand the part that is full to the pool, as soon as one of those on their way is through."""
        if self._upload is None:
            self._upload = self._sink.begin_parts(self._wanted)
        if len(self._parts) == MAX_PARTS:
            raise StorageFullError(self._key, errno.EFBIG)
        while len(self._pending) >= self._concurrency:
            for part in wait(self._pending, return_when=FIRST_COMPLETED).done:
                part.result()
                buffer = self._pending.pop(part)
                if isinstance(buffer, memoryview):  # not the first, which is slow to receive into
                    self._free.append(buffer)
        buffer, filled = self._part, self._filled
        job = self._pool.submit(self._put_part, self._upload, len(self._parts) + 1, buffer, filled)
        self._parts.append(job)
        self._pending[job] = buffer
        self._part, self._filled = self._free.pop() if self._free else buffer_of(self._part_size), 0

    def _put_part(self, upload: Parts, number: int, buffer: bytearray | memoryview, filled: int) -> str:
        return self._sink.put_part(upload, number, memoryview(buffer)[:filled])
