"""The part of the queue's contract about ends: how jobs end, fail, and come back."""

from datetime import timedelta

from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs import DedupeKeyTakenError, InvalidJobError, JobNotFoundError, Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job, refuses

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["EndContract"]


class EndContract(QueueFixtures):
    """How jobs end, fail, and come back."""

    def test_a_failed_job_waits_and_keeps_its_reason(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        assert queue.retry(claimed(queue), reason="no room", delay=5 * SECOND) == "waiting"
        assert (queue.get(job_id).attempts, queue.get(job_id).reason) == (1, "no room")
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(5 * SECOND)
        queue.complete(claimed(queue))
        assert queue.get(job_id).reason is None

    def test_a_job_that_failed_often_enough_is_dead(self, queue: Queue) -> None:
        [job_id] = queue.enqueue(new_job(max_attempts=2))
        assert queue.retry(claimed(queue), reason="one", delay=timedelta(0)) == "waiting"
        assert queue.retry(claimed(queue), reason="two", delay=timedelta(0)) == "dead"
        assert queue.claim("worker", lease=LEASE) is None
        assert (queue.get(job_id).state, queue.get(job_id).reason) == ("dead", "two")

    def test_a_job_that_killed_every_worker_is_dead(self, queue: Queue, clock: ManualClock) -> None:
        """Workers that only look for other kinds bury it too."""
        [job_id] = queue.enqueue(new_job(max_attempts=2))
        for _ in range(2):
            lease = claimed(queue)
            clock.advance(LEASE)
        assert queue.claim("worker", kinds=["other"], lease=LEASE) is None
        assert queue.get(job_id).state == "dead"
        assert queue.get(job_id).reason
        refuses(queue, lease)

    def test_a_failure_with_an_impossible_delay_changes_nothing(self, queue: Queue) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        with pytest.raises(InvalidJobError):
            queue.retry(lease, reason="", delay=-SECOND)
        assert queue.holds(lease.job.id, lease.fence)

    def test_any_reason_is_storable(self, queue: Queue) -> None:
        """A reason is often what another program wrote; its end says most."""
        [job_id] = queue.enqueue(new_job())
        queue.bury(claimed(queue), reason="x" * 100_000 + "\0 \ud800 the end")
        reason = queue.get(job_id).reason
        assert reason is not None
        assert len(reason) <= 10_000
        assert "\0" not in reason
        assert reason.endswith(" the end")

    def test_a_released_job_is_as_if_it_had_not_been_claimed(self, queue: Queue) -> None:
        first, _ = queue.enqueue(new_job(max_attempts=1), new_job())
        for _ in range(3):
            lease = claimed(queue)
            assert (lease.job.id, lease.job.attempts) == (first, 1)
            queue.release(lease)
        assert (queue.get(first).state, queue.get(first).attempts) == ("waiting", 0)

    def test_a_job_released_for_later_waits_says_why_and_its_attempt_does_not_count(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        [job_id] = queue.enqueue(new_job(max_attempts=1))
        for fence in (1, 2):
            lease = claimed(queue)
            assert (lease.fence, lease.job.attempts) == (fence, 1)
            queue.release(lease, delay=5 * SECOND, reason="the store is away")
            assert queue.get(job_id).reason == "the store is away"
            assert queue.claim("worker", lease=LEASE) is None
            clock.advance(5 * SECOND)
        lease = claimed(queue)
        with pytest.raises(InvalidJobError):
            queue.release(lease, delay=-SECOND)
        queue.release(lease)
        assert queue.get(job_id).reason == "the store is away"

    def test_a_cancelled_job_is_not_handed_out(self, queue: Queue) -> None:
        waiting, running = queue.enqueue(new_job(priority=1), new_job(priority=0))
        claimed(queue)
        queue.cancel(waiting)
        queue.cancel(running)
        queue.cancel(running)
        assert queue.claim("worker", lease=LEASE) is None
        assert {queue.get(waiting).state, queue.get(running).state} == {"cancelled"}

    def test_cancelling_leaves_finished_jobs_as_they_are(self, queue: Queue) -> None:
        done, dead = queue.enqueue(new_job(), new_job())
        queue.complete(claimed(queue))
        queue.bury(claimed(queue), reason="bad")
        for job_id in (done, dead):
            queue.cancel(job_id)
        assert (queue.get(done).state, queue.get(dead).state) == ("done", "dead")

    def test_a_requeued_job_starts_anew(self, queue: Queue) -> None:
        [job_id] = queue.enqueue(new_job(max_attempts=1))
        queue.retry(claimed(queue), reason="bad", delay=timedelta(0))
        queue.requeue(job_id)
        job = queue.get(job_id)
        assert (job.state, job.attempts, job.reason) == ("waiting", 0, None)
        assert claimed(queue).job.id == job_id

    def test_only_dead_and_cancelled_jobs_are_requeued(self, queue: Queue) -> None:
        waiting, running, done = queue.enqueue(new_job(priority=9), new_job(priority=5), new_job())
        queue.complete(claimed(queue))
        claimed(queue)
        for job_id in (waiting, running, done, uuid7()):
            with pytest.raises(JobNotFoundError) as caught:
                queue.requeue(job_id)
            assert caught.value.job_id == job_id
        assert queue.get(done).state == "done"

    def test_a_job_is_not_requeued_beside_another_with_its_key(self, queue: Queue) -> None:
        [old] = queue.enqueue(new_job(dedupe_key="k"))
        queue.cancel(old)
        [new] = queue.enqueue(new_job(dedupe_key="k"))
        with pytest.raises(DedupeKeyTakenError):
            queue.requeue(old)
        assert queue.get(old).state == "cancelled"
        queue.cancel(new)
        queue.requeue(old)
        assert queue.enqueue(new_job(dedupe_key="k")) == [old]

    def test_a_dropped_job_is_forgotten(self, queue: Queue) -> None:
        done, dead, cancelled, kept = queue.enqueue(*(new_job() for _ in range(4)))
        queue.complete(claimed(queue))
        queue.bury(claimed(queue), reason="bad")
        queue.cancel(cancelled)
        for job_id in (done, dead, cancelled):
            queue.drop(job_id)
            with pytest.raises(JobNotFoundError):
                queue.get(job_id)
        assert [job.id for job in queue.list()] == [kept]

    def test_only_finished_jobs_are_dropped(self, queue: Queue) -> None:
        running, waiting = queue.enqueue(new_job(), new_job(dedupe_key="k"))
        claimed(queue)
        for job_id in (running, waiting, uuid7()):
            with pytest.raises(JobNotFoundError) as caught:
                queue.drop(job_id)
            assert caught.value.job_id == job_id
        assert {queue.get(running).state, queue.get(waiting).state} == {"running", "waiting"}
        assert queue.enqueue(new_job(dedupe_key="k")) == [waiting]
