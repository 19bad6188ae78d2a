"""The contract of a durable queue with leases.

Obligations that hold for every backend:

* A job is handed out at least once, and to one holder at a time: a job whose lease has run out may be claimed again.
* Time is the backend's own (the database's or Redis's) or one injected clock, never a worker's.
* Once `claim` has handed out fence `n` of a job, `renew`, `complete`, `retry` and `bury` refuse every smaller fence,
  and every other worker.
* Methods are synchronous and may be called from several threads and processes at once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self, runtime_checkable
from uuid import UUID

from mamkit.jobs.models import FinishedState, Job, JobEvent, JobState, Lease, NewJob, QueueDepth

__all__ = ["CanBatch", "CanTell", "CanWait", "Queue", "Watch"]


@runtime_checkable
class Queue(Protocol):
    """A durable queue of jobs."""

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """Add jobs, all or none, and return their ids in order.

        A job whose dedupe key is taken by a waiting or running job is not added; that job's id stands in its place.

        Raises:
            InvalidJobError: A job has a field out of bounds, or a payload that is not JSON.
        """

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """Take the most urgent runnable job (priority, then `run_at`), or return None at once when there is none.

        A job that was leased `max_attempts` times already and whose lease ran out is moved to `dead` instead.

        Args:
            worker: Who holds the job then.
            kinds: What kinds of jobs are taken; None for all.
            lease: For how long, unless it is renewed.
            before: Only jobs whose priority is a smaller number than this, thus more urgent ones; None for all.

        Raises:
            InvalidJobError: `lease` is not positive, `worker` is empty, or `before` is no number.
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


class Watch(Protocol):
    """What one subscriber has not been told yet; for one thread at a time, and to be closed.

    An event says how a job stands and not what has happened to it: a subscriber that falls behind is told the newest
    only, no job is ever told to stand as it stood before, and an end that the queue still knows is never left out.
    """

    def wait(self, timeout: timedelta) -> list[JobEvent]:
        """Return what is new, in the order in which it came about, as soon as anything is; nothing when time is over.

        Args:
            timeout: For how long at most; 0 only looks.

        Raises:
            InvalidJobError: The time is negative.
            QueueUnavailableError: The queue does not answer. The next call goes on where this one was, and tells what
                has come about meanwhile.
        """

    def close(self) -> None:
        """Give back what the watch holds; safe to repeat."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the watch."""


@runtime_checkable
class CanBatch(Protocol):
    """A queue that hands out and takes back many short jobs in one go, for little more than the price of one."""

    def claim_many(
        self,
        worker: str,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        lease: timedelta,
        before: int | None = None,
    ) -> list[Lease]:
        """Take the most urgent runnable jobs at once, most urgent first; none when there are none.

        Each is a job of its own: it is renewed, ended and lost alone. Of jobs that are done one after the other, the
        lease of the last runs all the while; give time for all of them, or renew.

        Args:
            worker: As for `Queue.claim`.
            limit: How many at most, from 1 to 1000.
            kinds: As for `Queue.claim`.
            lease: As for `Queue.claim`.
            before: As for `Queue.claim`.

        Raises:
            InvalidJobError: As for `Queue.claim`, or the limit is out of bounds.
        """

    def complete_many(self, leases: Sequence[Lease]) -> list[Lease]:
        """Mark jobs as done, and return those leases that were lost; their jobs stay as they are."""


@runtime_checkable
class CanTell(Protocol):
    """A queue that tells subscribers in any process how its jobs get on, and how they end."""

    def tell(self, lease: Lease, progress: float) -> bool:
        """Tell how far a job is, and return whether that was taken.

        It is not if it says less than was told before under this lease, or comes less than half a second later: at most
        two events a second come of a job that runs. Its end is always told.

        Args:
            lease: Of the job.
            progress: From 0 to 1.

        Raises:
            InvalidJobError: The progress is no such number.
            LeaseLostError: As for `Queue.renew`.
        """

    def watch(self, *, jobs: Collection[UUID] | None = None, since: datetime | None = None) -> Watch:
        """Return a new subscription.

        Args:
            jobs: Which jobs to tell about, at most a thousand. How those stand that run or have ended is told first.
                None is for all jobs; of those, what ended before this call is not told.
            since: With all jobs: tell the ends from this moment on too, e.g. from `JobEvent.at` of the last event that
                a subscriber has dealt with before it was started anew. That one and its neighbours come once more.

        Raises:
            InvalidJobError: There are too many jobs, or `since` stands beside `jobs` or has no time zone.
            QueueUnavailableError: The queue does not answer.
        """
