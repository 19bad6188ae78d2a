"""`/metrics` of the API: what it answered, how long that took, what went wrong, and how previews are.

Prometheus text format 0.0.4, for the operator's network alone; a proxy in front lets nobody else ask.
"""

import asyncio
import shutil
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus

from litestar import Response, get
from litestar.config.app import AppConfig
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy import func, select

from mamkit.catalog.models import Preview
from mamkit.clock import utc_now
from mamkit.errors import MamkitError
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.prometheus import TEXT, family, queue_lines, span_lines

__all__ = ["Watch"]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds; Prometheus' customary ones
PATIENCE = 5.0  # seconds for the database to say how previews are
UNFINISHED = ("queued", "building", "playable")
STARTED = "mamkit_started"  # in the scope of a request


class Watch(InitPlugin):
    """Counts what an application answers, and adds `/metrics` to it."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._errors: Counter[str] = Counter()
        self._latency = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Hang into an application that is being made."""
        app_config.middleware.append(_timed)
        app_config.before_send.append(self._sent)
        app_config.after_exception.append(self._failed)
        app_config.route_handlers.append(self._handler())
        return app_config

    async def _sent(self, message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        route = str(scope.get("path_template") or "(none)")  # and never the path, of which there are many
        self._requests[str(scope.get("method")), route, message["status"]] += 1
        started = scope.get(STARTED)
        if isinstance(started, float):
            seconds = time.perf_counter() - started
            self._latency[bisect_left(BUCKETS, seconds)] += 1
            self._seconds += seconds

    async def _failed(self, exception: Exception, _: Scope) -> None:
        if isinstance(exception, MamkitError):
            self._errors[exception.code] += 1
        elif not isinstance(exception, HTTPException) or exception.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._errors["apps.internal"] += 1

    def _handler(self) -> HTTPRouteHandler:
        @get("/metrics", include_in_schema=False)
        async def metrics(parts: Wired) -> Response[str]:
            """Return everything that is counted, and how previews are; without the latter if the database is gone."""
            lines = [
                *self._counted(),
                *await _previews(parts),
                *await asyncio.to_thread(queue_lines, parts.queue),  # workers say so, too, but there may be none
                *_room(parts),
                *span_lines(parts.spans()),
            ]
            return Response("\n".join(lines) + "\n", media_type=TEXT)

        return metrics

    def _counted(self) -> Iterator[str]:
        yield from family("mamkit_api_requests_total", "counter", "Requests by method, route and status.")
        for (method, route, status), count in sorted(self._requests.items()):
            yield f'mamkit_api_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
        yield from family("mamkit_api_errors_total", "counter", "Errors by their code.")
        for code, count in sorted(self._errors.items()):
            yield f'mamkit_api_errors_total{{code="{code}"}} {count}'
        yield from family("mamkit_api_request_seconds", "histogram", "Time to the head of an answer.")
        total = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._latency, strict=True):
            total += count
            yield f'mamkit_api_request_seconds_bucket{{le="{bound}"}} {total}'
        yield f"mamkit_api_request_seconds_sum {self._seconds:.6f}"
        yield f"mamkit_api_request_seconds_count {total}"


def _timed(app: ASGIApp) -> ASGIApp:
    """Note when a request came."""

    async def timed(scope: Scope, receive: Receive, send: Send) -> None:
        scope[STARTED] = time.perf_counter()  # type: ignore[literal-required] # ASGI lets servers add keys
        await app(scope, receive, send)

    return timed


async def _previews(parts: Parts) -> list[str]:
    """Return how many previews are in each state, and since when the most neglected has not moved."""
    up = [*family("mamkit_api_database_up", "gauge", "Whether the database answers.")]
    query = select(Preview.status, func.count(), func.min(Preview.updated_at)).group_by(Preview.status)
    try:
        async with asyncio.timeout(PATIENCE), parts.catalog.read() as session:
            rows = (await session.execute(query)).all()
    except (MamkitError, TimeoutError):
        return [*up, "mamkit_api_database_up 0"]
    lines = [*up, "mamkit_api_database_up 1"]
    lines += family("mamkit_api_previews", "gauge", "Previews in each state.")
    lines += [f'mamkit_api_previews{{status="{status}"}} {count}' for status, count, _ in rows]
    waiting: list[datetime] = [oldest for status, _, oldest in rows if status in UNFINISHED]
    age = max(0.0, (utc_now() - min(waiting)).total_seconds()) if waiting else 0.0
    lines += family(
        "mamkit_api_preview_stalled_seconds", "gauge", "Since when the most neglected unfinished preview has not moved."
    )
    return [*lines, f"mamkit_api_preview_stalled_seconds {age:.3f}"]


def _room(parts: Parts) -> Iterator[str]:
    """Yield how much room there is where the data folder is; it matters where it holds the objects."""
    folder = parts.settings.data_dir.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(there)
    yield from family("mamkit_api_disk_free_bytes", "gauge", "Room where the data folder is.")
    yield f"mamkit_api_disk_free_bytes {usage.free}"
    yield from family("mamkit_api_disk_size_bytes", "gauge", "Size of the disk where the data folder is.")
    yield f"mamkit_api_disk_size_bytes {usage.total}"
