"""A queue through which traces go on: its jobs carry where in a trace they were put in, and say how they ended."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from opentelemetry.trace import SpanKind

from mamkit.jobs import FinishedState, Job, JobState, Lease, NewJob, Queue, QueueDepth
from mamkit_apps.tracing.entries import current_entry

__all__ = ["TracedQueue"]


class TracedQueue:
    """A queue whose jobs are part of the trace in which they are put in.

    A job that waits or runs already stays part of the trace in which it was put in first.

    Args:
        queue: Does the work.
        step: Tells of a step while a block runs: `Tracing.step`.
        traceparent: Returns where this is in a trace: `Tracing.traceparent`.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        step: Callable[..., AbstractContextManager[object]],
        traceparent: Callable[[], str | None],
    ) -> None:
        self._queue = queue
        self._step = step
        self._traceparent = traceparent

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """See `Queue.enqueue`."""
        kinds = sorted({str(job.kind) for job in jobs})
        attributes: dict[str, str | int] = {
            "messaging.operation.type": "send",
            "messaging.batch.message_count": len(jobs),
        }
        with self._step(f"send {' '.join(kinds)}".strip(), SpanKind.PRODUCER, attributes=attributes):
            trace = self._traceparent()
            return self._queue.enqueue(*(job if job.traceparent else replace(job, traceparent=trace) for job in jobs))

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
        _ended("done")

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        state = self._queue.retry(lease, reason=reason, delay=delay)
        _ended("dead" if state == "dead" else "retried", reason)
        return state

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        self._queue.release(lease, delay=delay, reason=reason)
        _ended("released", reason)

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        self._queue.bury(lease, reason=reason)
        _ended("dead", reason)

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


def _ended(outcome: str, reason: str | None = None) -> None:
    """Note on the span of the present job how that ended."""
    entry = current_entry()
    if entry is not None:
        entry.end_with(outcome, None if reason is None else reason.partition(":")[0])
