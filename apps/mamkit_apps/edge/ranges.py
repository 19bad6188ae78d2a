"""Ranges and conditions of a request (RFC 9110 sections 13 and 14)."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mamkit.storage import ByteRange, ObjectInfo, RangeNotSatisfiableError
from mamkit_apps.edge.request import Headers

__all__ = ["boundary", "is_unchanged", "part_head", "part_tail", "range_headers", "read_ranges"]

MOST_RANGES = 16  # more than any player asks for; section 14.2 lets a server refuse what looks like an attack
MULTIPART = "multipart/byteranges; boundary="

_RANGE = re.compile(r"(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))")


def is_unchanged(fields: Mapping[bytes, bytes], etag: str, modified_at: datetime) -> bool:
    """Return whether the client has this very object already (section 13.1.2, 13.1.3).

    Args:
        fields: Headers of the request.
        etag: With its quotes.
        modified_at: Of the object.
    """
    tags = fields.get(b"if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.decode("latin-1").split(",")]
        return "*" in known or etag in known
    since = fields.get(b"if-modified-since")
    if since is None:
        return False
    try:
        then = parsedate_to_datetime(since.decode("latin-1"))
    except ValueError:
        return False
    return modified_at.replace(microsecond=0) <= (then if then.tzinfo else then.replace(tzinfo=UTC))


def read_ranges(fields: Mapping[bytes, bytes], info: ObjectInfo, *, etag: str, modified: str) -> list[ByteRange]:
    """Return the ranges asked for; none where the whole is to be sent: nothing was asked for, the client has another
    object than this one (section 13.1.5), or the header is not understood (section 14.2).

    Args:
        fields: Headers of the request.
        info: The object.
        etag: With its quotes.
        modified: Its Last-Modified.

    Raises:
        RangeNotSatisfiableError: No range has a byte of the object.
    """  # noqa: D205 - one sentence
    asked = fields.get(b"range")
    if asked is None or fields.get(b"if-range", etag.encode()).decode("latin-1") not in {etag, modified}:
        return []
    text = asked.decode("latin-1").strip()
    unit, _, specs = text.partition("=")
    if unit.lower() != "bytes":
        return []
    matches = [_RANGE.fullmatch(spec.strip()) for spec in specs.split(",")]
    if not all(matches) or len(matches) > MOST_RANGES:
        return []
    found = []
    for match in matches:
        first, last, suffix = match.groups()  # type: ignore[union-attr]
        if suffix is not None:
            start, stop = max(0, info.size - int(suffix)), info.size
        else:
            start, stop = int(first), min(int(last) + 1, info.size) if last else info.size
            if last and int(last) < start:
                return []
        if start < stop:
            found.append(ByteRange(start, stop))
    if not found:
        raise RangeNotSatisfiableError(text, info.size)
    return [] if _wasteful(found, info.size) else found


def _wasteful(ranges: list[ByteRange], size: int) -> bool:
    """Return whether ranges come to more than the whole, as in the attacks of section 17.15."""
    return len(ranges) > 1 and sum((found.stop or 0) - found.start for found in ranges) > size


def boundary() -> str:
    """Return a text that does not stand in any object, but by a chance of 2**-128."""
    return secrets.token_hex(16)


def part_head(mark: str, media_type: str, found: ByteRange, size: int) -> bytes:
    """Return what stands before a part of an answer with several ranges (section 14.6)."""
    stop = found.stop or size
    return (
        f"\r\n--{mark}\r\ncontent-type: {media_type}\r\ncontent-range: bytes {found.start}-{stop - 1}/{size}\r\n\r\n"
    ).encode()


def part_tail(mark: str) -> bytes:
    """Return what stands after the last part."""
    return f"\r\n--{mark}--\r\n".encode()


def range_headers(headers: Headers, info: ObjectInfo, ranges: list[ByteRange], mark: str) -> Headers:
    """Return the headers of an answer with those about its length, and about which ranges it holds (section 14.4).

    Args:
        headers: Of the object.
        info: The object.
        ranges: None where it is sent whole.
        mark: Boundary between several ranges, empty where there are not several.
    """
    if not ranges:
        return [*headers, (b"content-length", b"%d" % info.size)]
    sizes = [(each.stop or info.size) - each.start for each in ranges]
    if not mark:
        [only] = ranges
        span = b"bytes %d-%d/%d" % (only.start, only.start + sizes[0] - 1, info.size)
        return [*headers, (b"content-length", b"%d" % sizes[0]), (b"content-range", span)]
    between = sum(len(part_head(mark, info.content_type, each, info.size)) for each in ranges) + len(part_tail(mark))
    return [
        *(header for header in headers if header[0] != b"content-type"),
        (b"content-type", f"{MULTIPART}{mark}".encode()),
        (b"content-length", b"%d" % (sum(sizes) + between)),
    ]
