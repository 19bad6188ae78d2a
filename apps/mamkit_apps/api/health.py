"""`/healthz` for whoever restarts processes, `/api/health` for whoever wants to know what is wrong."""

import asyncio
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Literal

from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.response import Redirect
from sqlalchemy import text

from mamkit.errors import MamkitError
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]


class Check(Body):
    """How one dependency is."""

    status: Literal["ok", "failing"]
    latency_ms: float | None = None
    """Milliseconds that it took; null if it failed."""
    code: str | None = None
    """Kind of the error; null if there was none."""


class HealthView(Body):
    """How the service is."""

    status: Literal["ok", "failing"]
    checks: dict[str, Check]
    """By the name of the dependency."""


FAILING = {503: ResponseSpec(HealthView, description="A dependency does not answer.", generate_examples=False)}


@get("/healthz", sync_to_thread=False, include_in_schema=False, opt={"unlimited": True})
def healthz() -> dict[str, str]:
    """Say that the process serves; looks at nothing else, so that a dead database restarts no API."""
    return {"status": "ok"}


@get("/", sync_to_thread=False, include_in_schema=False, opt={"unlimited": True}, status_code=HTTPStatus.SEE_OTHER)
def front() -> Redirect:
    """Lead whoever opens the address of the API in a browser to the list of what it does."""
    return Redirect("/schema", status_code=303)  # as above


@get("/api/health", tags=["health"], responses=FAILING)
async def health(parts: Wired) -> Response[HealthView]:
    """Try each dependency and say how it is and how long it took; 503 if one does not answer."""
    checks = {
        "database": await _try(_database(parts)),
        "queue": await _try(asyncio.to_thread(parts.queue.depth)),
        "storage": await _try(asyncio.to_thread(lambda: next(iter(parts.zones.previews.list("previews/")), None))),
    }
    ok = all(check.status == "ok" for check in checks.values())
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(HealthView(status="ok" if ok else "failing", checks=checks), status_code=status)


async def _database(parts: Parts) -> None:
    async with parts.catalog.read() as session:
        await session.execute(text("SELECT 1"))


async def _try(check: Awaitable[object]) -> Check:
    """Run a check; of an error only its kind is told, since anybody may ask."""
    start = time.perf_counter()
    try:
        await asyncio.wait_for(check, timeout=5)
    except MamkitError as error:
        return Check(status="failing", code=error.code)
    except Exception as error:  # whatever it is, the dependency does not work
        return Check(status="failing", code=type(error).__name__)
    return Check(status="ok", latency_ms=round((time.perf_counter() - start) * 1000, 2))


routes = [front, healthz, health]
