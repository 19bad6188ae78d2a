"""What the parts of the queue's contract share: a clock that is moved by hand, jobs to put in, the two fixtures."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.jobs import Lease, LeaseLostError, NewJob, Queue

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = [
    "LEASE",
    "SECOND",
    "START",
    "ManualClock",
    "QueueFixtures",
    "claimed",
    "new_job",
    "refused",
    "refuses",
    "refuses_changes",
]

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=30)


class ManualClock:
    """A clock that stands still until it is moved; safe to share between threads."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._lock = Lock()

    def __call__(self) -> datetime:
        """Return the time at which it stands."""
        with self._lock:
            return self._now

    def advance(self, by: timedelta) -> None:
        """Move on, or back if `by` is negative."""
        with self._lock:
            self._now += by


def new_job(**changes: Any) -> NewJob:
    """Return a job with plausible fields, some of them changed."""
    return NewJob(**{"kind": "test", "payload": {}, **changes})


def claimed(queue: Queue, worker: str = "worker") -> Lease:
    """Return a lease of the most urgent job, of which there must be one."""
    lease = queue.claim(worker, lease=LEASE)
    assert lease is not None
    return lease


def refused(attempt: Callable[[], object], lease: Lease) -> None:
    """Check that something cannot be done because the lease is lost."""
    with pytest.raises(LeaseLostError) as caught:
        attempt()
    assert (caught.value.job_id, caught.value.fence) == (lease.job.id, lease.fence)


def refuses(queue: Queue, lease: Lease) -> None:
    """Check that the lease is lost for every purpose, and that nothing changes on trying."""
    refuses_changes(queue, lease)
    assert not queue.holds(lease.job.id, lease.fence)


def refuses_changes(queue: Queue, lease: Lease) -> None:
    """Check that nothing can be done with the lease, and that nothing changes on trying."""
    before = queue.get(lease.job.id)
    attempts: list[Callable[[], object]] = [
        lambda: queue.renew(lease, by=LEASE),
        lambda: queue.complete(lease),
        lambda: queue.retry(lease, reason="late", delay=timedelta(0)),
        lambda: queue.release(lease),
        lambda: queue.bury(lease, reason="late"),
    ]
    for attempt in attempts:
        refused(attempt, lease)
    assert queue.get(lease.job.id) == before


class QueueFixtures:
    """The fixtures of every part of the contract."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the queue."""
        return ManualClock()

    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        """Return an empty queue; to be overridden."""
        pytest.fail(f"override the fixture `queue`, with {clock!r}")
