"""Signed uploads into a store without a server of its own, with size, type and SHA-256 enforced while they arrive.

The embedded default's counterpart of presigned S3 requests: the API signs, and never sees the bytes. A `PUT` has the
object as its body, a `POST` of a form has it in the field `file`, and parts are put one by one and then joined.
"""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header  # type: ignore[import-untyped]

from mamkit.signing import Grant
from mamkit.storage import AsyncStore, AsyncUpload, Expected, ObjectInfo, ObjectStore, UploadRejectedError
from mamkit.storage.aio import Threads
from mamkit_apps.edge.exchange import Exchange
from mamkit_apps.edge.parts import abort, join, list_parts, part_key, upload_of
from mamkit_apps.edge.request import Headers
from mamkit_apps.problems import InvalidRequestError

__all__ = ["Uploads"]

BLOCK = 1 << 20  # bytes gathered before a thread writes them; memory of one upload
LARGEST_LIST = 1 << 20  # bytes of the list of parts: 10,000 of them with their ETags
LARGEST_FORM = 64 << 10  # bytes of a form apart from the file
JOIN_SECONDS = 3600.0  # the client waits while parts are joined; at 100 MiB/s that is 350 GiB


class Uploads:
    """Takes uploads.

    Args:
        threads: For calls that block.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def take(
        self, exchange: Exchange, key: str, grant: Grant, stores: tuple[ObjectStore, AsyncStore], more: Headers
    ) -> None:
        """Serve a request that changes the store, as its grant allows.

        Args:
            exchange: The request.
            key: Of the object.
            grant: What its token grants; it was held against the request, but for its conditions.
            stores: The zone's store, as it is and for asyncio.
            more: Headers that the answer gets besides.

        Raises:
            InvalidRequestError: The request is not one that the grant is for.
            UploadRejectedError: The bytes are not what was announced.
            StorageError: They cannot be stored.
        """
        _, store = stores
        if "length" not in grant.conditions or "type" not in grant.conditions:
            raise InvalidRequestError("this URL is not for an upload")
        if "upload" in grant.conditions:
            await self._take_part(exchange, key, grant, stores, more)
        elif exchange.method == "PUT":
            _check_headers(exchange, grant, length=grant.conditions["length"])
            info = await _store(exchange, store, key, grant)
            await exchange.answer(HTTPStatus.CREATED, [*more, _etag(info)])
        elif exchange.method == "POST":
            await self._take_form(exchange, key, grant, store, more)
        else:
            raise InvalidRequestError(f"{exchange.method} is nothing that can be done with an upload")

    async def _take_form(self, exchange: Exchange, key: str, grant: Grant, store: AsyncStore, more: Headers) -> None:
        """Take `multipart/form-data` (RFC 7578) whose last field is `file`, as Amazon S3's POST does."""
        kind, options = parse_options_header(exchange.header(b"content-type"))
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise InvalidRequestError("a form must be sent as multipart/form-data")
        length = exchange.header(b"content-length")
        size = int(grant.conditions["length"])
        if length.isdecimal() and int(length) > size + LARGEST_FORM:
            raise UploadRejectedError("size", expected=size, actual=int(length), key=key)
        expected = Expected(size=size, sha256=grant.conditions.get("sha256"))
        async with store.upload(key, content_type=grant.conditions["type"], expected=expected) as upload:
            await _read_form(exchange, options["boundary"], grant, upload)
            info = await upload.commit()
        await exchange.answer(HTTPStatus.NO_CONTENT, [*more, _etag(info)])

    async def _take_part(
        self, exchange: Exchange, key: str, grant: Grant, stores: tuple[ObjectStore, AsyncStore], more: Headers
    ) -> None:
        plain, store = stores
        upload = upload_of(grant)
        if exchange.method == "PUT":
            number = dict(pair.partition("=")[::2] for pair in exchange.query.split("&")).get("part", "")
            name = part_key(key, upload, number)
            length = exchange.header(b"content-length")
            if not length.isdecimal():
                raise InvalidRequestError("a part needs a Content-Length")
            there = await self._threads.run(list_parts, plain, key, upload)
            total = sum(info.size for info in there if info.key != name) + int(length)
            if total > int(grant.conditions["length"]):
                raise UploadRejectedError("size", expected=grant.conditions["length"], actual=total, key=key)
            info = await _store(exchange, store, name, grant, size=int(length))
            await exchange.answer(HTTPStatus.OK, [*more, _etag(info)])
        elif exchange.method == "POST":
            wanted = _read_list(b"".join([block async for block in _bounded(exchange, LARGEST_LIST)]))
            exchange.patient_until(exchange.started + JOIN_SECONDS)
            info = await self._threads.run(join, plain, key, grant, wanted)
            await exchange.answer(HTTPStatus.CREATED, [*more, _etag(info)])
        elif exchange.method == "DELETE":
            await self._threads.run(abort, plain, key, upload)
            await exchange.answer(HTTPStatus.NO_CONTENT, more)
        else:
            there = await self._threads.run(list_parts, plain, key, upload)
            shown = [{"part": int(i.key[-5:]), "etag": i.etag, "size": i.size} for i in there]
            headers = [*more, (b"content-type", b"application/json"), (b"cache-control", b"no-store")]
            await exchange.answer(HTTPStatus.OK, headers, json.dumps({"parts": shown}).encode())


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


async def _store(
    exchange: Exchange, store: AsyncStore, key: str, grant: Grant, *, size: int | None = None
) -> ObjectInfo:
    """Store the body of a request: the whole object, or a part of so many bytes."""
    whole = Expected(size=int(grant.conditions["length"]), sha256=grant.conditions.get("sha256"))
    expected = whole if size is None else Expected(size=size)
    async with store.upload(key, content_type=grant.conditions["type"], expected=expected) as upload:
        async for block in exchange.blocks(BLOCK):
            await upload.write(block)
        return await upload.commit()


async def _bounded(exchange: Exchange, most: int) -> AsyncIterator[bytes]:
    total = 0
    async for block in exchange.blocks(BLOCK):
        total += len(block)
        if total > most:
            raise InvalidRequestError(f"the body has more than {most} bytes")
        yield block


def _read_list(body: bytes) -> list[tuple[int, str]]:
    try:
        return [(int(each["part"]), str(each["etag"])) for each in json.loads(body)["parts"]]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidRequestError('the body must be {"parts": [{"part": 1, "etag": "…"}, …]}') from error


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
