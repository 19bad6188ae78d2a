"""Files to and from any store: in parallel where that pays, resumed where it broke off, verified, with progress."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of, fill
from mamkit.storage._facts import content_type_of
from mamkit.storage._files import WatchedFile
from mamkit.storage._partial import Partial, partial_of
from mamkit.storage.errors import ObjectChangedError, StorageUnavailableError, UploadRejectedError
from mamkit.storage.models import ByteRange, Expected, ObjectInfo
from mamkit.storage.protocols import HasLocalPath, ObjectBody, ObjectReader, ObjectWriter

__all__ = ["Downloaded", "Progress", "download_file", "download_unverified", "read_ahead", "upload_file"]

Progress = Callable[[int], object]
"""Called with the bytes that are through so far; never twice at once, and never with fewer than before."""

_PART = 6 * 1024 * 1024  # bytes of one range; `threads` + 1 of them are in memory


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
            WatchedFile(file, progress or _ignore),
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
    expected = expected or Expected()
    info = _head(store, key, expected.size)
    with _gathered(store, info, path, progress, threads=threads, part_size=part_size, hashed=True) as partial:
        sha256 = partial.sha256 or ""
        for wanted in {expected.sha256, info.sha256} - {None, sha256}:
            partial.path.unlink()
            raise UploadRejectedError("sha256", expected=wanted or "", actual=sha256, key=key)
    return Downloaded(info=info, sha256=sha256)


def download_unverified(
    store: ObjectReader,
    key: str,
    path: Path | str,
    *,
    size: int | None = None,
    threads: int = 4,
    part_size: int = _PART,
    progress: Progress | None = None,
) -> ObjectInfo:
    """Download an object to a file that appears when all of it is there, without a look at the bytes.

    For bytes that somebody verifies later, or that can be made anew: that they are of one object is checked, and how
    many there are; that they are the right ones is not. It takes less than half of the processor's time of
    `download_file`, and from a store of files the kernel copies. What an earlier call has left is not gone on with.

    Args:
        store: Where from.
        key: The object.
        path: The file; one that is there is replaced.
        size: Bytes that the object must have; None is any number.
        threads: Ranges that are read at once.
        part_size: Bytes of a range.
        progress: Told of the bytes that are in the file.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
        ObjectChangedError: The object was replaced meanwhile.
        UploadRejectedError: It has another size.
        StorageUnavailableError: The store failed.
        OSError: The file cannot be written.
    """
    info = _head(store, key, size)
    with _gathered(store, info, path, progress, threads=threads, part_size=part_size, hashed=False):
        return info


def _head(store: ObjectReader, key: str, size: int | None) -> ObjectInfo:
    info = store.head(key)
    if size is not None and size != info.size:
        raise UploadRejectedError("size", expected=size, actual=info.size, key=key)
    return info


@contextmanager
def _gathered(
    store: ObjectReader,
    info: ObjectInfo,
    path: Path | str,
    progress: Progress | None,
    *,
    threads: int,
    part_size: int,
    hashed: bool,
) -> Iterator[Partial]:
    """Gather an object in a file, which gets its name when the `with` block is left without an error."""
    path, progress = Path(path), progress or _ignore
    with partial_of(path, info.etag, hashed=hashed) as partial:
        progress(partial.size)
        if partial.size < info.size:
            _go_on(partial, store, info, threads=threads, part_size=part_size, progress=progress)
        if partial.size != info.size:  # somebody else has written to it
            partial.path.unlink()
            raise UploadRejectedError("size", expected=info.size, actual=partial.size, key=info.key)
        yield partial
        partial.path.replace(path)


def _go_on(
    partial: Partial, store: ObjectReader, info: ObjectInfo, *, threads: int, part_size: int, progress: Progress
) -> None:
    """Add to a file what is missing of an object."""
    span = ByteRange(partial.size, info.size)
    if isinstance(store, HasLocalPath):  # a file of this machine is not read any sooner in pieces at once
        with _opened(store, info, span) as body:
            for size in partial.drain(body):
                progress(size)
        return
    for view in _ranges(store, info, span, threads=threads, part_size=part_size):
        partial.append(view)
        progress(partial.size)


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
    if isinstance(store, HasLocalPath):  # a file of this machine is not read any sooner in pieces at once
        with _opened(store, info, span) as body:
            while block := body.read(BLOCK_SIZE):
                yield block
        return
    for view in _ranges(store, info, span, threads=threads, part_size=part_size):
        for start in range(0, len(view), BLOCK_SIZE):
            yield bytes(view[start : start + BLOCK_SIZE])


def _ranges(
    store: ObjectReader, info: ObjectInfo, span: ByteRange, *, threads: int, part_size: int
) -> Iterator[memoryview]:
    """Yield the ranges of an object in order; each is good until the next one is asked for."""
    stop = info.size if span.stop is None else span.stop
    starts = range(span.start, stop, part_size)
    free = [buffer_of(min(part_size, stop - span.start)) for _ in range(min(threads, len(starts)) + 1)]

    def fetch(start: int, buffer: memoryview) -> memoryview:
        view = buffer[: min(part_size, stop - start)]
        with _opened(store, info, ByteRange(start, start + len(view))) as body:
            missing = len(view) - fill(body, view)
        if missing:
            raise StorageUnavailableError(info.key, f"{missing} bytes of a range are missing")
        return view

    with ThreadPoolExecutor(threads, thread_name_prefix="mamkit-transfer") as pool:
        waiting: deque[tuple[Future[memoryview], memoryview]] = deque()
        try:
            for start in starts:
                waiting.append((pool.submit(fetch, start, free[-1]), free.pop()))
                if len(waiting) == threads:
                    job, buffer = waiting.popleft()
                    yield job.result()
                    free.append(buffer)
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            for job, _ in waiting:
                job.cancel()


@contextmanager
def _opened(store: ObjectReader, info: ObjectInfo, span: ByteRange) -> Iterator[ObjectBody]:
    """Open a range of just this object."""
    with store.get(info.key, span) as body:
        if body.info.etag != info.etag:
            raise ObjectChangedError(info.key, expected=info.etag, actual=body.info.etag)
        yield body


def _ignore(_: int) -> None:
    """Take no notice."""
