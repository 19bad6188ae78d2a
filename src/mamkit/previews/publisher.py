"""The API's side: the only writer of playlists, and of the state of a preview.

Every change of a preview happens in one transaction that holds the preview's row (`SELECT … FOR UPDATE`; on SQLite the
one write lock), playlists included: two reports at once can neither lose each other's part nor publish an older
playlist over a newer one. A playlist is a pure function of the parts in the catalog, so publishing again is harmless.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, Preview
from mamkit.jobs import Job, JobNotFoundError, NewJob, Queue
from mamkit.previews.errors import StaleReportError
from mamkit.previews.layout import JSON_TYPE, PLAYLIST_TYPE, plan_key
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
)
from mamkit.storage import Zones
from mamkit.transcode import (
    INDEX_NAME,
    Init,
    PartResult,
    Plan,
    Segment,
    Track,
    iframe_playlist,
    iframe_playlist_name,
    media_playlist,
    media_playlist_name,
    multivariant_playlist,
)

__all__ = ["PreviewState", "Publisher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewState:
    """How far a preview is."""

    preview: Preview
    progress: float
    """0 to 1, by the segments that are encoded."""


FIRST = 0  # priority of what a person waits for: the plan, and the parts that make a preview playable
LATER = 10


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

    async def start(self, version_id: UUID) -> None:
        """Put the first job of a preview into the queue; its row must be in the catalog. Safe to repeat.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview = await db.preview_of(session, version_id)
            version = await db.version_by_id(session, version_id)
        if preview.status == "failed" or preview.plan is not None:
            return
        job = PlanJob(version_id=version_id, master_key=version.master_key)
        # Outside any transaction of the catalog: on SQLite the queue needs the same one write lock.
        [job_id] = await self._enqueue([_new_job(PLAN_JOB, job, f"plan:{version_id}", FIRST)])
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
            await db.set_status(session, preview, "queued" if preview.plan is None else "building")
        # What the last try has finished is kept; only what is missing is done again.
        await (self.start(version_id) if preview.plan is None else self._enqueue_parts(version_id))

    async def state(self, version_id: UUID) -> PreviewState:
        """Return how far a preview is.

        Raises:
            PreviewNotFoundError: There is no such preview.
        """
        async with self._catalog.read() as session:
            preview = await db.preview_of(session, version_id)
            parts = await db.parts_of(session, version_id)
        if preview.status == "ready":
            return PreviewState(preview=preview, progress=1.0)
        if preview.plan is None:
            return PreviewState(preview=preview, progress=0.0)
        plan = Plan.model_validate(preview.plan)
        # A segment of video costs far more than one of audio, and there are as many of each.
        weights = {part.index: (part.stop - part.start) * (1 if part.kind == "video" else 0.05) for part in plan.parts}
        done = sum(weights[part.index] * part.progress for part in parts)
        return PreviewState(preview=preview, progress=done / sum(weights.values()))

    async def take(self, report: Report) -> Ack:
        """Record a report and publish what follows from it. Taking the same report again changes nothing.

        Raises:
            StaleReportError: The report's lease is not the newest of its job.
            PreviewNotFoundError: There is no such preview.
        """
        if not await asyncio.to_thread(self._queue.holds, report.job_id, report.fence):
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

    async def _planned(self, report: Planned) -> Ack:
        plan = report.plan
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            version = await db.version_by_id(session, report.version_id)
            if preview.status == "failed":
                return Ack(wanted=False)
            if preview.plan is None:
                # The plan's object comes before the row that says that it is there.
                await self._put(plan_key(version.preview_prefix), plan.model_dump_json(), JSON_TYPE)
                await db.set_facts(session, version, report.facts)
                await db.start_building(
                    session,
                    preview,
                    plan=json.loads(plan.model_dump_json()),
                    parts=[(part.index, part.kind) for part in plan.parts],
                )
        await self._enqueue_parts(report.version_id)
        return Ack(wanted=True)

    async def _enqueue_parts(self, version_id: UUID) -> None:
        """Put the unfinished parts of a preview into the queue; those that wait or run there stay as they are."""
        async with self._catalog.read() as session:
            version = await db.version_by_id(session, version_id)
            preview = await db.preview_of(session, version_id)
            open_parts = {p.index for p in await db.parts_of(session, version_id) if p.status != "done"}
        plan = Plan.model_validate(preview.plan)
        parts = [part for part in plan.parts if part.index in open_parts]
        jobs = [
            _new_job(
                PART_JOB,
                PartJob(version_id=version_id, master_key=version.master_key, prefix=version.preview_prefix, part=part),
                f"part:{version_id}:{part.index}",
                FIRST if part.start == 0 else LATER,
            )
            for part in parts
        ]
        ids = await self._enqueue(jobs)
        async with self._catalog.begin() as session:
            for part, job_id in zip(parts, ids, strict=True):
                await db.record_part(session, version_id, part.index, job_id=job_id)

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

    async def _finished(self, report: Finished) -> Ack:
        async with self._catalog.begin() as session:
            preview = await db.preview_of(session, report.version_id, for_update=True)
            if preview.status in {"failed", "ready"}:
                return Ack(wanted=False)
            await db.record_part(
                session,
                report.version_id,
                report.result.part,
                status="done",
                progress=1.0,
                result=json.loads(report.result.model_dump_json()),
            )
            version = await db.version_by_id(session, report.version_id)
            parts = await db.parts_of(session, report.version_id)
            plan = Plan.model_validate(preview.plan)
            results = [PartResult.model_validate(part.result) for part in parts if part.status == "done"]
            finished = len(results) == len(plan.parts)
            if await self._publish(version.preview_prefix, plan, results, finished=finished):
                await db.set_status(session, preview, "ready" if finished else "playable")
        return Ack(wanted=True)

    async def _publish(self, prefix: str, plan: Plan, results: Iterable[PartResult], *, finished: bool) -> bool:
        """Write the playlists that the results allow; return whether there is something to play."""
        tracks = _tracks_of(results)
        pictures = [rendition.name for rendition in plan.video]
        if not tracks.keys() >= {*pictures, *(rendition.name for rendition in plan.audio)}:
            return False
        for track in tracks.values():
            name = track.init.rendition
            text = media_playlist(track, plan=plan, finished=finished)
            await self._put(prefix + media_playlist_name(name), text, PLAYLIST_TYPE)
            if name in pictures:
                text = iframe_playlist(track, plan=plan, finished=finished)
                await self._put(prefix + iframe_playlist_name(name), text, PLAYLIST_TYPE)
        # Last, so that whoever finds it finds all that it names.
        text = multivariant_playlist(plan, tracks.values(), finished=finished)
        await self._put(prefix + INDEX_NAME, text, PLAYLIST_TYPE)
        return True

    async def _put(self, key: str, text: str, content_type: str) -> None:
        await asyncio.to_thread(self._zones.previews.put, key, text.encode(), content_type=content_type)

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
            await self._reconcile(preview)
        return len(unfinished)

    async def _reconcile(self, preview: Preview) -> None:
        async with self._catalog.read() as session:
            parts = await db.parts_of(session, preview.version_id)
        for job_id in (preview.job_id, *(part.job_id for part in parts if part.status != "done")):
            job = None if job_id is None else await self._job(job_id)
            if job is not None and job.state == "dead":
                await self._failed(
                    preview.version_id, "previews.gave_up", f"given up after {job.attempts} tries: {job.reason}"
                )
                return
        if preview.plan is None:
            await self.start(preview.version_id)
        else:
            await self._enqueue_parts(preview.version_id)

    async def _job(self, job_id: UUID) -> Job | None:
        try:
            return await asyncio.to_thread(self._queue.get, job_id)
        except JobNotFoundError:
            return None


def _tracks_of(results: Iterable[PartResult]) -> dict[str, Track]:
    """Return what can be played of each rendition; those of which the first segment is missing are left out."""
    inits: dict[str, Init] = {}
    segments: dict[str, list[Segment]] = defaultdict(list)
    for result in results:
        inits |= {init.rendition: init for init in result.inits}
        for segment in result.segments:
            segments[segment.rendition].append(segment)
    tracks = {name: Track.of(inits[name], found) for name, found in segments.items()}
    return {name: track for name, track in tracks.items() if track.segments}


def _new_job(kind: str, payload: PlanJob | PartJob, dedupe_key: str, priority: int) -> NewJob:
    return NewJob(kind=kind, payload=json.loads(payload.model_dump_json()), dedupe_key=dedupe_key, priority=priority)
