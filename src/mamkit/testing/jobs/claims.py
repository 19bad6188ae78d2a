"""The part of the queue's contract about claims: who gets which job, and when."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.jobs import InvalidJobError, Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["ClaimContract"]


class ClaimContract(QueueFixtures):
    """Who gets which job, and when."""

    def test_an_empty_queue_gives_nothing(self, queue: Queue) -> None:
        assert queue.claim("worker", lease=LEASE) is None

    def test_a_claimed_job_runs_under_the_first_fence(self, queue: Queue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job(payload={"a": 1}))
        lease = claimed(queue, "me")
        assert (lease.job.id, lease.job.payload, lease.worker) == (job_id, {"a": 1}, "me")
        assert (lease.job.state, lease.job.attempts, lease.fence) == ("running", 1, 1)
        assert abs(lease.expires_at - (clock() + LEASE)) < SECOND
        assert queue.get(job_id) == lease.job
        assert queue.holds(job_id, 1)
        assert queue.claim("other", lease=LEASE) is None

    def test_jobs_come_by_priority_and_then_in_order(self, queue: Queue, clock: ManualClock) -> None:
        late, urgent, early = queue.enqueue(
            new_job(priority=5), new_job(priority=-1), new_job(priority=0), new_job(priority=0, kind="second")
        )[:3]
        clock.advance(SECOND)
        queue.enqueue(new_job(priority=0, kind="third"))
        leases = [claimed(queue) for _ in range(5)]
        assert [lease.job.id for lease in leases[:2]] == [urgent, early]
        assert [lease.job.kind for lease in leases[2:4]] == ["second", "third"]
        assert leases[4].job.id == late

    def test_a_worker_gets_only_the_kinds_it_asked_for(self, queue: Queue) -> None:
        queue.enqueue(new_job(kind="a"), new_job(kind="b"))
        assert queue.claim("worker", kinds=[], lease=LEASE) is None
        assert queue.claim("worker", kinds=["c"], lease=LEASE) is None
        lease = queue.claim("worker", kinds=["c", "b"], lease=LEASE)
        assert lease is not None
        assert lease.job.kind == "b"

    def test_a_worker_gets_only_what_is_more_urgent_than_it_says(self, queue: Queue) -> None:
        queue.enqueue(new_job(priority=5, kind="a"), new_job(priority=4, kind="b"))
        assert queue.claim("worker", lease=LEASE, before=4) is None
        assert queue.claim("worker", kinds=["a"], lease=LEASE, before=5) is None
        lease = queue.claim("worker", lease=LEASE, before=5)
        assert lease is not None
        assert lease.job.kind == "b"
        assert claimed(queue).job.kind == "a"

    def test_a_delayed_job_waits_until_it_is_due(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job(delay=5 * SECOND))
        clock.advance(4 * SECOND)
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(SECOND)
        claimed(queue)

    def test_what_has_become_due_comes_in_its_place(self, queue: Queue, clock: ManualClock) -> None:
        """Whether it was delayed, failed, or is left by a worker that died; what was cancelled meanwhile does not."""
        overdue, failed, stopped = queue.enqueue(
            new_job(priority=-3), new_job(priority=-2, kind="second"), new_job(priority=-1)
        )
        claimed(queue, "dead")
        queue.retry(claimed(queue), reason="again", delay=LEASE)
        held = claimed(queue)
        delayed, cancelled, last = queue.enqueue(
            new_job(priority=-2, delay=LEASE), new_job(priority=-4, delay=LEASE), new_job()
        )
        clock.advance(LEASE / 2)
        queue.renew(held, by=LEASE)
        queue.cancel(cancelled)
        clock.advance(LEASE / 2 + 2 * SECOND)
        assert [claimed(queue).job.id for _ in range(4)] == [overdue, failed, delayed, last]
        assert queue.claim("worker", lease=LEASE) is None
        assert queue.holds(stopped, held.fence)

    @pytest.mark.parametrize("lease", [timedelta(0), -SECOND, timedelta.max, 30])
    def test_an_impossible_lease_is_refused(self, queue: Queue, lease: Any) -> None:
        queue.enqueue(new_job())
        with pytest.raises(InvalidJobError):
            queue.claim("worker", lease=lease)
        with pytest.raises(InvalidJobError):
            queue.renew(claimed(queue), by=lease)

    def test_a_worker_without_a_name_and_a_lone_string_of_kinds_are_refused(self, queue: Queue) -> None:
        with pytest.raises(InvalidJobError):
            queue.claim("", lease=LEASE)
        with pytest.raises(InvalidJobError):
            queue.claim("worker", kinds="test", lease=LEASE)

    def test_threads_that_claim_at_once_get_different_jobs(self, queue: Queue) -> None:
        ids = queue.enqueue(*(new_job() for _ in range(40)))
        start = Barrier(8)

        def drain(number: int) -> list[object]:
            start.wait()
            done: list[object] = []
            while (lease := queue.claim(f"worker-{number}", lease=LEASE)) is not None:
                queue.complete(lease)
                done.append(lease.job.id)
            return done

        with ThreadPoolExecutor(8) as threads:
            done = [job_id for ids in threads.map(drain, range(8)) for job_id in ids]
        # A worker may find nothing while another is claiming, so that a job may be left for a later claim.
        while (lease := queue.claim("last", lease=LEASE)) is not None:
            done.append(lease.job.id)
        assert sorted(done, key=str) == sorted(ids, key=str)
