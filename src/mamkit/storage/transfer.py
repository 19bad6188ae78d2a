"""Files to and from any store: in parallel where that pays, resumed where it broke off, verified, with progress."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._facts import content_type_of
from mamkit.storage._partial import partial_of
from mamkit.storage.errors import ObjectChangedError, StorageUnavailableError, UploadRejectedError
from mamkit.storage.models import ByteRange, Expected, ObjectInfo
from mamkit.storage.protocols import HasLocalPath, ObjectReader, ObjectWriter

__all__ = ["Downloaded", "Progress", "download_file", "read_ahead", "upload_file"]

Progress = Callable[[int], object]
"""Called with the bytes that are through so far; never twice at once, and never with fewer than before."""

_PART = (
    6 * 1024 * 1024
)  # bytes of one range; `threads` + 1 of them are in memory, and half as much again as malloc keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What was downloaded."""

    info: ObjectInfo
    sha256: str
    """Of the bytes that are in the file now; lower-case hexadecimal."""


def upload_file(
    store: ObjectWriter,
    path: Path | str,
    key: str,
    *,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    expected: Expected | None = None,
    if_absent: bool = False,
    progress: Progress | None = None,
) -> ObjectInfo:
    """Upload a file; a store that can sends it in parallel parts.

    Args:
        store: Where to.
        path: The file; its size when it is opened is what must arrive.
        key: The object.
        content_type: Media type; None is that of the key's extension.
        metadata: Kept with the object.
        expected: What the bytes must be.
        if_absent: Whether an object under the key is left as it is.
        progress: Told of the bytes that were handed to the store.

    Raises:
        UploadRejectedError: The file has other bytes than expected, or changed its size meanwhile.
        ObjectExistsError: `if_absent` was asked for, and the key is taken.
        OSError: The file cannot be read.
    """
    expected = expected or Expected()
    with Path(path).open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if expected.size is not None and expected.size != size:
            raise UploadRejectedError("size", expected=expected.size, actual=size, key=key)
        return store.put(
            key,
            _blocks(file, progress or _ignore),
            content_type=content_type or content_type_of(key),
            metadata=metadata,
            expected=Expected(size=size, sha256=expected.sha256),
            if_absent=if_absent,
        )


def download_file(
    store: ObjectReader,
    key: str,
    path: Path | str,
    *,
    expected: Expected | None = None,
    threads: int = 4,
    part_size: int = _PART,
    progress: Progress | None = None,
) -> Downloaded:
    """Download an object to a file that appears when it is whole and verified.

    What has arrived stays beside the file, under a name with the object's ETag, and a later call goes on from there.

    Args:
        store: Where from.
        key: The object.
        path: The file; one that is there is replaced.
        expected: What the bytes must be; the store's own SHA-256, where it knows one, is checked in any case.
        threads: Ranges that are read at once.
        part_size: Bytes of a range.
        progress: Told of the bytes that are in the file.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
        ObjectChangedError: The object was replaced meanwhile.
        UploadRejectedError: The bytes are not those that were expected.
        StorageUnavailableError: The store failed.
        OSError: The file cannot be written.
    """
    path, expected, progress = Path(path), expected or Expected(), progress or _ignore
    info = store.head(key)
    if expected.size is not None and expected.size != info.size:
        raise UploadRejectedError("size", expected=expected.size, actual=info.size, key=key)
    with partial_of(path, info.etag) as partial:
        progress(partial.size)
        if partial.size < info.size:
            for block in read_ahead(store, info, ByteRange(partial.size), threads=threads, part_size=part_size):
                partial.append(block)
                progress(partial.size)
        rejected = None
        if partial.size != info.size:  # somebody else has written to it
            rejected = UploadRejectedError("size", expected=info.size, actual=partial.size, key=key)
        for wanted in {expected.sha256, info.sha256} - {None, partial.sha256}:
            rejected = UploadRejectedError("sha256", expected=wanted or "", actual=partial.sha256, key=key)
        if rejected is not None:
            partial.path.unlink()
            raise rejected
        partial.path.replace(path)
        return Downloaded(info=info, sha256=partial.sha256)


def read_ahead(
    store: ObjectReader,
    info: ObjectInfo,
    byte_range: ByteRange | None = None,
    *,
    threads: int = 4,
    part_size: int = _PART,
) -> Iterator[bytes]:
    """Yield the bytes of an object in order, while the ranges to come are read already.

    `threads` + 1 ranges are in memory at most.

    Args:
        store: Holds the object.
        info: Facts of the object.
        byte_range: What to read; None is the whole.
        threads: Ranges that are read at once.
        part_size: Bytes of a range.

    Raises:
        ObjectChangedError: The object was replaced meanwhile.
        RangeNotSatisfiableError: It has no such byte.
    """
    if info.size == 0 and byte_range is None:
        return
    span = (byte_range or ByteRange()).resolve(info.size)
    stop = info.size if span.stop is None else span.stop
    if isinstance(store, HasLocalPath):
        yield from _straight(store, info, span)
        return
    starts = iter(range(span.start, stop, part_size))

    def fetch(start: int) -> list[bytes]:
        end = min(start + part_size, stop)
        with store.get(info.key, ByteRange(start, end)) as body:
            if body.info.etag != info.etag:
                raise ObjectChangedError(info.key, expected=info.etag, actual=body.info.etag)
            blocks = list(body)  # as they come: one piece of the whole range would be memory that is new each time
        missing = end - start - sum(map(len, blocks))
        if missing:
            raise StorageUnavailableError(info.key, f"{missing} bytes of a range are missing")
        return blocks

    with ThreadPoolExecutor(threads, thread_name_prefix="mamkit-transfer") as pool:
        waiting: list[Future[list[bytes]]] = []
        try:
            for start in starts:
                waiting.append(pool.submit(fetch, start))
                if len(waiting) >= threads:
                    yield from _let_go(waiting.pop(0).result())
            while waiting:
                yield from _let_go(waiting.pop(0).result())
        finally:
            for job in waiting:
                job.cancel()


def _let_go(blocks: list[bytes]) -> Iterator[bytes]:
    """Yield blocks, each of which is forgotten then."""
    blocks.reverse()
    while blocks:
        yield blocks.pop()


def _straight(store: ObjectReader, info: ObjectInfo, span: ByteRange) -> Iterator[bytes]:
    """Yield the bytes of a file of this machine, which is not read any sooner in pieces at once."""
    with store.get(info.key, span) as body:
        if body.info.etag != info.etag:
            raise ObjectChangedError(info.key, expected=info.etag, actual=body.info.etag)
        while block := body.read(BLOCK_SIZE):
            yield block


def _blocks(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    done = 0
    while block := file.read(BLOCK_SIZE):
        yield block
        done += len(block)
        progress(done)


def _ignore(_: int) -> None:
    """Take no notice."""
