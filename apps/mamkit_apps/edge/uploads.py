"""`PUT /s/{token}/{key}`: a signed upload, straight to disk, with size, type and SHA-256 enforced while it arrives.

The embedded default's counterpart of a presigned S3 request: the API signs it and never sees the bytes.
"""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response, put
from litestar.params import FromPath

from mamkit.signing import Grant
from mamkit.storage import Expected, UploadRejectedError
from mamkit_apps.edge.access import authorize, store_of

__all__ = ["accept_upload"]

BLOCK = 1 << 20  # bytes gathered before a thread writes them; memory of one upload


@put("/s/{token:str}/{key:path}", status_code=HTTPStatus.CREATED, request_max_body_size=None)
async def accept_upload(request: Request[Any, Any, Any], token: FromPath[str], key: FromPath[str]) -> Response[None]:
    """Store the body under the key, or refuse it and leave nothing."""
    key = key.removeprefix("/")
    grant = authorize(request, token, key)
    expected = _expected(request, grant)
    store = store_of(request, key)
    async with store.upload(key, content_type=grant.conditions["type"], expected=expected) as upload:
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= BLOCK:
                await upload.write(bytes(gathered))
                gathered.clear()
        await upload.write(bytes(gathered))
        info = await upload.commit()
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
