"""`/api/jobs`: what waits, runs and has failed in the queue, and what to do about it; for administrators."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from pydantic import Field

from mamkit import catalog as db
from mamkit.auth import Principal, Resource
from mamkit.jobs import Job, JobNotFoundError, JobState, Queue
from mamkit.previews import InvalidMessageError
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Caller, require
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]


class JobView(Body):
    """A job of the queue."""

    id: UUID
    kind: str
    """`preview.plan`, `preview.part`, or that with what it takes: `preview.part.shared`, `preview.part.card.…`."""
    state: JobState
    """`dead` is what will not be tried again until somebody says so."""
    priority: int
    """Smaller runs sooner."""
    dedupe_key: str | None
    attempts: int
    """How often it was begun."""
    max_attempts: int
    run_at: datetime
    """When it may run next."""
    created_at: datetime
    reason: str | None
    """Why the last attempt failed."""
    progress: Annotated[float, Field(ge=0, le=1)]
    """How far the newest attempt is; 1 once the job is done."""
    worker: str | None
    """Who runs it: host, process and slot; null unless it is running."""
    lease_until: datetime | None
    """Until when that worker has it, unless it renews; null unless it is running. In the past, the worker is silent."""
    payload: dict[str, Any]
    """What it is about: `version_id`, and of a part which one."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return a job as it is shown."""
        names = cls.model_fields.keys() - {"payload"}
        return cls(**{name: getattr(job, name) for name in names}, payload=dict(job.payload))


class JobPage(Body):
    """Some of the jobs, newest first."""

    items: tuple[JobView, ...]
    next: UUID | None
    """To be sent as `after` for the next page; null if there is none."""
    counts: dict[JobState, int]
    """How many jobs there are in each state, whatever was asked for."""
    oldest_waiting: datetime | None
    """When the job that has been runnable for longest could have started."""


@get("/jobs")
async def list_jobs(
    *,
    principal: Caller,
    parts: Wired,
    job_state: Annotated[JobState | None, QueryParameter(name="state")] = None,
    version_id: FromQuery[UUID | None] = None,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> JobPage:
    """List jobs, the newest first: all of them, those in one state (`dead` is the dead letters), or a preview's."""
    _allow(principal)
    ids = None
    if version_id is not None:
        async with parts.catalog.read() as session:
            ids = await db.jobs_of(session, version_id)
    found = await asyncio.to_thread(_page, parts.queue, ids, job_state, after, limit + 1)
    depth = await asyncio.to_thread(parts.queue.depth)
    items = tuple(JobView.of(job) for job in found[:limit])
    return JobPage(
        items=items,
        next=items[-1].id if len(found) > limit else None,
        counts=dict(depth.counts),
        oldest_waiting=depth.oldest_waiting,
    )


@get("/jobs/{job_id:uuid}")
async def show_job(job_id: FromPath[UUID], principal: Caller, parts: Wired) -> JobView:
    """Show one job, with the whole reason of its last failure."""
    _allow(principal)
    return JobView.of(await asyncio.to_thread(parts.queue.get, job_id))


@post("/jobs/{job_id:uuid}/retry", status_code=HTTPStatus.OK)
async def retry_job(job_id: FromPath[UUID], principal: Caller, parts: Wired) -> JobView:
    """Let a dead or cancelled job wait again, its attempts counted anew; a preview that failed with it goes on."""
    _allow(principal)
    await asyncio.to_thread(parts.queue.requeue, job_id)
    job = await asyncio.to_thread(parts.queue.get, job_id)
    with suppress(InvalidMessageError):  # a job of somebody else's in the same queue
        await parts.publisher.resume(job)
    await _record(parts, principal, "job.retried", job_id, job.payload)
    return JobView.of(job)


@post("/jobs/{job_id:uuid}/cancel", status_code=HTTPStatus.OK)
async def cancel_job(job_id: FromPath[UUID], principal: Caller, parts: Wired) -> JobView:
    """Take a waiting or running job out; the preview that it is for fails. One that has ended stays as it is."""
    _allow(principal)
    await asyncio.to_thread(parts.queue.cancel, job_id)
    job = await asyncio.to_thread(parts.queue.get, job_id)
    await _record(parts, principal, "job.cancelled", job_id, job.payload)
    return JobView.of(job)


@delete("/jobs/{job_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def drop_job(job_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Forget a job that is done, dead or cancelled."""
    _allow(principal)
    await asyncio.to_thread(parts.queue.drop, job_id)
    await _record(parts, principal, "job.dropped", job_id, {})


def _allow(principal: Principal) -> None:
    require(principal, "job.manage", Resource(kind="job"))


def _page(queue: Queue, ids: list[UUID] | None, state: JobState | None, after: UUID | None, limit: int) -> list[Job]:
    """Return jobs, of the given ones if there are any given.

    Raises:
        InvalidRequestError: The job that ended the page before was dropped since.
    """
    if ids is None:
        try:
            return queue.list(state=state, limit=limit, before=after)
        except JobNotFoundError as error:
            raise InvalidRequestError("after: that job was dropped since; begin with the first page") from error
    found: list[Job] = []
    for job_id in reversed(ids):  # UUIDs of version 7: the newest last
        if len(found) == limit:
            break
        if after is None or job_id < after:
            try:
                job = queue.get(job_id)
            except JobNotFoundError:
                continue  # it ended long ago
            found += [job] if state in {None, job.state} else []
    return found


async def _record(parts: Parts, principal: Principal, action: str, job_id: UUID, payload: Mapping[str, Any]) -> None:
    detail = {"version": str(payload["version_id"])} if "version_id" in payload else {}
    async with parts.catalog.begin() as session:
        await db.record(session, actor_id=principal.user_id, action=action, subject=f"job:{job_id}", detail=detail)


routes = [
    Router("/api", route_handlers=[list_jobs, show_job, retry_job, cancel_job, drop_job], tags=["administration"])
]
