"""What S3 says on the wire, as values and errors of a store."""

import base64
import binascii
import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

from mamkit.storage.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from mamkit.storage.models import ObjectInfo

__all__ = [
    "OWN_METADATA",
    "BrokenLineError",
    "RefusalError",
    "base64_digest",
    "etag_of",
    "full_sha256",
    "info_from_headers",
    "modified_at",
    "parse_xml",
    "refusals",
    "text_of",
    "to_error",
    "whole_size",
]

OWN_METADATA = "mamkit-"
"""What the names of metadata start with that the store writes for itself; callers never see it."""

# RFC 9110 sections 14.4 and 5.6.7 ("IMF-fixdate").
_SPAN = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})").fullmatch
_HTTP_DATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
).fullmatch
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge"}
_KEY_TOO_LONG = {"KeyTooLongError", "KeyTooLong", "XMinioInvalidObjectName"}


class RefusalError(StorageError):
    """A server's answer that is no success; whoever asked turns it into the error that it is for every store.

    Args:
        status: HTTP status.
        reason: S3's name of the error; empty where the answer has no body.
        message: What it says.
        headers: Of the answer, names in lower case.
        again: Whether an earlier attempt of the same request may have been carried out already.
    """

    code = "storage.s3_refusal"

    def __init__(
        self, status: int, reason: str, message: str, headers: Mapping[str, str], *, again: bool = False
    ) -> None:
        super().__init__(f"{status} {reason} {message}".strip())
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers
        self.again = again


class BrokenLineError(StorageError):
    """A connection that cannot be opened, or broke; the transport tries another, and says so if none does.

    Args:
        reason: What happened to it.
    """

    code = "storage.s3_line"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_xml(data: bytes) -> ET.Element:
    """Return the root of a document without its name spaces.

    Raises:
        StorageUnavailableError: It is none.
    """
    try:
        root = ET.fromstring(data)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise StorageUnavailableError("the answer", "it is no XML, though it should be") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text_of(element: ET.Element, path: str) -> str:
    """Return the text of a descendant; empty if there is none."""
    return element.findtext(path) or ""


def base64_digest(sha256: str) -> str:
    """Return a hexadecimal digest as `x-amz-checksum-sha256` has it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def info_from_headers(key: str, headers: Mapping[str, str], *, size: int) -> ObjectInfo:
    """Return the facts of an object from the headers of a GET or HEAD.

    Args:
        key: The object.
        headers: Names in lower case.
        size: Bytes of the whole object.
    """
    return ObjectInfo(
        key=key,
        size=size,
        etag=etag_of(headers),
        modified_at=modified_at(headers.get("last-modified")),
        content_type=headers.get("content-type", "application/octet-stream"),
        sha256=full_sha256(headers),
        metadata={
            name.removeprefix("x-amz-meta-"): value
            for name, value in headers.items()
            if name.startswith("x-amz-meta-") and not name.startswith(f"x-amz-meta-{OWN_METADATA}")
        },
    )


def etag_of(headers: Mapping[str, str]) -> str:
    """Return the ETag of an answer without its quotes; empty where there is none."""
    return headers.get("etag", "").strip('"')


def whole_size(key: str, headers: Mapping[str, str], start: int | None = None) -> int:
    """Return how many bytes an object has of which an answer brings all, or a run.

    Args:
        key: The object.
        headers: Of the answer to a GET or HEAD, names in lower case.
        start: Where the run that was asked for begins; None if all was.

    Raises:
        StorageUnavailableError: The answer does not say, or its run begins elsewhere: with a server that ignores ranges
            every byte would be another than the one that was asked for.
    """
    length, span = headers.get("content-length"), headers.get("content-range")
    if span is not None:
        found = _SPAN(span)
        if found is not None and int(found[1]) == (start or 0):
            return int(found[2])
        raise StorageUnavailableError(key, "the server answers with other bytes than those that were asked for")
    if start:
        raise StorageUnavailableError(key, "the server ignores which bytes are asked for")
    if length is None:
        raise StorageUnavailableError(key, "the server does not say how many bytes there are")
    return int(length)


def modified_at(value: str | None) -> datetime:
    """Return the time in a `Last-Modified` or `Date` header; the epoch where there is none."""
    found = None if value is None else _HTTP_DATE(value)
    with suppress(ValueError, OverflowError):  # it is no time
        if found is not None:
            day, month, year, hour, minute, second = found.groups()
            number = _MONTHS.index(month) + 1
            return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        if value is not None:  # an older way to write it, which takes ten times as long to read
            return parsedate_to_datetime(value).astimezone(UTC)
    return datetime.fromtimestamp(0, UTC)


def full_sha256(headers: Mapping[str, str]) -> str | None:
    """Return the SHA-256 that the server has verified of the whole object; None if it has none, or of parts only."""
    value = headers.get("x-amz-checksum-sha256", "")
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:  # "…-3" is the digest of the digests of three parts
        return None
    return digest.hex() if len(digest) == 32 else None


def to_error(refusal: RefusalError, key: str) -> StorageError:
    """Return a server's refusal as the error that it is for every store."""
    if refusal.status == 404 and refusal.reason in {"", "NoSuchKey", "NotFound", "NoSuchUpload", "NoSuchVersion"}:
        return ObjectNotFoundError(key)
    if refusal.reason in _KEY_TOO_LONG:
        return InvalidKeyError(key, "this server does not take keys, or segments of keys, as long")
    if refusal.reason in _FULL or refusal.status == 507:
        return StorageFullError(key, errno.EFBIG if refusal.reason == "EntityTooLarge" else errno.ENOSPC)
    said = f"{refusal.reason}: {refusal.message}" if refusal.reason else f"HTTP status {refusal.status}"
    return StorageUnavailableError(key, f"the server answers {said[:300]}")


@contextmanager
def refusals(key: str) -> Iterator[None]:
    """Raise a server's refusal of what is done to `key` as the error that it is for every store."""
    try:
        yield
    except RefusalError as refusal:
        raise to_error(refusal, key) from refusal
