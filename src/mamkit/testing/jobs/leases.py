"""The part of the queue's contract about leases, and the fences that tell an old one from the newest."""

from datetime import timedelta

from mamkit.ids import uuid7
from mamkit.jobs import Lease, Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job, refuses

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
