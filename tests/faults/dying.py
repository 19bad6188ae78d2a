"""A process that takes an upload in and publishes its preview, and kills itself before its Nth step; see test_gc."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, Scope, sync_engine
from mamkit.jobs.sql import SqlQueue
from mamkit.previews import Finished, Ingest, PartJob, Planned, Publisher
from mamkit.previews.messages import PLAN_JOB
from mamkit.storage import LocalStore, Zones
from mamkit.transcode import make_plan
from tests.unit.previews.test_publisher import film, result

STORE_STEPS = {"put", "copy", "delete", "head", "get", "upload"}


class Steps:
    """Counts steps, and kills this process before one of them; 0 kills nobody."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self.taken = 0

    def next(self) -> None:
        self.taken += 1
        if self.taken == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(LocalStore):
    """A store that takes a step before each call."""

    steps: Steps

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in STORE_STEPS:
            return found
        steps: Steps = super().__getattribute__("steps")

        def stepping(*arguments: Any, **more: Any) -> Any:
            steps.next()
            return found(*arguments, **more)

        return stepping


class DyingCatalog(Catalog):
    """A catalog that takes a step before each transaction, one before its commit, and one after it."""

    steps: Steps

    @asynccontextmanager
    async def begin(self, scope: Scope | None = None) -> AsyncIterator[Any]:
        self.steps.next()
        async with super().begin(scope) as session:
            yield session
            self.steps.next()
        self.steps.next()


def open_parts(folder: Path, fatal: int = 0) -> tuple[DyingCatalog, Zones, Ingest, Publisher, Steps]:
    """Return the parts of an installation, over one folder."""
    steps = Steps(fatal)
    url = f"sqlite:///{folder / 'mamkit.db'}"
    catalog = DyingCatalog(url)
    store = DyingStore(folder / "objects")
    catalog.steps = store.steps = steps
    queue = SqlQueue(sync_engine(url))
    zones = Zones(staging=store, masters=store, previews=store)
    publisher = Publisher(catalog, queue, zones)
    return catalog, zones, Ingest(catalog, zones, publisher), publisher, steps


def take_in(folder: Path, user_id: UUID, asset_id: UUID, fatal: int, report: Callable[[int], object]) -> None:
    """Record and promote an upload that lies in staging; tell how many steps that took, if it was not killed."""

    async def work() -> int:
        catalog, _, ingest, publisher, steps = open_parts(folder, fatal)
        asset = await ingest.record(user_id, asset_id, title="A film", filename="film.mp4")
        await ingest.promote(asset)
        await publisher.reconcile()
        await catalog.close()
        return steps.taken

    report(asyncio.run(work()))


async def known(catalog: Catalog, asset_id: UUID) -> list[db.Version]:
    """Return the versions of an asset."""
    async with catalog.read() as session:
        return list(await db.versions_of(session, asset_id))


def build(folder: Path, version_id: UUID, fatal: int, report: Callable[[int], object], anew: bool = True) -> None:
    """Build a preview, `anew` if it is ready; tell how many steps that took, if it was not killed."""

    async def work() -> int:
        catalog, _, _, publisher, steps = open_parts(folder, fatal)
        async with catalog:
            if anew and (await publisher.state(version_id)).preview.generation == 1:
                await publisher.rebuild(version_id)
            await publisher.reconcile()
            while (lease := publisher._queue.claim("worker", lease=timedelta(milliseconds=1))) is not None:
                plan, job_id, fence = make_plan(film(20, sound=False)), lease.job.id, lease.fence
                if lease.job.kind == PLAN_JOB:
                    planned = Planned(version_id=version_id, job_id=job_id, fence=fence, facts={}, plan=plan)
                    await publisher.take(planned)
                else:
                    made = result(plan, PartJob.model_validate(lease.job.payload).part)
                    await publisher.take(Finished(version_id=version_id, job_id=job_id, fence=fence, result=made))
                publisher._queue.complete(lease)
        return steps.taken

    report(asyncio.run(work()))
