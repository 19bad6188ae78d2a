"""Reading from S3: a run of an object's bytes, and the rest of it where the connection broke."""

from functools import partial

from mamkit.storage._body import found_range
from mamkit.storage.errors import ObjectChangedError, RangeNotSatisfiableError
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.s3._body import S3Body
from mamkit.storage.s3._client import S3Client
from mamkit.storage.s3._http import Answer, Patience
from mamkit.storage.s3._wire import RefusalError, etag_of, info_from_headers, to_error, whole_size

__all__ = ["S3Reading"]


class S3Reading:
    """Opens the objects of one bucket.

    Args:
        client: Asks.
        patience: How often to try without a byte of progress.
    """

    def __init__(self, client: S3Client, patience: Patience) -> None:
        self._client = client
        self._patience = patience

    def open(self, key: str, byte_range: ByteRange | None) -> S3Body:
        """Open an object, or a run of its bytes.

        Raises:
            RangeNotSatisfiableError: The object has none of these bytes.
            StorageError: As the contract says.
        """
        if byte_range is not None and byte_range.stop == 0:
            raise RangeNotSatisfiableError(str(byte_range), self._client.info(key).size)
        try:
            answer = self._client.get(key, byte_range)
        except RefusalError as refusal:
            if refusal.status == 416:
                raise RangeNotSatisfiableError(str(byte_range), self._client.info(key).size) from refusal
            raise to_error(refusal, key) from refusal
        size = whole_size(key, answer.headers, None if byte_range is None else byte_range.start)
        info = info_from_headers(key, answer.headers, size=size)
        found = found_range(byte_range, size)
        return S3Body(answer, info, found, resume=partial(self._resume, info, found.stop), patience=self._patience)

    def _resume(self, info: ObjectInfo, stop: int | None, position: int) -> Answer:
        """Ask for the bytes from a position on, of this very object.

        Raises:
            ObjectChangedError: Another is there now.
            StorageError: As the contract says.
        """
        try:
            answer = self._client.get(info.key, ByteRange(position, stop), etag=info.etag)
        except RefusalError as refusal:
            if refusal.status in {412, 416}:
                actual = self._client.info(info.key).etag
                raise ObjectChangedError(info.key, expected=info.etag, actual=actual) from refusal
            raise to_error(refusal, info.key) from refusal
        whole_size(info.key, answer.headers, position)
        if (actual := etag_of(answer.headers)) != info.etag:  # the server ignores the condition
            raise ObjectChangedError(info.key, expected=info.etag, actual=actual)
        return answer
