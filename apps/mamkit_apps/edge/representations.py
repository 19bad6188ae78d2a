"""What an answer says of an object, and which part of it it has (RFC 9110 sections 8, 13 and 14)."""

import re
from http import HTTPStatus
from typing import NamedTuple

from mamkit.signing import Carried, Grant, UrlSigner
from mamkit.storage import ByteRange, ObjectInfo
from mamkit_apps.edge.cache import Entry
from mamkit_apps.edge.policy import Origins, cache_control, describe, is_playlist
from mamkit_apps.edge.ranges import boundary, is_unchanged, part_head, part_tail, range_headers, read_ranges
from mamkit_apps.edge.request import Answer, Headers, Request
from mamkit_apps.edge.settings import EdgeSettings

__all__ = ["Begun", "Representations"]

GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)  # RFC 9110 section 12.5.3


class Begun(NamedTuple):
    """What an answer begins with whose body is still to be read."""

    status: int
    headers: Headers
    ranges: list[ByteRange]
    """What is asked for; empty for the whole object."""
    mark: str
    """What stands between several ranges; empty where there are not several."""


class Representations:
    """Says of objects what requests ask of them; reads nothing and waits for nothing.

    Args:
        settings: Of the edge.
        signer: Tells the time that grants are held against.
    """

    def __init__(self, settings: EdgeSettings, signer: UrlSigner) -> None:
        self._sharing = settings.edge_shared_cache
        self._signer = signer
        self._origins = Origins(settings.edge_origins)

    def headers(
        self, request: Request, head: Headers, etag: str, carried: Carried, grant: Grant, *, growing: bool
    ) -> Headers:
        """Return the headers of an answer with an object, apart from those about its length and ranges.

        Args:
            request: What is asked.
            head: Headers that are the same in every answer with the object.
            etag: Of the representation, in quotes.
            carried: The request's key and token.
            grant: What the token grants.
            growing: Whether the object is a playlist that may still change.
        """
        left = max(0, int((grant.expires_at - self._signer.now()).total_seconds()))
        caching = cache_control(
            grant,
            left,
            playlist=is_playlist(carried.key),
            growing=growing,
            sharing=self._sharing,
            token_in_url=carried.by != "cookie",
        )
        return [
            *head,
            (b"etag", etag.encode("latin-1")),
            (b"cache-control", caching),
            *self._origins.headers(request.fields),
        ]

    def of_entry(self, request: Request, entry: Entry, carried: Carried, grant: Grant, more: Headers) -> Answer:
        """Return the answer about an object that is in memory."""
        fields, info, data, etag = request.fields, entry.info, entry.data, f'"{entry.info.etag}"'
        packed: Headers = []
        if entry.compressed is not None:
            packed = [(b"vary", b"accept-encoding")]
            if b"range" not in fields and GZIP.search(request.header(b"accept-encoding")):
                data, etag = entry.compressed, f'"{info.etag}-gzip"'
                packed.append((b"content-encoding", b"gzip"))
        headers = self.headers(request, entry.head, etag, carried, grant, growing=entry.growing) + packed + more
        if is_unchanged(fields, etag, info.modified_at):
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
        if b"range" in fields and request.method == "GET":
            ranges = read_ranges(fields, info, etag=etag, modified=dict(headers)[b"last-modified"].decode())
            if ranges:
                mark = boundary() if len(ranges) > 1 else ""
                blocks = _parts(memoryview(data), info, ranges, mark)
                return Answer(HTTPStatus.PARTIAL_CONTENT, range_headers(headers, info, ranges, mark), blocks)
        headers.append((b"content-length", b"%d" % len(data)))
        return Answer(HTTPStatus.OK, headers, () if request.method == "HEAD" else (data,))

    def begin(
        self, request: Request, info: ObjectInfo, carried: Carried, grant: Grant, more: Headers
    ) -> Answer | Begun:
        """Return what an answer begins with that is to be streamed; the whole answer, if it has no body."""
        fields, etag = request.fields, f'"{info.etag}"'
        headers = self.headers(request, describe(info), etag, carried, grant, growing=is_playlist(info.key)) + more
        if is_unchanged(fields, etag, info.modified_at):
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
        if request.method == "HEAD":
            return Answer(HTTPStatus.OK, [*headers, (b"content-length", b"%d" % info.size)])
        ranges: list[ByteRange] = []
        if b"range" in fields:
            ranges = read_ranges(fields, info, etag=etag, modified=dict(headers)[b"last-modified"].decode())
        mark = boundary() if len(ranges) > 1 else ""
        status = HTTPStatus.PARTIAL_CONTENT if ranges else HTTPStatus.OK
        return Begun(status, range_headers(headers, info, ranges, mark), ranges, mark)


def _parts(data: memoryview, info: ObjectInfo, ranges: list[ByteRange], mark: str) -> tuple[bytes | memoryview, ...]:
    """Return the body of an answer with ranges of an object that is in memory."""
    if not mark:
        return tuple(data[each.start : each.stop] for each in ranges)
    blocks: list[bytes | memoryview] = []
    for each in ranges:
        blocks += [part_head(mark, info.content_type, each, info.size), data[each.start : each.stop]]
    return *blocks, part_tail(mark)
