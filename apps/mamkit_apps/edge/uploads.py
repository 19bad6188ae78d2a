"""`PUT /s/{token}/{key}`: a signed upload, straight to disk, with size, type and SHA-256 enforced while it arrives.

The embedded default's counterpart of a presigned S3 request: the API signs it and never sees the bytes.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, put

from mamkit.signing import Grant
from mamkit.storage import Expected, UploadRejectedError, Zones
from mamkit_apps.edge.access import authorize

__all__ = ["accept_upload"]

BLOCK = 1 << 20  # bytes gathered before a thread writes them; memory of one upload


@put("/s/{token:str}/{key:path}", status_code=HTTPStatus.CREATED, request_max_body_size=None)
async def accept_upload(request: Request[Any, Any, Any], token: str, key: str) -> Response[None]:
    """Store the body under the key, or refuse it and leave nothing."""
    key = key.removeprefix("/")
    grant = authorize(request, token, key)
    expected = _expected(request, grant)
    zones: Zones = request.app.state.zones
    upload = await asyncio.to_thread(
        zones.staging.upload, key, content_type=grant.conditions["type"], expected=expected
    )
    with upload as target:
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= BLOCK:
                await asyncio.to_thread(target.write, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(target.write, bytes(gathered))
        info = await asyncio.to_thread(target.commit)
    return Response(None, status_code=HTTPStatus.CREATED, headers={"etag": f'"{info.etag}"'})


def _expected(request: Request[Any, Any, Any], grant: Grant) -> Expected:
    """Return what the body must be, after the headers have been held against the grant."""
    size = int(grant.conditions["length"])
    length = request.headers.get("content-length")
    if length is not None and length != str(size):
        raise UploadRejectedError("size", expected=str(size), actual=length)
    content_type = request.headers.get("content-type", "")
    if content_type != grant.conditions["type"]:
        raise UploadRejectedError("type", expected=grant.conditions["type"], actual=content_type)
    return Expected(size=size, sha256=grant.conditions.get("sha256"))
