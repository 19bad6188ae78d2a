"""The contract of a durable queue with leases.

Obligations that hold for every backend:

* A job is handed out at least once, and to one holder at a time: a job whose lease has run out may be claimed again.
* Time is the backend's own (the database's or Redis's) or one injected clock, never a worker's.
* Once `claim` has handed out fence `n` of a job, `renew`, `complete`, `retry` and `bury` refuse every smaller fence.
* Methods are synchronous and may be called from several threads and processes at once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from mamkit.jobs.models import FinishedState, Job, JobState, Lease, NewJob, QueueDepth

__all__ = ["CanWait", "Queue"]


@runtime_checkable
class Queue(Protocol):
    """A durable queue of jobs."""

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """Add jobs, all or none, and return their ids in order.

        A job whose dedupe key is taken by a waiting or running job is not added; that job's id stands in its place.

        Raises:
            InvalidJobError: A job has a field out of bounds, or a payload that is not JSON.
        """

    def claim(self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta) -> Lease | None:
        """Take the most urgent runnable job (priority, then `run_at`), or return None at once when there is none.

        A job that was leased `max_attempts` times already and whose lease ran out is moved to `dead` instead.

        Raises:
            InvalidJobError: `lease` is not positive, or `worker` is empty.
        """

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """Return the lease with a new end, `by` from now.

        Raises:
            LeaseLostError: The job was claimed by another worker, cancelled, or finished.
        """

    def holds(self, job_id: UUID, fence: int) -> bool:
        """Return whether this is the newest fence of a running job (its lease may be overdue, but not taken)."""

    def complete(self, lease: Lease) -> None:
        """Mark the job as done.

        Raises:
            LeaseLostError: As for `renew`.
        """

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """Hand the job back to be tried again after `delay`; with no attempts left it goes to `dead`. Return its state.

        Raises:
            LeaseLostError: As for `renew`.
        """

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """Hand the job back unharmed, as if it had not been claimed: the attempt does not count.

        For what is not the job's own fault: a worker that stops, a store that does not answer.

        Args:
            lease: Of the job.
            delay: How long nobody is to try it; with none it keeps its place.
            reason: Kept for whoever looks at the job; None leaves what stands there.

        Raises:
            InvalidJobError: The delay is negative.
            LeaseLostError: As for `renew`.
        """

    def bury(self, lease: Lease, *, reason: str) -> None:
        """Move the job to `dead`: trying again would be no use.

        Raises:
            LeaseLostError: As for `renew`.
        """

    def cancel(self, job_id: UUID) -> None:
        """Take a waiting or running job out; a worker that runs it learns so when it next renews.

        A job that is finished already stays as it is.

        Raises:
            JobNotFoundError: There is no such job.
        """

    def requeue(self, job_id: UUID) -> None:
        """Let a dead or cancelled job wait again, with its attempts counted anew.

        Raises:
            JobNotFoundError: There is no such job, or it is neither dead nor cancelled.
            DedupeKeyTakenError: Another job with its dedupe key waits or runs.
        """

    def drop(self, job_id: UUID) -> None:
        """Forget a job that is done, dead or cancelled.

        Raises:
            JobNotFoundError: There is no such job, or it waits or runs.
        """

    def get(self, job_id: UUID) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: There is no such job.
        """

    def list(self, *, state: JobState | None = None, limit: int = 100, before: UUID | None = None) -> list[Job]:
        """Return jobs, newest first.

        Args:
            state: Only those that are so.
            limit: At most so many, 1 to 1000.
            before: Only those that came before this job, whatever its state: the last one of the page before.

        Raises:
            InvalidJobError: The limit is out of bounds.
            JobNotFoundError: There is no such job any more, before which others could have come.
        """

    def depth(self) -> QueueDepth:
        """Return how many jobs there are in each state, and how long the oldest runnable one has waited."""

    def purge(self, *, finished_before: datetime, states: Collection[FinishedState] = ("done", "cancelled")) -> int:
        """Forget the jobs that came into one of these states before a moment, and return how many they were."""


@runtime_checkable
class CanWait(Protocol):
    """A queue that tells of a job when it comes, so that nobody has to ask again and again."""

    def wait(self, timeout: timedelta, *, kinds: Sequence[str] | None = None) -> bool:
        """Wait until a job can perhaps be claimed, and return whether that is so before the time is over.

        Args:
            timeout: For how long at most.
            kinds: What the caller claims; None for all.

        Raises:
            InvalidJobError: The time is negative, or `kinds` is a lone string.
        """
