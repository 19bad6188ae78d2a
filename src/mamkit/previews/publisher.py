"""The API's side: the only writer of playlists, and of the state of a preview.

Every change of a preview happens in one transaction that holds the preview's row (`SELECT … FOR UPDATE`; on SQLite the
one write lock), playlists included: two reports at once can neither lose each other's part nor publish an older
playlist over a newer one. A playlist is a pure function of the parts in the catalog, so publishing again is harmless.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import Catalog, CatalogUnavailableError, Preview, PreviewNotFoundError
from mamkit.jobs import Job, Queue, QueueUnavailableError
from mamkit.previews._card_watch import CardWatch
from mamkit.previews._generations import begin_anew, is_of, prefix_of
from mamkit.previews._growth import Nursery
from mamkit.previews._ordering import work_of
from mamkit.previews._orders import Orders
from mamkit.previews._press import Press
from mamkit.previews._publication import check_result
from mamkit.previews._unfinished import end_of, is_lacking, jobs_of, unfinished
from mamkit.previews._without_card import begin_without_card, is_bound, waits_in_vain
from mamkit.previews.errors import InvalidMessageError, PartsDisagreeError, StaleReportError
from mamkit.previews.layout import JSON_TYPE, plan_key
from mamkit.previews.messages import (
    Ack,
    Failed,
    Finished,
    PartJob,
    PlanJob,
    Planned,
    Progress,
    Report,
    is_for_card,
    parse_job,
)
from mamkit.previews.state import PreviewState
from mamkit.storage import Zones

__all__ = ["CARD_WAIT", "KEEP", "Publisher"]

log = logging.getLogger(__name__)

KEEP = timedelta(hours=25)  # a day for a film that somebody paused, and an hour for clocks that differ
LEFT = "preview %s cannot be looked after by this version, and is left to a later one: %s"
MOST_JOBS = 1000  # that run, which are remembered; one takes about a kilobyte
CARD_WAIT = timedelta(minutes=5)  # as long as a worker may be away that is brought to a new version


class Publisher:
    """Starts previews, takes the reports of their workers, and publishes.

    Args:
        catalog: Holds the state.
        queue: Where workers find their jobs.
        zones: Playlists are written to the previews zone.
        keep: For how long the objects of a preview that was built anew stay: longer than any URL that plays it.
        card_wait: After how long without a worker whose card could go on a film is made by processors, from its start.
    """

    def __init__(
        self, catalog: Catalog, queue: Queue, zones: Zones, *, keep: timedelta = KEEP, card_wait: timedelta = CARD_WAIT
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._zones = zones
        self._press = Press(zones.previews, keep)
        self._nursery = Nursery()
        self._orders = Orders(catalog, queue, self._nursery)
        self._cards = CardWatch(queue, card_wait)
        # What a job is about never changes, and a worker tells of one twice a second.
        self._about = lru_cache(MOST_JOBS)(self._read_job)

    async def start(self, version_id: UUID) -> None:
        """Put the first job of a preview into the queue; its row must be in the catalog. Safe to repeat.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        await self._orders.plan(version_id)

    async def restart(self, version_id: UUID) -> None:
        """Try a preview again that has failed; one that has not is left alone.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            if preview.status != "failed":
                return
            if preview.failure_code == PartsDisagreeError.code:
                await begin_anew(session, preview)  # nothing of the last try can be kept
            else:
                await db.set_status(session, preview, "queued" if preview.plan is None else "building")
            self._nursery.forget(version_id)
        # Else, what the last try has finished is kept; only what is missing is done again.
        await (self.start(version_id) if preview.plan is None else self._orders.parts(version_id))

    async def resume(self, job: Job) -> None:
        """Try the preview again that failed with a job, which waits again; nothing happens where none did.

        Raises:
            InvalidMessageError: The job is not about a preview.
        """
        with suppress(PreviewNotFoundError):
            await self.restart(parse_job(job.kind, job.payload).version_id)

    async def rebuild(self, version_id: UUID) -> None:
        """Build a preview anew, from the probe on, while the one that is there goes on playing.

        The new generation lies beside it under a prefix of its own. The version points to it once all of it is there,
        and not if it fails. One that is being built is left alone.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            if preview.status not in {"ready", "failed"}:
                return
            preview.by_processor = False  # there may be a card again
            await begin_anew(session, preview)
            self._nursery.forget(version_id)
        await self.start(version_id)

    async def state(self, version_id: UUID) -> PreviewState:
        """Return how far a preview is.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview = await db.preview_of(session, version_id)
            if preview.plan is None or preview.status == "ready":
                return PreviewState(preview=preview, progress=float(preview.status == "ready"))
            progress = await db.progress_of(session, version_id)
        work = work_of(preview.plan)
        done = sum(work.get(index, 0) * share for index, share in progress.items())  # it may have a new plan by now
        return PreviewState(preview=preview, progress=min(1.0, done / sum(work.values())))

    async def revision(self, version_id: UUID) -> int:
        """Return a number that grows whenever `state` does; cheap to ask for often.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            return await db.revision_of(session, version_id)

    async def take(self, report: Report) -> Ack:
        """Record a report and publish what follows from it. Taking the same report again changes nothing.

        What is told of a preview that is no more, or of an earlier generation of one, is no longer wanted.

        Raises:
            StaleReportError: The report's lease is not the newest of its job, or the job is about something else.
            InvalidMessageError: The job, or the plan of its preview, is of a later version, or the result is not of it.
        """
        job = await asyncio.to_thread(self._job_of, report)
        try:
            match report, job:
                case Planned(), PlanJob():
                    return await self._planned(report)
                case Progress(), PartJob() if job.part.index == report.part:
                    return await self._progress(report, job)
                case Finished(), PartJob() if job.part.index == report.result.part:
                    return await self._finished(report, job)
                case Failed(), _:
                    return await self._failed(report.version_id, report.code, report.message, job=job)
        except PreviewNotFoundError:  # its asset was removed for good
            return Ack(wanted=False)
        raise StaleReportError(report.job_id, report.fence)

    def _job_of(self, report: Report) -> PlanJob | PartJob:
        """Return the job of which a report tells.

        Raises:
            StaleReportError: The report is not of the job's newest holder, or about another preview.
        """
        if self._queue.holds(report.job_id, report.fence):
            job = self._about(report.job_id)
            if job.version_id == report.version_id:
                return job
        raise StaleReportError(report.job_id, report.fence)

    def _read_job(self, job_id: UUID) -> PlanJob | PartJob:
        found = self._queue.get(job_id)
        return parse_job(found.kind, found.payload)

    async def _planned(self, report: Planned) -> Ack:
        plan = report.plan
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            version = await db.version_by_id(session, report.version_id)
            if preview.status == "failed" or (preview.by_processor and plan.devices):
                return Ack(wanted=False)
            if preview.plan is None:
                # The plan's object comes before the row that says that it is there.
                text, key = plan.model_dump_json(), plan_key(prefix_of(preview, version))
                await asyncio.to_thread(self._zones.previews.put, key, text.encode(), content_type=JSON_TYPE)
                await db.set_facts(session, version, report.facts)
                parts = [(part.index, part.kind) for part in plan.parts]
                await db.start_building(session, preview, plan=json.loads(text), parts=parts)
        await self._orders.parts(report.version_id)
        return Ack(wanted=True)

    async def _progress(self, report: Progress, job: PartJob) -> Ack:
        growth, done = self._nursery.look(report.version_id), float(report.done)
        known = growth if growth is not None and growth.prefix in {None, job.prefix} else None
        if known is not None and done and known.hold_back(report.part, done):  # where it begins, it is looked up
            return Ack(wanted=not known.unwanted)
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            if preview.plan is None:
                return Ack(wanted=False)
            growth = self._nursery.of(preview)
            growth.unwanted = preview.status in {"failed", "ready"}
            if growth.unwanted or not is_of(job, preview):
                return Ack(wanted=False)
            if (await db.part_of(session, report.version_id, report.part)).status == "done":
                return Ack(wanted=False)
            growth.hold_back(report.part, done)
            await db.record_progress(session, preview, growth.take_told())
        return Ack(wanted=True)

    @asynccontextmanager
    async def _growing(self, version_id: UUID) -> AsyncIterator[tuple[AsyncSession, Preview]]:
        """Give a transaction that holds a preview; where it is undone, what was learnt in it is forgotten, too."""
        try:
            async with self._catalog.begin() as session:
                yield session, await db.preview_of(session, version_id, for_update=True)
        except BaseException:
            self._nursery.forget(version_id)
            raise

    async def _finished(self, report: Finished, job: PartJob) -> Ack:
        version_id, index = report.version_id, report.result.part
        async with self._growing(version_id) as (session, preview):
            if preview.status in {"failed", "ready"} or preview.plan is None or not is_of(job, preview):
                return Ack(wanted=False)
            part = await db.part_of(session, version_id, index)
            if part.status == "done":
                return Ack(wanted=True)  # told before; what followed from it was published then
            growth = self._nursery.of(preview)
            check_result(growth.plan, job.part, report.result)
            await db.finish_part(session, preview, part, json.loads(report.result.model_dump_json()))
            try:
                growth.learn(part.id, report.result)
                await self._press.publish(session, preview, growth)
            except PartsDisagreeError as error:
                await db.set_status(session, preview, "failed", failure_code=error.code, failure=str(error))
                return Ack(wanted=False)
            status = preview.status
        # What a transaction did that was undone is not said.
        log.info("preview %s: part %d is published (job %s, lease %d)", version_id, index, report.job_id, report.fence)
        if status == "ready":
            self._nursery.forget(version_id)
            log.info("preview %s is ready", version_id)
        return Ack(wanted=True)

    async def _failed(
        self, version_id: UUID, code: str, message: str, *, job: PlanJob | PartJob | None = None, generation: int = 0
    ) -> Ack:
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            anew = generation not in {0, preview.generation} or (isinstance(job, PartJob) and not is_of(job, preview))
            if anew or preview.status in {"failed", "ready"} or waits_in_vain(preview):
                return Ack(wanted=False)
            if not is_bound(preview) or not isinstance(job, PartJob) or job.part.kind != "video":
                await db.set_status(session, preview, "failed", failure_code=code, failure=message)
                self._nursery.forget(version_id)
                return Ack(wanted=True)
            generation = preview.generation
        await self._go_without_card(version_id, generation, f"{code}: {message}")
        return Ack(wanted=True)

    async def _go_without_card(self, version_id: UUID, generation: int, why: str) -> None:
        """Begin a film anew, by processors alone, that no card can go on with; after a crash, `reconcile` ends this."""
        if await begin_without_card(self._catalog, self._queue, version_id, generation):
            self._nursery.forget(version_id)
            log.warning("preview %s is made by processors, because no card goes on with it: %s", version_id, why)
            await self.start(version_id)

    async def reconcile(self) -> int:
        """Bring every unfinished preview back on its way, and return how many there are.

        For what a crash left between two steps: a preview whose job was never enqueued gets it, one whose job has died
        fails with the reason. Run at the start and from time to time; safe to run at once in several processes. One
        that cannot be looked after keeps none of the others waiting.

        Raises:
            QueueUnavailableError: The queue does not answer.
            CatalogUnavailableError: The database does not answer.
        """
        count = 0
        self._cards.begin()
        async for preview in unfinished(self._catalog):
            count += 1
            try:
                if self._nursery.is_behind(preview.version_id):
                    await self._catch_up(preview.version_id)
                await self._reconcile(preview)
            except (QueueUnavailableError, CatalogUnavailableError):
                raise
            except PreviewNotFoundError:  # its asset was removed for good meanwhile
                continue
            except InvalidMessageError as error:
                log.warning(LEFT, preview.version_id, error)
            except Exception:
                log.exception("preview %s cannot be looked after", preview.version_id)
        return count

    async def _reconcile(self, preview: Preview) -> None:
        version_id, generation = preview.version_id, preview.generation
        if waits_in_vain(preview):
            await self._go_without_card(version_id, generation, "that was found before")
            return
        waited_for = [preview.job_id]
        if preview.plan is not None:  # then its job has done its work, whatever became of it
            async with self._catalog.read() as session:
                waited_for = [*(await db.open_parts(session, version_id)).values()]
        jobs = await asyncio.to_thread(jobs_of, self._queue, waited_for)
        for job in filter(None, jobs):
            if is_for_card(job.kind) and await asyncio.to_thread(self._cards.is_in_vain, job):
                await self._go_without_card(version_id, generation, f"{job.kind} is {job.state}")
                return
            if job.state in {"dead", "cancelled"}:
                await self._failed(version_id, *end_of(job), generation=generation)
                return
        if lost := sum(job_id is not None and job is None for job_id, job in zip(waited_for, jobs, strict=True)):
            log.warning("preview %s: the queue has lost %d of its jobs, which are put in again", version_id, lost)
        if is_lacking(jobs):  # else it costs no more than the look: thousands may wait
            await (self.start(version_id) if preview.plan is None else self._orders.parts(version_id))

    async def _catch_up(self, version_id: UUID) -> None:
        """Publish what was held back when parts came in too quickly, where no further part followed."""
        async with self._growing(version_id) as (session, preview):
            if preview.status == "playable" and preview.plan is not None:
                await self._press.publish(session, preview, self._nursery.of(preview))
