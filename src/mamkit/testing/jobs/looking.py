"""The part of the queue's contract about looking: what a queue says of its jobs, and how it forgets them."""

from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs import InvalidJobError, JobNotFoundError, Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["LookingContract"]


class LookingContract(QueueFixtures):
    """What a queue says of its jobs, and how it forgets them."""

    def test_an_unknown_job_is_not_found(self, queue: Queue) -> None:
        unknown = uuid7()
        for ask in (queue.get, queue.cancel):
            with pytest.raises(JobNotFoundError) as caught:
                ask(unknown)
            assert caught.value.job_id == unknown

    def test_jobs_are_listed_newest_first(self, queue: Queue) -> None:
        ids = queue.enqueue(*(new_job() for _ in range(5)))
        queue.cancel(ids[3])
        assert [job.id for job in queue.list()] == ids[::-1]
        assert [job.id for job in queue.list(limit=2)] == [ids[4], ids[3]]
        assert [job.id for job in queue.list(state="waiting", limit=2)] == [ids[4], ids[2]]
        assert [job.id for job in queue.list(state="cancelled")] == [ids[3]]

    @pytest.mark.parametrize("limit", [0, -1, 10**9, "5"])
    def test_an_impossible_page_is_refused(self, queue: Queue, limit: Any) -> None:
        with pytest.raises(InvalidJobError):
            queue.list(limit=limit)

    def test_the_depth_counts_every_state(self, queue: Queue) -> None:
        assert queue.depth().counts == {"waiting": 0, "running": 0, "done": 0, "dead": 0, "cancelled": 0}
        ids = queue.enqueue(*(new_job() for _ in range(6)))
        queue.complete(claimed(queue))
        queue.bury(claimed(queue), reason="bad")
        claimed(queue)
        queue.cancel(ids[-1])
        assert queue.depth().counts == {"waiting": 2, "running": 1, "done": 1, "dead": 1, "cancelled": 1}

    def test_the_depth_says_since_when_work_has_been_waiting(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job(delay=5 * SECOND))
        assert queue.depth().oldest_waiting is None
        clock.advance(20 * SECOND)
        [delayed] = queue.list()
        assert queue.depth().oldest_waiting == delayed.run_at
        lease = claimed(queue)
        assert queue.depth().oldest_waiting is None
        clock.advance(2 * LEASE)
        assert queue.depth().oldest_waiting == lease.expires_at

    def test_a_purge_forgets_what_was_finished_before(self, queue: Queue, clock: ManualClock) -> None:
        done, dead, cancelled, late, waiting = queue.enqueue(*(new_job() for _ in range(5)))
        queue.complete(claimed(queue))
        queue.bury(claimed(queue), reason="bad")
        queue.cancel(cancelled)
        clock.advance(5 * SECOND)
        limit = clock()
        clock.advance(5 * SECOND)
        queue.complete(claimed(queue))
        assert queue.purge(finished_before=limit) == 2
        assert {job.id for job in queue.list()} == {dead, late, waiting}
        assert queue.purge(finished_before=limit, states=["dead"]) == 1
        assert queue.purge(finished_before=limit, states=["done", "dead", "cancelled"]) == 0
        with pytest.raises(JobNotFoundError):
            queue.get(done)
