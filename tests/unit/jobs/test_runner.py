import random
from datetime import timedelta
from threading import Event, current_thread
from threading import enumerate as all_threads
from typing import Any

import pytest

from mamkit.jobs import Heartbeat, InvalidJobError, Lease, LeaseLostError, MemoryQueue, QueueUnavailableError, backoff
from mamkit.testing.jobs import claimed, new_job

SHORT = timedelta(seconds=0.15)
LONG = timedelta(minutes=10)
SECOND = timedelta(seconds=1)


class TroubledQueue(MemoryQueue):
    """A queue whose next renewals fail with the errors of `troubles`."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: list[Exception] = []
        self.always: Exception | None = None
        self.asked = 0
        self.renewed = Event()

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        self.asked += 1
        if self.always is not None:
            raise self.always
        if self.troubles:
            raise self.troubles.pop()
        renewed = super().renew(lease, by=by)
        self.renewed.set()
        return renewed


@pytest.fixture
def queue() -> TroubledQueue:
    queue = TroubledQueue()
    queue.enqueue(new_job())
    return queue


def test_the_first_renewal_comes_at_once(queue: TroubledQueue) -> None:
    """However much of the lease was spent between the claim and the start of the work."""
    lease = claimed(queue)
    with Heartbeat(queue, lease, duration=LONG) as heartbeat:
        assert queue.renewed.wait(10)
    assert heartbeat.lease.expires_at > lease.expires_at
    assert not heartbeat.lost.is_set()
    queue.complete(heartbeat.lease)


def test_a_lease_outlives_its_duration_while_the_heart_beats(queue: TroubledQueue) -> None:
    lease = queue.claim("worker", lease=SHORT)
    assert lease is not None
    with Heartbeat(queue, lease, duration=SHORT) as heartbeat:
        for _ in range(6):
            queue.renewed.clear()
            assert queue.renewed.wait(10)
            assert not heartbeat.lost.is_set()
    queue.complete(lease)


def test_leaving_the_block_ends_the_thread_at_once(queue: TroubledQueue) -> None:
    """Even while it waits for a renewal that is minutes away, and also when the work failed."""

    def work() -> None:
        with Heartbeat(queue, claimed(queue), duration=LONG):
            assert queue.renewed.wait(10)
            raise ChildProcessError

    with pytest.raises(ChildProcessError):
        work()
    assert not [thread.name for thread in all_threads() if thread.name.startswith("heartbeat")]


def test_a_queue_that_is_unavailable_for_a_moment_is_asked_again(queue: TroubledQueue) -> None:
    queue.troubles = [QueueUnavailableError("gone"), QueueUnavailableError("gone")]
    with Heartbeat(queue, claimed(queue), duration=3 * SHORT) as heartbeat:
        assert queue.renewed.wait(10)
        assert not heartbeat.lost.is_set()
    assert queue.asked >= 3


def test_each_renewal_gives_the_queue_a_whole_duration_to_come_back(queue: TroubledQueue) -> None:
    """A moment of trouble long after the first duration is as harmless as one at the start."""
    with Heartbeat(queue, claimed(queue), duration=3 * SHORT) as heartbeat:
        for _ in range(4):
            queue.renewed.clear()
            assert queue.renewed.wait(10)
        queue.troubles = [QueueUnavailableError("gone")]
        queue.renewed.clear()
        assert queue.renewed.wait(10)
        assert not heartbeat.lost.is_set()


def test_a_queue_that_stays_unavailable_costs_the_lease(queue: TroubledQueue) -> None:
    queue.always = QueueUnavailableError("gone")
    with Heartbeat(queue, claimed(queue), duration=SHORT) as heartbeat:
        assert heartbeat.lost.wait(10)
    assert queue.asked > 1


@pytest.mark.parametrize("how", ["cancelled", "taken"])
def test_the_worker_is_told_once_that_its_lease_is_lost(queue: TroubledQueue, how: str) -> None:
    lease = claimed(queue)
    told: list[Any] = []
    called = Event()

    def on_lost(error: Exception) -> None:
        told.append((error, current_thread().name, heartbeat.lost.is_set()))
        called.set()

    if how == "cancelled":
        queue.cancel(lease.job.id)
    else:
        queue.release(lease)
        claimed(queue, "another")
    heartbeat = Heartbeat(queue, lease, duration=SHORT, on_lost=on_lost)
    with heartbeat:
        assert called.wait(10)
    [(error, thread, was_set)] = told
    assert isinstance(error, LeaseLostError)
    assert thread.startswith("heartbeat")
    assert was_set


def test_a_defect_of_the_queue_does_not_end_the_heartbeat_in_silence(queue: TroubledQueue) -> None:
    queue.always = RuntimeError("defect")
    with Heartbeat(queue, claimed(queue), duration=LONG) as heartbeat:
        assert heartbeat.lost.wait(10)


@pytest.mark.parametrize("duration", [30, timedelta(0)])
def test_what_is_no_duration_is_refused_before_the_thread_begins(queue: TroubledQueue, duration: Any) -> None:
    with pytest.raises(InvalidJobError, match="timedelta"):
        Heartbeat(queue, claimed(queue), duration=duration)


def test_a_wait_is_spread_from_nothing_to_twice_the_last_bound() -> None:
    rng = random.Random(1)
    for attempt, bound in enumerate([1, 2, 4, 8, 10, 10], start=1):
        waits = [backoff(attempt, base=SECOND, cap=10 * SECOND, rng=rng) / SECOND for _ in range(500)]
        assert 0 <= min(waits) < 0.1 * bound
        assert 0.9 * bound < max(waits) <= bound


@pytest.mark.parametrize("attempt", [-5, 0, 1, 10**9])
def test_a_wait_is_bounded_for_any_attempt(attempt: int) -> None:
    assert timedelta(0) <= backoff(attempt, cap=SECOND) <= SECOND


def test_a_seeded_wait_is_repeatable() -> None:
    assert backoff(3, rng=random.Random(7)) == backoff(3, rng=random.Random(7))
