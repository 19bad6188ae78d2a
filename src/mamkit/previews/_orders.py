"""The jobs of a preview: what of it waits in the queue for workers."""

import asyncio
from itertools import islice
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import Catalog, Preview, Version
from mamkit.jobs import NewJob, Queue
from mamkit.previews._generations import name_of, prefix_of
from mamkit.previews._growth import Nursery
from mamkit.previews._ordering import LATER, in_order, new_job, part_jobs, priority_of, turn
from mamkit.previews._without_card import waits_in_vain
from mamkit.previews.messages import PLAN_JOB, PartJob, PlanJob

__all__ = ["Orders"]


class Orders:
    """Puts the jobs of previews into the queue, and notes which they are; everything is safe to repeat.

    The queue is never asked within a transaction of the catalog: on SQLite it needs the same one write lock.

    Args:
        catalog: Has the previews.
        queue: Takes their jobs.
        nursery: Knows their plans.
    """

    def __init__(self, catalog: Catalog, queue: Queue, nursery: Nursery) -> None:
        self._catalog = catalog
        self._queue = queue
        self._nursery = nursery

    async def plan(self, version_id: UUID) -> None:
        """Order the plan of a preview that has none.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview, version, films = await _film(session, version_id)
        if preview.status == "failed" or preview.plan is not None:
            return
        job = PlanJob(version_id=version_id, master_key=version.master_key, by_processor=preview.by_processor)
        [job_id] = await self._enqueue([new_job(PLAN_JOB, job, f"plan:{name_of(preview)}", turn(films))])
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            preview.job_id = job_id

    async def parts(self, version_id: UUID) -> None:
        """Order the unfinished parts of a preview; those that wait or run stay as they are.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview, version, films = await _film(session, version_id)
            open_parts = await db.open_parts(session, version_id)
        if preview.plan is None or waits_in_vain(preview):
            return  # its plan has been given up since
        plan = self._nursery.of(preview).plan
        parts = in_order(part for part in plan.parts if part.index in open_parts)
        prefix = prefix_of(preview, version)
        any_part = PartJob(version_id=version_id, master_key=version.master_key, prefix=prefix, part=plan.parts[0])
        jobs = part_jobs(plan, parts, any_part, name=name_of(preview), films=films)
        # First what somebody waits for: a film of an hour has hundreds of others, which take their time.
        places = (place for place, part in enumerate(parts) if priority_of(part, place, films) < LATER)
        urgent = islice(jobs, 1 + max(places, default=-1))
        ids = [*await self._enqueue([*urgent]), *await self._enqueue([*jobs])]
        new = {part.index: job_id for part, job_id in zip(parts, ids, strict=True) if open_parts[part.index] != job_id}
        if new:
            async with self._catalog.begin() as session:
                await db.assign_jobs(session, version_id, new)

    async def _enqueue(self, jobs: list[NewJob]) -> list[UUID]:
        return await asyncio.to_thread(self._queue.enqueue, *jobs)


async def _film(session: AsyncSession, version_id: UUID) -> tuple[Preview, Version, int]:
    """Return a preview, its version, and how many films of the same user are in the making.

    Raises:
        PreviewNotFoundError: There is no such preview.
    """
    return (
        await db.preview_of(session, version_id),  # first: without a version there is none
        await db.version_by_id(session, version_id),
        await db.in_the_making(session, version_id),
    )
