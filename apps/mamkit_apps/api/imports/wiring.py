"""The parts of imports, put together once a process, and at work while the API runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from mamkit import catalog as db
from mamkit.auth import PermissionDeniedError
from mamkit.catalog import Asset
from mamkit.catalog.import_models import Import, ImportKind
from mamkit_apps.api.access import allowed_asset, place_of, principal_of, scope_of
from mamkit_apps.api.imports.fetching import Fetcher
from mamkit_apps.api.imports.importer import Bringer, Importer
from mamkit_apps.api.imports.urls import UrlBringer
from mamkit_apps.api.wiring import Parts
from mamkit_apps.guard import AddressGuard
from mamkit_apps.outgoing import GuardedClient

__all__ = ["importing", "make_importer"]


@asynccontextmanager
async def importing(app: Litestar) -> AsyncIterator[None]:
    """Work on imports while the application runs; within `mamkit_apps.api.wiring.lifespan`."""
    parts: Parts = app.state.parts
    settings = parts.settings
    guard = AddressGuard(settings.import_networks)
    client = GuardedClient(guard, most=max(1, settings.import_slots))
    importer = make_importer(parts, guard, client)
    app.state.importer = importer
    tasks = [asyncio.create_task(importer.run())] if settings.import_slots else []
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await client.close()


def make_importer(parts: Parts, guard: AddressGuard, client: GuardedClient) -> Importer:
    """Return what works on imports, of the kinds that this process can work on."""
    settings = parts.settings
    fetcher = Fetcher(guard, client, most=settings.max_upload_bytes)
    bringers: dict[ImportKind, Bringer] = {"url": UrlBringer(fetcher, parts.zones.staging, parts.vault)}

    async def may(row: Import) -> Asset | None:
        async with parts.catalog.read() as session:
            standing = await db.standing_of(session, row.user_id)
        if standing is None or standing.user.status != "active":
            raise PermissionDeniedError("asset.create", "the account is disabled")
        principal = principal_of(standing)
        if row.new_asset:
            place_of(principal, row.workspace_id)
            return None
        async with parts.catalog.read(scope_of(principal)) as session:
            return await allowed_asset(session, principal, "asset.update", row.asset_id)

    return Importer(
        parts.catalog,
        parts.zones,
        parts.ingest,
        bringers,
        may,
        slots=settings.import_slots,
        hours=settings.import_hours,
    )
