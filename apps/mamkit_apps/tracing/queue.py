"""A queue through which traces go on: its jobs carry where in a trace they were put in, and say how they ended."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from opentelemetry.trace import SpanKind

from mamkit.jobs import JobState, Lease, NewJob, Queue
from mamkit_apps.queues import QueueWrapper
from mamkit_apps.tracing.entries import current_entry

__all__ = ["TracedQueue"]


class TracedQueue(QueueWrapper):
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
        super().__init__(queue)
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


def _ended(outcome: str, reason: str | None = None) -> None:
    """Note on the span of the present job how that ended."""
    entry = current_entry()
    if entry is not None:
        entry.end_with(outcome, None if reason is None else reason.partition(":")[0])
