"""A platform in one process: a real catalog and a store, with a queue whose worker is called by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from mamkit import catalog as db
from mamkit.catalog import Catalog, PreviewPart
from mamkit.clock import Clock, utc_now
from mamkit.ids import uuid7
from mamkit.jobs import Lease, MemoryQueue
from mamkit.previews import Ingest, PartJob, Planned, Publisher
from mamkit.previews.messages import PLAN_JOB
from mamkit.storage import MemoryStore, ObjectStore, Zones, master_key, preview_prefix
from mamkit.transcode import MediaInfo, Part, Plan, make_plan

__all__ = ["LEASE", "Bench", "bench"]

LEASE = timedelta(minutes=5)


class Bench:
    """A publisher with a real catalog, and a worker that reports what it is told to."""

    def __init__(self, catalog: Catalog, store: ObjectStore) -> None:
        self.catalog = catalog
        self.queue = MemoryQueue()
        self.zones = Zones(staging=store, masters=store, previews=store)
        self.publisher = Publisher(catalog, self.queue, self.zones)
        self.ingest = Ingest(catalog, self.zones, self.publisher)

    async def user(self) -> UUID:
        """Make an account."""
        async with self.catalog.begin() as session:
            user = await db.create_user(session, email=f"{uuid4()}@example.com", display_name="Ada", password_hash="x")
        return user.id

    async def version(self, user_id: UUID | None = None) -> UUID:
        """Record a version, of a new user if none is given, with a preview that has not begun."""
        user_id, asset_id, version_id = user_id or await self.user(), uuid7(), uuid7()
        async with self.catalog.begin() as session:
            await db.create_asset(
                session, id=asset_id, user_id=user_id, title="A film", staging_key=f"uploads/{asset_id}"
            )
            await db.add_version(
                session,
                id=version_id,
                asset_id=asset_id,
                number=1,
                master_key=master_key(asset_id, 1, "mp4"),
                preview_prefix=preview_prefix(asset_id, version_id),
                size=1,
                sha256="0" * 64,
            )
            await db.create_preview(session, version_id)
        return version_id

    def claim(self) -> Lease | None:
        """Take a job as a worker does."""
        return self.queue.claim("worker", lease=LEASE)

    async def plan(self, version_id: UUID, info: MediaInfo) -> Plan:
        """Start a preview and report its plan."""
        await self.publisher.start(version_id)
        lease = self.queue.claim("worker", kinds=[PLAN_JOB], lease=LEASE)
        assert lease is not None
        plan = make_plan(info, part_segments=2)
        await self.publisher.take(
            Planned(version_id=version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=plan)
        )
        self.queue.complete(lease)
        return plan

    def leases(self) -> list[tuple[Lease, Part]]:
        """Claim every part that waits."""
        found = []
        while (lease := self.claim()) is not None:
            found.append((lease, PartJob.model_validate(lease.job.payload).part))
        return found

    async def status(self, version_id: UUID) -> str:
        """Say how a preview stands."""
        return (await self.publisher.state(version_id)).preview.status

    async def prefix(self, version_id: UUID) -> str:
        """Return where whoever wants to play a version is led."""
        async with self.catalog.read() as session:
            return (await db.version_by_id(session, version_id)).preview_prefix

    async def parts(self, version_id: UUID) -> list[PreviewPart]:
        """Return the parts of a preview as the catalog has them."""
        async with self.catalog.read() as session:
            return await db.parts_of(session, version_id)

    def playlists(self) -> dict[str, str]:
        """Return the published playlists, by their names below the preview's prefix."""
        found = {}
        for info in self.zones.previews.list("previews/"):
            if info.key.endswith(".m3u8"):
                with self.zones.previews.get(info.key) as body:
                    found["/".join(info.key.split("/")[3:])] = body.read().decode()
        return found


@asynccontextmanager
async def bench(folder: Path, store: ObjectStore | None = None, *, clock: Clock = utc_now) -> AsyncIterator[Bench]:
    """Open a platform whose database lies in a folder; objects are in memory unless a store is given."""
    url = f"sqlite:///{folder / 'catalog.db'}"
    await asyncio.to_thread(db.upgrade, url)
    catalog = Catalog(url, clock=clock)
    try:
        yield Bench(catalog, store or MemoryStore())
    finally:
        await catalog.close()
