"""Changes of just the object that was seen, by `If-Match`, where the server honours it.

Some servers ignore the header, and then a late writer wins without a word; so it is tried, on objects of the store's
own, before it is relied on.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from mamkit.storage.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from mamkit.storage.s3._client import RESERVED, S3Client
from mamkit.storage.s3._options import S3Features
from mamkit.storage.s3._wire import RefusalError, base64_digest, etag_of, refusals, to_error

__all__ = ["S3Matching"]

# What ETags of S3 are made of, and a little more: digests, of parts with their number. No quote, comma or asterisk,
# which would make a list or a wildcard of it where a server wants it without quotes.
_ETAG = re.compile(r"[0-9A-Za-z_.+/=:-]{1,200}").fullmatch
_NO_ETAG = "0" * 32
_MISSED = {404, 412}


class S3Matching:
    """Conditions of changes to one bucket.

    Args:
        client: Asks.
        known: What the server can do, as far as that is known.
    """

    def __init__(self, client: S3Client, known: S3Features | None) -> None:
        self._client = client
        self._replaces = None if known is None else known.match_replace
        self._removes = None if known is None else known.match_remove

    def condition(self, key: str, etag: str) -> str:
        """Return the header that lets a write replace just this object.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key, and the text is no ETag.
            ObjectChangedError: The text is no ETag, so the object has another.
            UnsupportedOperationError: The server would ignore it.
        """
        if _ETAG(etag) is None:
            raise self._missed(key, etag)
        if self._replaces is None:
            with refusals(key):
                self._replaces = self._try_replacing()
        if self._replaces == "no":
            raise UnsupportedOperationError(f"the server of {self._client.name!r} ignores `If-Match` of writes")
        if self._replaces == "quoted":
            return f'"{etag}"'
        # Ceph 16 looks no further than its own ETag is long: one with something after it would do.
        if self._client.info(key).etag != etag:
            raise self._missed(key, etag)
        return etag

    @contextmanager
    def told(self, key: str, etag: str) -> Iterator[None]:
        """Raise the refusal of a write that replaces an object as what it says of that object."""
        try:
            yield
        except RefusalError as refusal:
            if refusal.status not in _MISSED:
                raise to_error(refusal, key) from refusal
            raise self._missed(key, etag) from refusal

    def remove(self, key: str, etag: str) -> None:
        """Remove an object, if it is this one."""
        if _ETAG(etag) is None:
            raise self._missed(key, etag)
        if self._removes is None:
            with refusals(key):
                self._removes = self._tries_removing()
        if not self._removes:
            raise UnsupportedOperationError(f"the server of {self._client.name!r} ignores `If-Match` of deletions")
        try:
            self._delete(key, etag)
        except RefusalError as refusal:
            if refusal.status not in _MISSED:
                raise to_error(refusal, key) from refusal
            if refusal.again:  # the first attempt may have done it, or somebody else
                reason = "the object that was to be removed is gone, by this call, whose answer was lost, or by another"
                raise StorageUnavailableError(key, reason) from refusal
            raise self._missed(key, etag) from refusal

    def _missed(self, key: str, etag: str) -> StorageError:
        """Return what is the matter with an object that is not the one that was meant."""
        try:
            return ObjectChangedError(key, expected=etag, actual=self._client.info(key).etag)
        except ObjectNotFoundError as error:
            return error

    def _delete(self, key: str, etag: str) -> None:
        self._client.transport.request("DELETE", key, headers={"if-match": f'"{etag}"'})

    def _try_replacing(self) -> Literal["quoted", "bare", "no"]:
        """Find out how an ETag must be written: Ceph 16 compares it with its quotes, and so never finds it."""
        with self._own() as (key, etag):
            if self._takes(key, f'"{_NO_ETAG}"'):
                return "no"
            if self._takes(key, f'"{etag}"'):
                return "quoted"
            return "bare" if self._takes(key, etag) and not self._takes(key, _NO_ETAG) else "no"

    def _tries_removing(self) -> bool:
        """Find out whether a deletion with the wrong ETag is refused; older servers carry it out."""
        with self._own() as (key, _):
            try:
                self._delete(key, _NO_ETAG)
            except RefusalError as refusal:
                return refusal.status in _MISSED
            return False

    @contextmanager
    def _own(self) -> Iterator[tuple[str, str]]:
        """Give the key of an object of the store's own, and its ETag; then remove it."""
        key = f"{RESERVED}match/{secrets.token_hex(16)}"
        self._put(key, {})
        try:
            yield key, etag_of(self._client.head(key).headers)
        finally:
            with suppress(StorageError):
                self._client.delete(key)

    def _takes(self, key: str, condition: str) -> bool:
        try:
            self._put(key, {"if-match": condition})
        except RefusalError as refusal:
            if refusal.status in {400, 501, *_MISSED}:  # it does not hold, or the server cannot do it and says so
                return False
            raise
        return True

    def _put(self, key: str, condition: dict[str, str]) -> None:
        data = b"is a condition honoured here?"
        sha256 = hashlib.sha256(data).hexdigest()
        headers = {"x-amz-checksum-sha256": base64_digest(sha256), **condition}
        self._client.transport.request("PUT", key, headers=headers, body=data, payload=sha256)
