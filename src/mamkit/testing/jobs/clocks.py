"""The part of the queue's contract about clocks: one that is set back delays nothing by as much as it was set back."""

from datetime import timedelta

from mamkit.jobs import Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job, refuses

__all__ = ["ClockContract"]

BACK = timedelta(hours=-9)


class ClockContract(QueueFixtures):
    """What becomes of jobs when the queue's clock goes back, by an hour or by a year.

    A claim that comes then notices. From there on a dead worker's job waits for one term of its lease, and a delayed
    one for as long as it still had to wait when the clock was read last, or at most for its delay. A backend whose time
    cannot be moved does not inherit this part.
    """

    def test_what_waits_without_a_delay_waits_for_no_clock(self, queue: Queue, clock: ManualClock) -> None:
        ids = queue.enqueue(new_job(priority=1), new_job(), new_job(priority=2))
        queue.release(claimed(queue))
        clock.advance(BACK)
        assert [claimed(queue).job.id for _ in ids] == [ids[1], ids[0], ids[2]]

    def test_a_job_that_keeps_its_place_can_be_claimed_at_once(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        lease = claimed(queue)
        clock.advance(BACK)
        queue.release(lease)
        lease = claimed(queue)
        assert lease.job.id == job_id
        assert queue.retry(lease, reason="again", delay=timedelta(0)) == "waiting"
        assert claimed(queue).job.id == job_id

    def test_a_dead_workers_job_waits_for_one_term_of_its_lease(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        dead = claimed(queue, "dead")
        clock.advance(BACK)
        assert queue.claim("other", lease=LEASE) is None
        clock.advance(LEASE + SECOND)
        lease = claimed(queue, "other")
        assert (lease.job.id, lease.fence) == (dead.job.id, 2)
        refuses(queue, dead)

    def test_a_worker_that_lives_keeps_its_lease(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        clock.advance(BACK)
        for _ in range(5):
            assert queue.claim("other", lease=LEASE) is None
            clock.advance(LEASE / 2)
            lease = queue.renew(lease, by=LEASE)
            assert abs(lease.expires_at - (clock() + LEASE)) < SECOND
        queue.complete(lease)

    def test_a_lease_that_is_renewed_first_is_as_long_as_it_says(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        clock.advance(BACK)
        queue.renew(lease, by=LEASE)
        clock.advance(LEASE - SECOND)
        assert queue.claim("other", lease=LEASE) is None
        clock.advance(2 * SECOND)
        assert claimed(queue, "other").fence == 2

    def test_a_delayed_job_waits_for_its_delay_at_most(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job(delay=LEASE))
        queue.enqueue(new_job(priority=5))
        failed = claimed(queue)
        queue.retry(failed, reason="again", delay=2 * LEASE)
        clock.advance(BACK)
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(LEASE + SECOND)
        assert claimed(queue).job.id == job_id
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(LEASE + SECOND)
        assert queue.get(claimed(queue).job.id).state == "running"

    def test_a_clock_that_goes_back_again_and_again_delays_no_more(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        claimed(queue)
        for _ in range(3):
            clock.advance(BACK)
            assert queue.claim("other", lease=LEASE) is None
            clock.advance(LEASE / 4)
            assert queue.claim("other", lease=LEASE) is None
        clock.advance(LEASE + SECOND)
        assert claimed(queue, "other").fence == 2

    def test_a_clock_that_was_ahead_for_a_while_leaves_no_job_behind(self, queue: Queue, clock: ManualClock) -> None:
        """By a year; what was leased, put in and handed back then is where it was."""
        before = queue.enqueue(new_job(), new_job(delay=LEASE))
        clock.advance(timedelta(days=365))
        during = queue.enqueue(new_job(), new_job(delay=LEASE))
        held = claimed(queue)
        clock.advance(timedelta(days=-365))
        found = set()
        for _ in range(3):
            while (lease := queue.claim("worker", lease=LEASE)) is not None:
                found.add(lease.job.id)
                queue.complete(lease)
            clock.advance(LEASE + SECOND)
        assert found == {*before, *during}
        assert queue.get(held.job.id).state == "done"
