"""`GET` and `HEAD /s/{token}/{key}`: objects of the previews zone (and staged or master objects that were signed)."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.params import FromPath
from litestar.response import Stream

from mamkit.signing import Grant
from mamkit.storage import (
    AsyncBody,
    ByteRange,
    ObjectInfo,
    RangeNotSatisfiableError,
)
from mamkit_apps.edge.access import authorize, store_of
from mamkit_apps.problems import problem

__all__ = ["deliver"]

SMALL = 1 << 20  # bytes; up to here one read in a thread is cheaper than a stream of blocks
PLAYLIST_AGE = 1  # seconds; a growing playlist is asked for every segment or so
IMMUTABLE = ("m4s", "mp4", "ts", "vtt", "jpg", "png")
RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))")


@route("/s/{token:str}/{key:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def deliver(request: Request[Any, Any, Any], token: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Send an object, or the range of it that was asked for (RFC 9110 section 14)."""
    key = key.removeprefix("/")
    grant = authorize(request, token, key)
    store = store_of(request, key)
    info = await store.head(key)
    headers = _headers(info, grant, now=request.app.state.signer.now())
    if _unchanged(request, info):
        return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    asked = request.headers.get("range") if request.method == "GET" else None
    if asked is not None and request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        asked = None  # RFC 9110 section 13.1.5: another representation than the client has is sent whole
    try:
        byte_range = _parse_range(asked, info.size)
        if request.method == "HEAD":
            return _answer(b"", info.content_type, headers | {"content-length": str(info.size)})
        body = await store.get(key, byte_range)
    except RangeNotSatisfiableError as error:
        headers = {"content-range": f"bytes */{info.size}"}  # RFC 9110 section 15.5.17
        return problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, error.code, str(error), headers=headers)
    found = body.range
    stop = found.stop if found.stop is not None else body.info.size
    headers |= {"content-length": str(stop - found.start), "etag": f'"{body.info.etag}"'}
    status = HTTPStatus.OK
    if byte_range is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["content-range"] = f"bytes {found.start}-{stop - 1}/{body.info.size}"
    if stop - found.start <= SMALL:
        async with body:
            return _answer(await body.read(), info.content_type, headers, status)
    return Stream(_blocks(body), status_code=status, media_type=info.content_type, headers=headers)


def _headers(info: ObjectInfo, grant: Grant, *, now: datetime) -> dict[str, str]:
    """Return what is said about an object whatever part of it is sent."""
    left = max(0, int((grant.expires_at - now).total_seconds()))
    immutable = info.key.rpartition(".")[2] in IMMUTABLE
    # Private: a shared cache would go on serving to whoever shows the URL, past expiry and from any address.
    cache = f"private, max-age={left}, immutable" if immutable else f"private, max-age={min(left, PLAYLIST_AGE)}"
    return {
        "accept-ranges": "bytes",
        "cache-control": cache,
        "content-disposition": "inline",
        "etag": f'"{info.etag}"',
        "last-modified": format_datetime(info.modified_at, usegmt=True),
        "x-content-type-options": "nosniff",
    }


def _unchanged(request: Request[Any, Any, Any], info: ObjectInfo) -> bool:
    """Return whether the client has this very object already (RFC 9110 section 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in tags or f'"{info.etag}"' in tags


def _parse_range(text: str | None, size: int) -> ByteRange | None:
    """Return the range asked for; None, for the whole, where the header is not one range of bytes.

    A server may ignore a header that it does not understand (RFC 9110 section 14.2), several ranges among them.

    Raises:
        RangeNotSatisfiableError: The range has no byte of the object.
    """
    match = RANGE.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(0, size - int(suffix)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiableError(text or "", size)
    return ByteRange(start, stop)


def _answer(
    content: bytes, media_type: str, headers: dict[str, str], status: HTTPStatus = HTTPStatus.OK
) -> Response[bytes]:
    return Response(content, status_code=status, media_type=media_type, headers=headers)


async def _blocks(body: AsyncBody) -> AsyncIterator[bytes]:
    """Yield a body block by block; the next one is read when the client has taken the last."""
    async with body:
        async for block in body:
            yield block
