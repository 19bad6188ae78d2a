"""Previews that are neither ready nor failed, and what their jobs say of them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, Preview
from mamkit.jobs import Job, JobNotFoundError, Queue

__all__ = ["end_of", "is_lacking", "jobs_of", "unfinished"]


async def unfinished(catalog: Catalog) -> AsyncIterator[Preview]:
    """Yield all previews that are neither ready nor failed, as they were when their page was read."""
    last: UUID | None = None
    while True:
        async with catalog.read() as session:
            page = await db.unfinished_previews(session, after=last)
        for preview in page:
            yield preview
        if not page:
            return
        last = page[-1].version_id


def jobs_of(queue: Queue, job_ids: Iterable[UUID | None]) -> list[Job | None]:
    """Return jobs, in order; None for those that are not there.

    Raises:
        QueueUnavailableError: The queue does not answer.
    """
    found: list[Job | None] = []
    for job_id in job_ids:
        try:
            found.append(None if job_id is None else queue.get(job_id))
        except JobNotFoundError:
            found.append(None)
    return found


def end_of(job: Job) -> tuple[str, str]:
    """Return the code of how a job ended that made nothing, and the same in words."""
    if job.state == "cancelled":
        return "previews.cancelled", "a job of the preview was cancelled"
    return "previews.gave_up", f"given up after {job.attempts} tries: {job.reason}"


def is_lacking(jobs: Sequence[Job | None]) -> bool:
    """Return whether nobody will do what one of these jobs was for."""
    return any(job is None or job.state == "done" for job in jobs)
