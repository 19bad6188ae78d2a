"""Copies within a server, each in the way that is safe on it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

from mamkit.storage._upload import check_match
from mamkit.storage.errors import StorageError, UnsupportedOperationError
from mamkit.storage.models import ObjectInfo
from mamkit.storage.protocols import ObjectReader
from mamkit.storage.s3._client import S3Client
from mamkit.storage.s3._upload import MAX_PARTS, MIN_PART, Parts, Wanted

__all__ = ["S3Copies"]

_PART = 512 * 1024 * 1024  # bytes; a server copies a part while the request waits for it


class S3Copies:
    """Copies objects into one bucket.

    Args:
        client: Asks.
        pool: Runs the requests of parts.
    """

    def __init__(self, client: S3Client, pool: ThreadPoolExecutor) -> None:
        self._client = client
        self._pool = pool

    def copy(self, origin: ObjectReader, bucket: str, info: ObjectInfo, wanted: Wanted) -> ObjectInfo:
        """Copy just the object that `info` is about.

        Args:
            origin: Reads it, where its bytes must go through this process.
            bucket: Where it is, on the same server.
            info: Facts of it.
            wanted: What the copy is to become.

        Raises:
            UnsupportedOperationError: No way is safe on this server.
            RefusalError: The source is gone or another.
            StorageError: As the contract says.
        """
        can, most = self._client.features, self._client.largest
        whole = info.size <= most or can.large_copy
        if can.copy_source_match and whole and (can.conditional_copy or not wanted.if_absent):
            return self._client.copy(info, bucket, wanted)
        if can.copy_source_match and info.size and (can.conditional_complete or not wanted.if_absent):
            return self._in_parts(bucket, info, wanted)
        if info.size > most:
            raise UnsupportedOperationError(
                f"the server of {self._client.name!r} has no safe way to copy more than {most:,} bytes"
            )

        def blocks() -> Iterator[bytes]:
            with origin.get(info.key) as body:
                check_match(body.info, info.etag)
                yield from body

        return self._client.pour(wanted, blocks, info.size)

    def _in_parts(self, bucket: str, info: ObjectInfo, wanted: Wanted) -> ObjectInfo:
        parts = self._client.begin_parts(wanted, checksums=False)
        size = max(min(_PART, self._client.largest), MIN_PART, -(-info.size // MAX_PARTS))
        jobs = [
            self._pool.submit(
                self._client.copy_part, parts, number, info, bucket, (start, min(start + size, info.size))
            )
            for number, start in enumerate(range(0, info.size, size), start=1)
        ]
        try:
            return self._client.finish_parts(parts, [job.result() for job in jobs])
        except BaseException:
            for job in jobs:
                job.cancel()
            wait(jobs)  # a part that arrived after the drop would stay on the server
            self._drop(parts)
            raise

    def _drop(self, parts: Parts) -> None:
        with suppress(StorageError):  # the bucket's rule for unfinished uploads will see to it
            self._client.drop_parts(parts)
