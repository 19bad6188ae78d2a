"""Retention of objects in a bucket with object lock.

The lock keeps every version of an object, but lets anybody put a newer one, or a mark of deletion, on top of it. For
whoever reads by key that is a loss all the same, so the store refuses both as long as the object is retained.
"""

import base64
import hashlib
from datetime import UTC, datetime

from mamkit.clock import Clock
from mamkit.storage.errors import ObjectNotFoundError, ObjectRetainedError, UnsupportedOperationError
from mamkit.storage.s3._client import S3Client
from mamkit.storage.s3._wire import RefusalError, base64_digest, refusals

__all__ = ["S3Locks"]

_FORBIDDEN = 403


class S3Locks:
    """What is retained in one bucket.

    Args:
        client: Asks.
        clock: Tells whether a retention is over.
    """

    def __init__(self, client: S3Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._locked: bool | None = None

    def check_free(self, key: str) -> None:
        """Do nothing if an object may be replaced or deleted.

        Raises:
            ObjectRetainedError: It is retained.
        """
        if not self._is_locked():
            return
        try:
            until = self.retained_until(key)
        except ObjectNotFoundError:
            return
        if until is not None and until > self._clock():
            raise ObjectRetainedError(key, until)

    def retained_until(self, key: str) -> datetime | None:
        """Return until when an object is retained; None if it is not."""
        with refusals(key):
            value = self._client.head(key).headers.get("x-amz-object-lock-retain-until-date")
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)

    def retain(self, key: str, until: datetime) -> None:
        """Retain an object until a time, or longer if it is already."""
        now = self.retained_until(key)
        if now is not None and now >= until:
            return
        if not self._is_locked():
            raise UnsupportedOperationError(f"the bucket {self._client.name!r} was made without object lock")
        stamp = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{stamp}</RetainUntilDate></Retention>".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        headers = {
            "content-type": "application/xml",
            "content-md5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            "x-amz-checksum-sha256": base64_digest(sha256),
        }
        with refusals(key):
            self._client.transport.request(
                "PUT", key, query={"retention": ""}, headers=headers, body=data, payload=sha256
            )

    def _is_locked(self) -> bool:
        """Return whether the bucket was made with object lock; asked once."""
        if self._locked is None:
            try:
                answer = self._client.transport.request("GET", "", query={"object-lock": ""})
            except RefusalError as refusal:
                if refusal.reason == "NoSuchBucket":
                    with refusals(self._client.name):
                        raise
                self._locked = refusal.status == _FORBIDDEN  # who may not ask the bucket asks each object
            else:
                self._locked = b"<ObjectLockEnabled>Enabled<" in answer.data
        return self._locked
