"""The span of a request: named after its route, and with nothing in it that its client made up or keeps secret."""

import time

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import SpanKind

from mamkit_apps.api.middleware.envelope import QUIET
from mamkit_apps.logs import noted
from mamkit_apps.tracing.entries import Entry, mark
from mamkit_apps.tracing.tracing import Tracing

__all__ = ["RequestTrace", "TracedRequests"]

REPORTS = "/api/preview/callback"
"""Where workers tell of their jobs: the trace goes on there once the signature of the report was found good."""
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # those of others are the client's own words
IDS = ("request_id", "user_id", "api_key_id", "asset_id", "version_id")
FAILS = 500


class TracedRequests:
    """Wraps an ASGI application, and tells of each request that it serves.

    A stream of events, which may last for hours, is told up to the head of its answer.

    Args:
        app: The application.
        tracing: Tells.
        incoming: Whether requests go on with the trace that they name.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, *, incoming: bool) -> None:
        self._app = app
        self._tracing = tracing
        self._incoming = incoming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if str(scope["type"]) not in {"http", "websocket"} or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        trace = RequestTrace(self._tracing, scope)
        scope["mamkit_trace"] = trace  # type: ignore[typeddict-unknown-key] # ASGI lets applications add keys
        if scope["path"] != REPORTS:
            trace.begin(follow=self._incoming)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.answered(message["status"])
                if any(name == b"content-type" and b"event-stream" in value for name, value in message["headers"]):
                    trace.end()
            elif message["type"] == "websocket.accept":
                trace.answered(101)
                trace.end()
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            trace.leave()


class RequestTrace:
    """The span of one request, from its head on; all of it is used in one task.

    Args:
        tracing: Tells.
        scope: Of the request.
    """

    def __init__(self, tracing: Tracing, scope: Scope) -> None:
        self._tracing = tracing
        self._scope = scope
        self._started = time.time_ns()
        self._entered: tuple[Entry, object] | None = None
        self._status = FAILS
        self._ids: dict[str, str] = {}

    def begin(self, *, follow: bool) -> None:
        """Begin the span, unless it has begun.

        Args:
            follow: Whether it goes on with the trace that the request names.
        """
        if self._entered is not None:
            return
        given = next((value for name, value in self._scope["headers"] if name == b"traceparent"), None)
        self._entered = self._tracing.begin(
            self._method(),
            SpanKind.SERVER,
            parent=given.decode("latin-1") if follow and given is not None else None,
            started=self._started,
        )

    def answered(self, status: int) -> None:
        """Note the status of the answer, and what the log says of the request."""
        self._status = status
        self._ids = {f"mamkit.{name}": value for name in IDS if (value := noted(name)) is not None}

    def end(self) -> None:
        """Say how the request went, and end the span; once."""
        if self._entered is None or not self._entered[0].span.is_recording():
            return
        span = self._entered[0].span
        method, route = self._method(), self._scope.get("path_template")
        span.update_name(f"{method} {route}" if route else method)
        # The path and the query are left out: they may hold tokens.
        span.set_attributes(
            {
                "http.request.method": method,
                "http.response.status_code": self._status,
                "url.scheme": str(self._scope.get("scheme", "http")),
                **({"http.route": str(route)} if route else {}),
                **self._ids,
                **{f"mamkit.{name}": str(value) for name, value in self._params() if name.endswith("_id")},
            }
        )
        if self._status >= FAILS:
            mark(span, str(self._status))
        self._entered[0].end()

    def leave(self) -> None:
        """End the span at the end of the request, whatever became of it."""
        self.begin(follow=False)
        self.end()
        if self._entered is not None:
            self._tracing.leave(self._entered[1])

    def _method(self) -> str:
        method = str(self._scope.get("method", "GET"))  # of a WebSocket: RFC 6455 section 4.1
        return method if method in METHODS else "_OTHER"

    def _params(self) -> list[tuple[str, object]]:
        return list(self._scope.get("path_params", {}).items())
