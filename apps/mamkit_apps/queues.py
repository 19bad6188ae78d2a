"""A queue around a queue, for those that look at some calls and hand on the others."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mamkit.jobs import FinishedState, Job, JobState, Lease, NewJob, Queue, QueueDepth

__all__ = ["QueueWrapper"]


class QueueWrapper:
    """Hands on every call.

    Args:
        queue: Does the work.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """See `Queue.enqueue`."""
        return self._queue.enqueue(*jobs)

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """See `Queue.claim`."""
        return self._queue.claim(worker, kinds=kinds, lease=lease, before=before)

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """See `Queue.renew`."""
        return self._queue.renew(lease, by=by)

    def holds(self, job_id: UUID, fence: int) -> bool:
        """See `Queue.holds`."""
        return self._queue.holds(job_id, fence)

    def complete(self, lease: Lease) -> None:
        """See `Queue.complete`."""
        self._queue.complete(lease)

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        return self._queue.retry(lease, reason=reason, delay=delay)

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        self._queue.release(lease, delay=delay, reason=reason)

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        self._queue.bury(lease, reason=reason)

    def cancel(self, job_id: UUID) -> None:
        """See `Queue.cancel`."""
        self._queue.cancel(job_id)

    def requeue(self, job_id: UUID) -> None:
        """See `Queue.requeue`."""
        self._queue.requeue(job_id)

    def drop(self, job_id: UUID) -> None:
        """See `Queue.drop`."""
        self._queue.drop(job_id)

    def get(self, job_id: UUID) -> Job:
        """See `Queue.get`."""
        return self._queue.get(job_id)

    def list(self, *, state: JobState | None = None, limit: int = 100, before: UUID | None = None) -> list[Job]:
        """See `Queue.list`."""
        return self._queue.list(state=state, limit=limit, before=before)

    def depth(self) -> QueueDepth:
        """See `Queue.depth`."""
        return self._queue.depth()

    def purge(self, *, finished_before: datetime, states: Collection[FinishedState] = ("done", "cancelled")) -> int:
        """See `Queue.purge`."""
        return self._queue.purge(finished_before=finished_before, states=states)
