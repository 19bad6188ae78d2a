"""A process that imports a URL, and kills itself before its Nth step; see test_imports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from mamkit.auth import Vault
from mamkit.catalog import Asset, Catalog, sync_engine
from mamkit.catalog.import_models import Import
from mamkit.catalog.imports import add_import, import_by_id
from mamkit.clock import utc_now
from mamkit.jobs.sql import SqlQueue
from mamkit.previews import Ingest, Publisher
from mamkit.signing import KeyRing, UrlSigner
from mamkit.storage import Zones
from mamkit_apps.api.imports.fetching import Fetcher
from mamkit_apps.api.imports.importer import Importer
from mamkit_apps.api.imports.urls import UrlBringer
from mamkit_apps.guard import AddressGuard
from mamkit_apps.outgoing import GuardedClient
from mamkit_apps.sealed import IMPORTS
from mamkit_apps.zones import EdgeSigner
from tests.faults.dying import DyingCatalog, DyingStore, Steps

PART = 5 << 20  # bytes; no store takes smaller ones
RING = KeyRing.parse(f"k1:{'x' * 64}")


@asynccontextmanager
async def open_importer(
    folder: Path, *, fatal: int = 0, ahead: timedelta = timedelta(0)
) -> AsyncIterator[tuple[Importer, DyingCatalog, Zones, Steps]]:
    """Give what works on imports over one folder, by a clock that is ahead."""
    steps = Steps(fatal)
    url = f"sqlite:///{folder / 'mamkit.db'}"
    catalog = DyingCatalog(url, clock=lambda: utc_now() + ahead)
    store = DyingStore(folder / "objects", signer=EdgeSigner("http://127.0.0.1", UrlSigner(RING)))
    catalog.steps = store.steps = steps
    zones = Zones(staging=store, masters=store, previews=store)
    ingest = Ingest(catalog, zones, Publisher(catalog, SqlQueue(sync_engine(url)), zones))
    guard = AddressGuard([ip_network("127.0.0.2/32")])
    client = GuardedClient(guard)
    fetcher = Fetcher(guard, client, most=1 << 30)
    bringers: Any = {"url": UrlBringer(fetcher, store, Vault(RING), part_size=PART)}

    async def may(_: Import) -> Asset | None:
        return None

    async with catalog:
        yield Importer(catalog, zones, ingest, bringers, may, slots=1, hours=24), catalog, zones, steps
        await client.close()


def ask_for(folder: Path, user_id: UUID, url: str) -> UUID:
    """Add an import of a URL, and return its id."""

    async def add() -> UUID:
        import_id = uuid4()
        sealed = Vault(RING).seal(url.encode(), where=IMPORTS.where(import_id))
        async with Catalog(f"sqlite:///{folder / 'mamkit.db'}") as catalog, catalog.begin() as session:
            row, _ = await add_import(
                session, id=import_id, user_id=user_id, workspace_id=user_id, kind="url", source="127.0.0.2",
                title="A film", filename="film.mp4", origin=import_id.hex, sealed=sealed,
            )  # fmt: skip
            return row.id

    return asyncio.run(add())


def work_off(folder: Path, fatal: int, report: Callable[[int], object]) -> None:
    """Work on what is due; tell how many steps that took, if this process was not killed."""

    async def work() -> int:
        async with open_importer(folder, fatal=fatal) as (importer, _, _, steps):
            await importer.work_off()
            return steps.taken

    report(asyncio.run(work()))


async def look(catalog: Catalog, import_id: UUID) -> Import:
    """Return an import as it stands."""
    async with catalog.read() as session:
        return await import_by_id(session, import_id)
