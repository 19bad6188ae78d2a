"""`Idempotency-Key` on every POST that needs a login or a share link (draft-ietf-httpapi-idempotency-key-header).

A client that gets no answer sends its request again under the same key, and gets the answer of the first one. The key
is bound to who asks, so that nobody gets another's answer, and to the request, so that a key used twice by mistake is
noticed. Only answers that did something are kept (2xx); after any other the next try works anew.

The place is claimed in a transaction of its own before the work begins. A process that is killed in between leaves a
claim without an answer, and the next try after `HOLD` does the work again: at least once, as everything here that is
repeated is safe to repeat.
"""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mamkit.auth import SealedValueError, TokenError, parse_api_key
from mamkit.catalog.kept_answers import KeptAnswer, claim_answer, keep_answer, release_answer
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.callers.access import API_KEY_PREFIX, provide_principal
from mamkit_apps.api.callers.address import address_of
from mamkit_apps.api.callers.bearer import bearer_of
from mamkit_apps.api.callers.parameters import LOGIN, VISITOR
from mamkit_apps.api.callers.visitors import provide_visitor
from mamkit_apps.api.wiring import Parts
from mamkit_apps.sealed import ANSWERS

__all__ = ["HEADER", "KEY_PATTERN", "Idempotency", "takes_key"]

HEADER = "idempotency-key"
REPLAYED = (b"idempotent-replayed", b"true")
KEY_PATTERN = r'^(?:"[ !#-~]{1,255}"|[!#-+\--~]{1,255})$'
"""A string of RFC 8941 section 3.3.3, as the draft asks for, or the same without quotes, as clients send it."""
HOLD = timedelta(minutes=2)  # longer than a request may take; a client whose server was killed waits no longer
KEEP = timedelta(days=1)  # clients try again for minutes; the draft leaves it to the server
MAX_CONTENT = 1 << 20  # bytes of an answer that is kept; the longest is some KiB


def takes_key(handler: HTTPRouteHandler) -> bool:
    """Return whether a handler's requests may have a key: those that change something for somebody who is known."""
    return "POST" in handler.http_methods and bool((LOGIN | VISITOR) & handler.parsed_fn_signature.parameters.keys())


class Idempotency(ASGIMiddleware):
    """Answers a request that was answered before with that answer."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on, once."""
        handler = scope.get("route_handler")
        if not isinstance(handler, HTTPRouteHandler) or not takes_key(handler):
            await next_app(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        key = request.headers.get(HEADER)
        if key is None:
            await next_app(scope, receive, send)
            return
        if not re.fullmatch(KEY_PATTERN, key):
            raise InvalidRequestError("Idempotency-Key: 1 to 255 visible characters, in double quotes")
        parts: Parts = request.app.state.parts
        owner = await _owner(request, parts)
        if owner is None:
            await next_app(scope, receive, send)  # which says what is wrong with the login
            return
        body = await request.body()
        async with parts.catalog.begin() as session:
            place = await claim_answer(
                session, owner, key.strip('"'), _fingerprint(request, body), hold=HOLD, keep=KEEP
            )
        if place.status is not None and await _replay(parts, place, send):
            return

        async def work(send: Send) -> None:
            await next_app(scope, receive, send)

        await _work(parts, place, work, send)


async def _work(parts: Parts, place: KeptAnswer, work: Callable[[Send], Awaitable[None]], send: Send) -> None:
    """Let the handler answer, and keep the answer before it is sent."""
    start: Message | None = None
    body = bytearray()

    async def record(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if message["type"] != "http.response.body" or start is None:
            await send(message)
            return
        body.extend(message["body"])
        if message.get("more_body"):
            return
        await _settle(parts, place, start, bytes(body))
        await send(start)
        await send({"type": "http.response.body", "body": bytes(body), "more_body": False})

    try:
        await work(record)
    except Exception:
        async with parts.catalog.begin() as session:
            await release_answer(session, place)
        raise


async def _settle(parts: Parts, place: KeptAnswer, start: Message, body: bytes) -> None:
    status: int = start["status"]  # type: ignore[typeddict-item]
    async with parts.catalog.begin() as session:
        if not 200 <= status < 300 or len(body) > MAX_CONTENT:
            await release_answer(session, place)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]  # type: ignore[typeddict-item]
        content = json.dumps({"headers": headers, "body": base64.b64encode(body).decode()}).encode()
        sealed = parts.vault.seal(content, where=ANSWERS.where(place.owner, place.key))
        await keep_answer(session, place, status=status, content=sealed)


async def _replay(parts: Parts, place: KeptAnswer, send: Send) -> bool:
    """Send a kept answer again; return False if it cannot be opened any more, since its key is gone."""
    try:
        kept = json.loads(parts.vault.open(place.content or "", where=ANSWERS.where(place.owner, place.key)))
    except SealedValueError:
        return False
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["headers"]]
    await send({"type": "http.response.start", "status": place.status or 200, "headers": [*headers, REPLAYED]})
    await send({"type": "http.response.body", "body": base64.b64decode(kept["body"]), "more_body": False})
    return True


async def _owner(request: Request[Any, Any, Any], parts: Parts) -> str | None:
    """Return who asks: a user, one of their API keys, which may do less, or a visitor; None if nothing shows who."""
    handler = request.scope["route_handler"]
    try:
        if VISITOR & handler.parsed_fn_signature.parameters.keys():
            return f"share/{(await provide_visitor(request, parts, address_of(request.scope, parts.settings))).link.id}"
        principal = await provide_principal(request, parts)
    except TokenError:
        return None
    token = bearer_of(request.headers["authorization"])
    key = parse_api_key(token) if token.startswith(API_KEY_PREFIX) else ""
    return f"{principal.user_id}/{key}"


def _fingerprint(request: Request[Any, Any, Any], body: bytes) -> str:
    told = (request.method, request.url.path, request.url.query, request.headers.get("content-type", ""))
    return hashlib.sha256("\0".join(told).encode() + b"\0" + body).hexdigest()
