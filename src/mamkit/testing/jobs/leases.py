"""The part of the queue's contract about leases, and the fences that tell an old one from the newest."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

from mamkit.ids import uuid7
from mamkit.jobs import Lease, LeaseLostError, Queue
from mamkit.testing.jobs._basis import (
    LEASE,
    SECOND,
    ManualClock,
    QueueFixtures,
    claimed,
    new_job,
    refuses,
    refuses_changes,
)

__all__ = ["LeaseContract"]


class LeaseContract(QueueFixtures):
    """Leases, and the fences that tell an old one from the newest."""

    def test_a_renewed_lease_lasts_from_now_on(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        clock.advance(20 * SECOND)
        renewed = queue.renew(lease, by=LEASE)
        assert renewed.fence == lease.fence
        assert abs(renewed.expires_at - (clock() + LEASE)) < SECOND
        clock.advance(20 * SECOND)
        assert queue.claim("other", lease=LEASE) is None

    def test_a_running_job_says_who_has_it_and_until_when(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        lease = claimed(queue, "first")
        clock.advance(20 * SECOND)
        renewed = queue.renew(lease, by=LEASE)
        for shown in (queue.get(job_id), *queue.list(state="running")):
            assert (shown.worker, shown.lease_until) == ("first", renewed.expires_at)
        clock.advance(2 * LEASE)
        assert queue.get(job_id).lease_until == renewed.expires_at, "it is seen that the worker is silent"
        again = claimed(queue, "second")
        assert (again.job.worker, again.job.lease_until) == ("second", again.expires_at)
        queue.release(again)
        for state in ("waiting", "done"):
            shown = queue.get(job_id)
            assert (shown.state, shown.worker, shown.lease_until) == (state, None, None)
            if state == "waiting":
                queue.complete(claimed(queue))

    def test_an_overdue_lease_is_good_until_somebody_takes_the_job(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        lease = claimed(queue)
        clock.advance(2 * LEASE)
        assert queue.holds(job_id, lease.fence)
        queue.renew(lease, by=LEASE)
        assert queue.claim("other", lease=LEASE) is None
        clock.advance(2 * LEASE)
        queue.complete(lease)
        assert queue.get(job_id).state == "done"

    def test_an_overdue_job_goes_to_the_next_worker(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        old = claimed(queue, "first")
        clock.advance(LEASE)
        new = claimed(queue, "second")
        assert (new.job.id, new.worker, new.job.attempts) == (job_id, "second", 2)
        assert new.fence > old.fence
        assert queue.holds(job_id, new.fence)
        assert not queue.holds(job_id, old.fence)

    def test_whoever_lost_the_lease_can_change_nothing(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        old = claimed(queue)
        clock.advance(LEASE)
        new = claimed(queue, "second")
        refuses(queue, old)
        queue.complete(new)
        assert queue.get(new.job.id).state == "done"

    def test_a_finished_or_cancelled_job_has_no_holder(self, queue: Queue) -> None:
        queue.enqueue(*(new_job() for _ in range(5)))
        done, dead, cancelled, released, retried = (claimed(queue) for _ in range(5))
        queue.complete(done)
        queue.bury(dead, reason="bad")
        queue.cancel(cancelled.job.id)
        queue.release(released)
        queue.retry(retried, reason="again", delay=LEASE)
        for lease in (done, dead, cancelled, released, retried):
            refuses(queue, lease)

    def test_fences_grow_through_every_way_back_into_the_queue(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        fences = []

        def claim() -> Lease:
            lease = claimed(queue)
            fences.append(lease.fence)
            return lease

        queue.release(claim())
        queue.retry(claim(), reason="again", delay=timedelta(0))
        queue.bury(claim(), reason="bad")
        queue.requeue(job_id)
        claim()
        queue.cancel(job_id)
        queue.requeue(job_id)
        claim()
        clock.advance(LEASE)
        claim()
        assert fences == sorted(set(fences))

    def test_nobody_holds_what_is_not_there(self, queue: Queue) -> None:
        [job_id] = queue.enqueue(new_job())
        assert not any(queue.holds(job_id, fence) for fence in (-1, 0, 1, 2**63, 10**40))
        assert not queue.holds(uuid7(), 1)

    def test_a_fence_that_was_given_again_is_good_for_its_new_holder_alone(self, queue: Queue) -> None:
        """As after a failover to a replica that did not have the first lease yet."""
        queue.enqueue(new_job())
        lease = claimed(queue, "second")
        refuses_changes(queue, replace(lease, worker="first"))
        queue.complete(queue.renew(lease, by=LEASE))

    def test_of_two_that_complete_at_once_one_is_told_that_it_did(self, queue: Queue) -> None:
        """And of those that complete, hand back and give up at once, too: a job has one end."""
        for round_number in range(6):
            [job_id] = queue.enqueue(new_job())
            lease = claimed(queue)
            start = Barrier(4)
            ends: list[Callable[[], object]] = [
                lambda: queue.complete(lease),  # noqa: B023 - called within the round
                lambda: queue.complete(lease),  # noqa: B023
                lambda: queue.bury(lease, reason="bad"),  # noqa: B023
                lambda: queue.cancel(job_id),  # noqa: B023
            ]

            def end(act: Callable[[], object]) -> bool:
                start.wait()  # noqa: B023
                try:
                    act()
                except LeaseLostError:
                    return False
                return True

            with ThreadPoolExecutor(4) as threads:
                *leased, cancelled = threads.map(end, ends)
            assert cancelled  # which changes nothing where the job has ended
            state = queue.get(job_id).state
            assert sum(leased) == (0 if state == "cancelled" else 1)
            assert state in {"done", "dead", "cancelled"}, round_number
