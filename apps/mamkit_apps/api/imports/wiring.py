"""The parts of imports, put together once a process, and at work while the API runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from litestar import Litestar

from mamkit import catalog as db
from mamkit.auth import PermissionDeniedError
from mamkit.catalog import Asset
from mamkit.catalog.import_models import Import, ImportKind
from mamkit_apps.api.callers.access import allowed_asset, place_of, principal_of, scope_of
from mamkit_apps.api.imports.bucket import Bucket, BucketBringer
from mamkit_apps.api.imports.fetching import Fetcher
from mamkit_apps.api.imports.folder import Folder, FolderBringer
from mamkit_apps.api.imports.importer import Bringer, Importer
from mamkit_apps.api.imports.urls import UrlBringer
from mamkit_apps.api.imports.watching import Watcher
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts
from mamkit_apps.guard import AddressGuard
from mamkit_apps.outgoing import GuardedClient
from mamkit_apps.zones import s3_options

__all__ = ["importing"]


@asynccontextmanager
async def importing(app: Litestar) -> AsyncIterator[None]:
    """Work on imports while the application runs; within `mamkit_apps.api.lifespan`."""
    parts: Parts = app.state.parts
    settings = parts.settings
    guard = AddressGuard(settings.import_networks)
    client = GuardedClient(guard, most=max(1, settings.import_slots))
    inboxes = _inboxes(settings)
    importer = _importer(parts, Fetcher(guard, client, most=settings.max_upload_bytes), inboxes)
    watchers = [_watcher(parts, each) for each in inboxes]
    app.state.importer, app.state.watchers = importer, watchers
    at_work: list[Importer | Watcher] = [*watchers] if settings.import_slots == 0 else [importer, *watchers]
    tasks = [asyncio.create_task(each.run()) for each in at_work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await client.close()


def _inboxes(settings: ApiSettings) -> list[Folder | Bucket]:
    found: list[Folder | Bucket] = []
    if settings.watch_folder is not None:
        found.append(Folder(settings.watch_folder, settle=timedelta(seconds=settings.watch_settle_seconds)))
    if settings.watch_bucket is not None:
        from mamkit.storage.s3 import S3Store  # noqa: PLC0415 - of an extra that the embedded default does without

        found.append(Bucket(S3Store(settings.watch_bucket, s3_options(settings)), settings.watch_prefix))
    return found


def _watcher(parts: Parts, inbox: Folder | Bucket) -> Watcher:
    settings = parts.settings
    return Watcher(
        parts.catalog,
        inbox,
        owner=settings.watch_owner or "",
        workspace_id=settings.watch_workspace,
        move=settings.watch_after == "move",
    )


def _importer(parts: Parts, fetcher: Fetcher, inboxes: Sequence[Folder | Bucket]) -> Importer:
    settings, staging = parts.settings, parts.zones.staging
    bringers: dict[ImportKind, Bringer] = {"url": UrlBringer(fetcher, staging, parts.vault)}
    for each in inboxes:
        if isinstance(each, Folder):
            bringers["folder"] = FolderBringer(each, staging, most=settings.max_upload_bytes)
        else:
            bringers["bucket"] = BucketBringer(each, staging, most=settings.max_upload_bytes)

    async def may(row: Import) -> Asset | None:
        standing = await db.standing_of(parts.catalog, row.user_id)
        if standing is None or standing.status != "active":
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
