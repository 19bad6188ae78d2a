"""The API's side: the only writer of playlists, and of the state of a preview.

Every change of a preview happens in one transaction that holds the preview's row (`SELECT … FOR UPDATE`; on SQLite the
one write lock), playlists included: two reports at once can neither lose each other's part nor publish an older
playlist over a newer one. A playlist is a pure function of the parts in the catalog, so publishing again is harmless.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import Catalog, Preview
from mamkit.jobs import Job, JobNotFoundError, NewJob, Queue
from mamkit.previews._growth import Growth, Nursery
from mamkit.previews._publication import is_playable, tracks_of, write_playlists
from mamkit.previews.errors import PartsDisagreeError, StaleReportError
from mamkit.previews.layout import JSON_TYPE, plan_key
from mamkit.previews.messages import (
    PART_JOB,
    PLAN_JOB,
    Ack,
    Failed,
    Finished,
    PartJob,
    PlanJob,
    Planned,
    Progress,
    Report,
    parse_job,
)
from mamkit.storage import Zones
from mamkit.transcode import Part

__all__ = ["PreviewState", "Publisher"]

log = logging.getLogger(__name__)

FIRST = 0  # priority of what a person waits for: the plan, and the parts that make a preview playable
LATER = 100  # of all others, which come after that; what stands between is for users with several films
LAST = 1 << 30
WEIGHTS = {
    "video": 1.0,
    "audio": 0.02,
    "subtitles": 0.01,
    "artwork": 0.02,
}  # of the work that pictures of the same seconds make


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewState:
    """How far a preview is."""

    preview: Preview
    progress: float
    """0 to 1, by the segments that are encoded."""


class Publisher:
    """Starts previews, takes the reports of their workers, and publishes.

    Args:
        catalog: Holds the state.
        queue: Where workers find their jobs.
        zones: Playlists are written to the previews zone.
    """

    def __init__(self, catalog: Catalog, queue: Queue, zones: Zones) -> None:
        self._catalog = catalog
        self._queue = queue
        self._zones = zones
        self._nursery = Nursery()

    async def start(self, version_id: UUID) -> None:
        """Put the first job of a preview into the queue; its row must be in the catalog. Safe to repeat.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview = await db.preview_of(session, version_id)
            version = await db.version_by_id(session, version_id)
            films = await db.in_the_making(session, version_id)
        if preview.status == "failed" or preview.plan is not None:
            return
        job = PlanJob(version_id=version_id, master_key=version.master_key)
        # Outside any transaction of the catalog: on SQLite the queue needs the same one write lock.
        [job_id] = await self._enqueue([_new_job(PLAN_JOB, job, f"plan:{version_id}", _turn(films))])
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            preview.job_id = job_id

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
                preview.plan = None  # nothing of the last try can be kept
            await db.set_status(session, preview, "queued" if preview.plan is None else "building")
            self._nursery.forget(version_id)
        # Else, what the last try has finished is kept; only what is missing is done again.
        await (self.start(version_id) if preview.plan is None else self._enqueue_parts(version_id))

    async def state(self, version_id: UUID) -> PreviewState:
        """Return how far a preview is.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview = await db.preview_of(session, version_id)
            progress = await db.progress_of(session, version_id)
        if preview.plan is None:
            return PreviewState(preview=preview, progress=0.0)
        work = {part.index: _work(part) for part in self._nursery.of(version_id, preview.plan).plan.parts}
        done = sum(work[index] * share for index, share in progress.items())
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

        Raises:
            StaleReportError: The report's lease is not the newest of its job, or the job is about something else.
            PreviewNotFoundError: There is no such preview.
        """
        if not await asyncio.to_thread(self._may_say, report):
            raise StaleReportError(report.job_id, report.fence)
        match report:
            case Planned():
                return await self._planned(report)
            case Progress():
                return await self._progress(report)
            case Finished():
                return await self._finished(report)
            case Failed():
                return await self._failed(report.version_id, report.code, report.message)

    def _may_say(self, report: Report) -> bool:
        """Return whether the report is of the job's newest holder, and of what the job is about."""
        if not self._queue.holds(report.job_id, report.fence):
            return False
        found = self._queue.get(report.job_id)
        job = parse_job(found.kind, found.payload)
        if job.version_id != report.version_id:
            return False
        match report:
            case Planned():
                return isinstance(job, PlanJob)
            case Progress():
                return isinstance(job, PartJob) and job.part.index == report.part
            case Finished():
                return isinstance(job, PartJob) and job.part.index == report.result.part
            case Failed():
                return True

    async def _planned(self, report: Planned) -> Ack:
        plan = report.plan
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            version = await db.version_by_id(session, report.version_id)
            if preview.status == "failed":
                return Ack(wanted=False)
            if preview.plan is None:
                # The plan's object comes before the row that says that it is there.
                text = plan.model_dump_json()
                await asyncio.to_thread(
                    self._zones.previews.put,
                    plan_key(version.preview_prefix),
                    text.encode(),
                    content_type=JSON_TYPE,
                )
                await db.set_facts(session, version, report.facts)
                await db.start_building(
                    session,
                    preview,
                    plan=json.loads(text),
                    parts=[(part.index, part.kind) for part in plan.parts],
                )
        await self._enqueue_parts(report.version_id)
        return Ack(wanted=True)

    async def _enqueue_parts(self, version_id: UUID) -> None:
        """Put the unfinished parts of a preview into the queue; those that wait or run there stay as they are."""
        async with self._catalog.read() as session:
            version = await db.version_by_id(session, version_id)
            preview = await db.preview_of(session, version_id)
            open_parts = await db.open_parts(session, version_id)
            films = await db.in_the_making(session, version_id)
        if preview.plan is None:
            return  # its plan has been given up since
        plan = self._nursery.of(version_id, preview.plan).plan
        parts = _in_order(part for part in plan.parts if part.index in open_parts)
        jobs = [
            _new_job(
                PART_JOB,
                PartJob(version_id=version_id, master_key=version.master_key, prefix=version.preview_prefix, part=part),
                f"part:{version_id}:{part.index}",
                _priority(part, place, films),
            )
            for place, part in enumerate(parts)
        ]
        ids = await self._enqueue(jobs)
        new = {part.index: job_id for part, job_id in zip(parts, ids, strict=True) if open_parts[part.index] != job_id}
        if new:
            async with self._catalog.begin() as session:
                await db.assign_jobs(session, version_id, new)

    async def _enqueue(self, jobs: list[NewJob]) -> list[UUID]:
        return await asyncio.to_thread(self._queue.enqueue, *jobs)

    async def _progress(self, report: Progress) -> Ack:
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            if preview.status in {"failed", "ready"}:
                return Ack(wanted=False)
            part = await db.part_of(session, report.version_id, report.part)
            if part.status == "done":
                return Ack(wanted=False)
            await db.record_part(session, report.version_id, report.part, status="running", progress=float(report.done))
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

    async def _finished(self, report: Finished) -> Ack:
        version_id, index = report.version_id, report.result.part
        async with self._growing(version_id) as (session, preview):
            if preview.status in {"failed", "ready"} or preview.plan is None:
                return Ack(wanted=False)
            if (await db.part_of(session, version_id, index)).status == "done":
                return Ack(wanted=True)  # told before; what followed from it was published then
            result = json.loads(report.result.model_dump_json())
            await db.record_part(session, version_id, index, status="done", progress=1.0, result=result)
            growth = self._nursery.of(version_id, preview.plan)
            try:
                await self._publish(session, preview, growth)
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

    async def _publish(self, session: AsyncSession, preview: Preview, growth: Growth) -> None:
        """Write the playlists of all that is done; while a film grows, no more often than is of use.

        Raises:
            PartsDisagreeError: The parts do not join.
        """
        growth.add(await db.parts_by_id(session, growth.missing(await db.finished_parts(session, preview.version_id))))
        if preview.status == "playable" and not growth.finished and not growth.is_due():
            growth.behind = True
            return
        began = time.monotonic()
        tracks = tracks_of(growth.results)
        if not is_playable(growth.plan, tracks):
            return
        version = await db.version_by_id(session, preview.version_id)
        await asyncio.to_thread(
            write_playlists,
            self._zones.previews,
            version.preview_prefix,
            growth.plan,
            tracks,
            finished=growth.finished,
        )
        await db.set_status(session, preview, "ready" if growth.finished else "playable")
        growth.published(began)

    async def _failed(self, version_id: UUID, code: str, message: str) -> Ack:
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, version_id, for_update=True)
            if preview.status in {"failed", "ready"}:
                return Ack(wanted=False)
            await db.set_status(session, preview, "failed", failure_code=code, failure=message)
        return Ack(wanted=True)

    async def reconcile(self) -> int:
        """Bring every unfinished preview back on its way, and return how many there are.

        For what a crash left between two steps: a preview whose job was never enqueued gets it, one whose job has died
        fails with the reason. Run at the start and from time to time; safe to run at once in several processes.
        """
        async with self._catalog.read() as session:
            unfinished = await db.unfinished_previews(session)
        for preview in unfinished:
            if self._nursery.is_behind(preview.version_id):
                await self._catch_up(preview.version_id)
            await self._reconcile(preview)
        return len(unfinished)

    async def _reconcile(self, preview: Preview) -> None:
        async with self._catalog.read() as session:
            open_parts = await db.open_parts(session, preview.version_id)
        for job_id in (preview.job_id, *open_parts.values()):
            job = None if job_id is None else await self._job(job_id)
            if job is not None and job.state == "dead":
                await self._failed(
                    preview.version_id, "previews.gave_up", f"given up after {job.attempts} tries: {job.reason}"
                )
                return
            if job is not None and job.state == "cancelled":
                await self._failed(preview.version_id, "previews.cancelled", "a job of the preview was cancelled")
                return
        if preview.plan is None:
            await self.start(preview.version_id)
        else:
            await self._enqueue_parts(preview.version_id)

    async def _catch_up(self, version_id: UUID) -> None:
        """Publish what was held back when parts came in too quickly, where no further part followed."""
        async with self._growing(version_id) as (session, preview):
            if preview.status == "playable" and preview.plan is not None:
                await self._publish(session, preview, self._nursery.of(version_id, preview.plan))

    async def _job(self, job_id: UUID) -> Job | None:
        try:
            return await asyncio.to_thread(self._queue.get, job_id)
        except JobNotFoundError:
            return None


def _in_order(parts: Iterable[Part]) -> list[Part]:
    """Return parts in the order in which they are best encoded: artwork in the middle.

    Nobody waits for it, but it takes as long as a large part, and with many workers the last parts must be small.
    """
    played: list[Part] = []
    art: list[Part] = []
    for part in parts:
        (art if part.kind == "artwork" else played).append(part)
    middle = -(-len(played) // 2)
    return [*played[:middle], *art, *played[middle:]]


def _turn(films: int) -> int:
    """Return the priority of what makes a film playable, of a user with so many films in the making.

    The first film of one user comes before the second of another.
    """
    return min(FIRST + max(films, 1) - 1, LATER - 1)


def _priority(part: Part, place: int, films: int) -> int:
    """Return the priority of a part that is the n-th of its film to wait, of a user with so many films in the making.

    The films of one user take turns, each with its n-th part, and so do users: with two films, each of them gets half.
    """
    if part.start == 0 and part.kind != "artwork":
        return _turn(films)
    return min(LATER + place * max(films, 1), LAST)


def _work(part: Part) -> float:
    """Return what encoding a part takes, in segments of video."""
    return (part.stop - part.start) * WEIGHTS[part.kind]


def _new_job(kind: str, payload: PlanJob | PartJob, dedupe_key: str, priority: int) -> NewJob:
    return NewJob(kind=kind, payload=json.loads(payload.model_dump_json()), dedupe_key=dedupe_key, priority=priority)
