"""Signed uploads into a store without a server of its own, with size, type and SHA-256 enforced while they arrive.

The embedded default's counterpart of presigned S3 requests: the API signs, and never sees the bytes. A `PUT` has the
object as its body, a `POST` of a form has it in the field `file`, and a part of a larger one is put as an object
of its own, which the store joins.
"""

from http import HTTPStatus

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header  # type: ignore[import-untyped]

from mamkit.signing import Grant
from mamkit.storage import AsyncStore, AsyncUpload, Expected, ObjectInfo, UploadRejectedError
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.edge.exchange import Exchange
from mamkit_apps.edge.request import Headers

__all__ = ["take_upload"]

BLOCK = 1 << 20  # bytes gathered before a thread writes them; memory of one upload
LARGEST_FORM = 64 << 10  # bytes of a form apart from the file
CONDITIONS = frozenset({"length", "type", "sha256"})  # what is enforced here; a grant with more is not for us


async def take_upload(exchange: Exchange, key: str, grant: Grant, store: AsyncStore, more: Headers) -> None:
    """Serve a request that changes the store, as its grant allows.

    Args:
        exchange: The request.
        key: Of the object.
        grant: What its token grants; it was held against the request, but for its conditions.
        store: The zone's.
        more: Headers that the answer gets besides.

    Raises:
        InvalidRequestError: The request is not one that the grant is for.
        UploadRejectedError: The bytes are not what was announced.
        StorageError: They cannot be stored.
    """
    if not {"length", "type"} <= grant.conditions.keys() <= CONDITIONS:
        raise InvalidRequestError("this URL is not for an upload")
    if exchange.method == "PUT":
        _check_headers(exchange, grant, length=grant.conditions["length"])
        info = await _take_whole(exchange, key, grant, store)
        await exchange.answer(HTTPStatus.CREATED, [*more, _etag(info)])
    elif exchange.method == "POST":
        info = await _take_form(exchange, key, grant, store)
        await exchange.answer(HTTPStatus.NO_CONTENT, [*more, _etag(info)])
    else:
        raise InvalidRequestError(f"{exchange.method} is nothing that can be done with an upload")


async def _take_whole(exchange: Exchange, key: str, grant: Grant, store: AsyncStore) -> ObjectInfo:
    """Take the object as the body of a request."""
    async with store.upload(key, content_type=grant.conditions["type"], expected=_expected(grant)) as upload:
        async for block in exchange.blocks(BLOCK):
            await upload.write(block)
        return await upload.commit()


async def _take_form(exchange: Exchange, key: str, grant: Grant, store: AsyncStore) -> ObjectInfo:
    """Take `multipart/form-data` (RFC 7578) whose last field is `file`, as Amazon S3's POST does."""
    kind, options = parse_options_header(exchange.header(b"content-type"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise InvalidRequestError("a form must be sent as multipart/form-data")
    length = exchange.header(b"content-length")
    size = int(grant.conditions["length"])
    if length.isdecimal() and int(length) > size + LARGEST_FORM:
        raise UploadRejectedError("size", expected=size, actual=int(length), key=key)
    async with store.upload(key, content_type=grant.conditions["type"], expected=_expected(grant)) as upload:
        await _read_form(exchange, options["boundary"], grant, upload)
        return await upload.commit()


def _expected(grant: Grant) -> Expected:
    return Expected(size=int(grant.conditions["length"]), sha256=grant.conditions.get("sha256"))


def _etag(info: ObjectInfo) -> tuple[bytes, bytes]:
    return b"etag", f'"{info.etag}"'.encode("latin-1")


def _check_headers(exchange: Exchange, grant: Grant, *, length: str) -> None:
    """Hold the headers of a `PUT` against the grant before a byte is read."""
    given = exchange.header(b"content-length")
    if given and given != length:
        raise UploadRejectedError("size", expected=length, actual=given)
    content_type = exchange.header(b"content-type")
    if content_type != grant.conditions["type"]:
        raise UploadRejectedError("type", expected=grant.conditions["type"], actual=content_type)


async def _read_form(exchange: Exchange, boundary: str, grant: Grant, upload: AsyncUpload) -> None:
    """Write the field `file` into an upload, and hold its type and the field `Content-Type` against the grant."""
    wanted, field, text, done = grant.conditions["type"], "", b"", False
    try:
        with PushMultipartParser(boundary, max_segment_count=32, strict=True) as parser:
            async for block in exchange.blocks(BLOCK):
                for event in parser.parse(block):
                    if isinstance(event, MultipartSegment):
                        field, text = event.name, b""
                        if field == "file" and event.content_type != wanted:
                            raise UploadRejectedError("type", expected=wanted, actual=event.content_type or "")
                    elif event is None:
                        if field.lower() == "content-type" and text.decode("utf-8", "replace") != wanted:
                            raise UploadRejectedError("type", expected=wanted, actual=text.decode("utf-8", "replace"))
                        done = done or field == "file"
                        field = ""
                    elif done:
                        raise InvalidRequestError("the field file must be the last one, and there only once")
                    elif field == "file":
                        await upload.write(bytes(event))
                    else:
                        text += event
                        if len(text) > LARGEST_FORM:
                            raise InvalidRequestError(f"a field has more than {LARGEST_FORM} bytes")
    except MultipartError as error:
        raise InvalidRequestError(f"the form cannot be read: {error}") from error
    if not done:
        raise InvalidRequestError("the form has no field file")
