"""What every answer has around it: a request id, headers that keep browsers careful, and a line in the log."""

import re
import time
from http import HTTPStatus

import structlog
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from mamkit.ids import uuid7
from mamkit_apps.logs import note, request_context

__all__ = ["QUIET", "Envelope"]

log = structlog.stdlib.get_logger(__name__)

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
"""A client's or a proxy's request id that is taken over; any other might be an attack on whoever reads the log."""
QUIET = {"/healthz", "/metrics"}
"""Asked every few seconds by whoever watches the process: no line in the log tells of them, and no span."""

# The API serves data; nothing of it is a page, a script or a frame (OWASP REST Security Cheat Sheet).
CAREFUL = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    # The one page, /schema, has a style sheet and nothing else.
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}
HSTS = "max-age=31536000"  # seconds; RFC 6797; a year, as browsers' preload lists want


class Envelope:
    """Wraps an ASGI application, whatever it answers.

    Args:
        app: The application.
        https: Whether clients reach it by https.
        subdomains: Whether they shall reach all names below it so.
    """

    def __init__(self, app: ASGIApp, *, https: bool, subdomains: bool = False) -> None:
        self._app = app
        hsts = f"{HSTS}; includeSubDomains" if subdomains else HSTS
        careful = CAREFUL | {"cache-control": "no-store"} | ({"strict-transport-security": hsts} if https else {})
        self._careful = [(name.encode(), value.encode()) for name, value in careful.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if str(scope["type"]) not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else uuid7().hex
        with request_context(request_id):
            await self._serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.perf_counter()
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def dress(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(message, request_id)
            elif message["type"] == "websocket.accept":
                status = int(HTTPStatus.SWITCHING_PROTOCOLS)
            await send(message)

        try:
            await self._app(scope, receive, dress)
        finally:
            if scope["path"] not in QUIET:
                template = scope.get("path_template") or "(none)"  # the path itself may hold a token
                for name, value in scope.get("path_params", {}).items():
                    if name.endswith("_id"):
                        note(**{name: value})
                log.info(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    route=template,
                    status=int(status),
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )

    def _dress(self, message: HTTPResponseStartEvent, request_id: str) -> None:
        # As bytes, since each answer gets a dozen of them: names are in small letters here (ASGI, HTTP version 2.4).
        there = {name for name, _ in message["headers"]}
        missing = [header for header in self._careful if header[0] not in there]
        message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *missing]
