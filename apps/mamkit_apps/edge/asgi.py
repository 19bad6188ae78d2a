"""The edge's application factory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

from litestar import Litestar, Response, asgi, get
from litestar.datastructures import State
from litestar.types import Receive, Scope, Send

from mamkit.storage import Zones
from mamkit_apps.answers import STATUS, handlers
from mamkit_apps.edge.service import EdgeService
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.limits import BURST, SharedRate
from mamkit_apps.zones import open_zones, url_signer

__all__ = ["create_app"]

SWEEP = 1.0  # seconds between two looks for clients that are too slow


@get(["/health", "/healthz"], sync_to_thread=False, include_in_schema=False)
def health() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}


def create_app(settings: EdgeSettings | None = None, *, zones: Zones | None = None) -> Litestar:
    """Return the edge; its state has the `EdgeService` as `edge`, for `mamkit_apps.edge.protocol`.

    Args:
        settings: None reads the environment.
        zones: Stores to serve; None opens those of the settings.

    Raises:
        SettingsError: A setting cannot be used.
    """
    settings = settings or EdgeSettings.load()
    zones = zones or open_zones(settings)
    service = EdgeService(
        settings,
        signer=url_signer(settings),
        zones={"uploads": zones.staging, "masters": zones.masters, "previews": zones.previews},
        shared=_shared_rate(settings),
    )

    @asgi("/s", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await service(scope, receive, send)

    @get("/metrics", sync_to_thread=False, include_in_schema=False)
    def metrics() -> Response[str]:
        return Response(service.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP)
                service.sweep(monotonic())

        sweeper = asyncio.create_task(sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            service.close()

    return Litestar(
        [serve, health, metrics],
        lifespan=[lifespan],
        exception_handlers=handlers(STATUS),
        openapi_config=None,
        state=State({"edge": service}),
        logging_config=None,
    )


def _shared_rate(settings: EdgeSettings) -> SharedRate | None:
    if settings.redis_url is None:
        return None
    from mamkit_apps.redis_limits import RedisRate  # noqa: PLC0415 - an edge on its own needs no Redis

    return RedisRate(settings.redis_url.get_secret_value(), burst=BURST)
