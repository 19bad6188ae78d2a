"""The part of a queue's contract about batches: many short jobs claimed and completed in one go."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, Protocol, runtime_checkable

from mamkit.errors import MissingExtraError
from mamkit.jobs import CanBatch, InvalidJobError, Queue
from mamkit.testing.jobs._basis import LEASE, SECOND, ManualClock, QueueFixtures, claimed, new_job, refuses

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["BatchContract", "BatchingQueue"]


@runtime_checkable
class BatchingQueue(Queue, CanBatch, Protocol):
    """A queue that hands out and takes back many jobs at once."""


class BatchContract(QueueFixtures):
    """The obligations of a queue that is `CanBatch`; its fixture `queue` gives an empty one."""

    def test_it_says_that_it_can_batch(self, queue: BatchingQueue) -> None:
        assert isinstance(queue, CanBatch)

    def test_the_most_urgent_come_first_and_no_more_than_wanted(self, queue: BatchingQueue, clock: ManualClock) -> None:
        late, urgent, first, second = queue.enqueue(
            new_job(priority=5), new_job(priority=-1), new_job(kind="a"), new_job(kind="b")
        )
        queue.enqueue(new_job(delay=SECOND))
        leases = queue.claim_many("me", 3, lease=LEASE)
        assert [lease.job.id for lease in leases] == [urgent, first, second]
        assert {(lease.worker, lease.fence, lease.job.attempts, lease.job.state) for lease in leases} == {
            ("me", 1, 1, "running")
        }
        assert all(abs(lease.expires_at - (clock() + LEASE)) < SECOND for lease in leases)
        assert [queue.get(lease.job.id) for lease in leases] == [lease.job for lease in leases]
        assert [lease.job.id for lease in queue.claim_many("me", 10, lease=LEASE)] == [late]
        assert queue.claim_many("me", 10, lease=LEASE) == []

    def test_only_the_wanted_kinds_come(self, queue: BatchingQueue) -> None:
        queue.enqueue(*(new_job(kind=kind) for kind in "abcabc"))
        assert queue.claim_many("me", 10, kinds=[], lease=LEASE) == []
        leases = queue.claim_many("me", 10, kinds=["c", "a", "d"], lease=LEASE)
        assert [lease.job.kind for lease in leases] == ["a", "c", "a", "c"]

    def test_overdue_jobs_come_with_larger_fences_or_are_buried(self, queue: BatchingQueue, clock: ManualClock) -> None:
        ids = queue.enqueue(new_job(max_attempts=1), new_job(max_attempts=2), new_job(max_attempts=2))
        old = queue.claim_many("first", 10, lease=LEASE)
        clock.advance(LEASE)
        new = queue.claim_many("second", 10, lease=LEASE)
        assert [(lease.job.id, lease.fence) for lease in new] == [(ids[1], 2), (ids[2], 2)]
        assert queue.get(ids[0]).state == "dead"
        for lease in old:
            refuses(queue, lease)

    def test_more_jobs_than_one_claim_lets_in_may_become_due_at_once(
        self, queue: BatchingQueue, clock: ManualClock
    ) -> None:
        ids = queue.enqueue(*[new_job(delay=LEASE)] * 1100)
        clock.advance(LEASE + SECOND)
        found = [lease.job.id for _ in range(2) for lease in queue.claim_many("worker", 1000, lease=LEASE)]
        assert sorted(found) == sorted(ids)

    def test_all_are_done_but_those_that_were_lost(self, queue: BatchingQueue) -> None:
        queue.enqueue(*(new_job() for _ in range(5)))
        leases = queue.claim_many("me", 5, lease=LEASE)
        queue.cancel(leases[1].job.id)
        queue.complete(leases[3])
        assert queue.complete_many(leases) == [leases[1], leases[3]]
        assert queue.depth().counts == {"waiting": 0, "running": 0, "done": 4, "dead": 0, "cancelled": 1}
        assert queue.complete_many([]) == []

    def test_a_lease_that_is_shown_twice_counts_once(self, queue: BatchingQueue) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        assert queue.complete_many([lease, lease]) == [lease]
        assert queue.depth().counts["done"] == 1

    def test_workers_that_claim_at_once_get_different_jobs(self, queue: BatchingQueue) -> None:
        ids = queue.enqueue(*(new_job() for _ in range(60)))
        start = Barrier(4)

        def drain(number: int) -> list[Any]:
            start.wait()
            done: list[Any] = []
            while leases := queue.claim_many(f"worker-{number}", 7, lease=LEASE):
                assert queue.complete_many(leases) == []
                done += (lease.job.id for lease in leases)
            return done

        with ThreadPoolExecutor(4) as threads:
            done = [job_id for found in threads.map(drain, range(4)) for job_id in found]
        # A worker may find nothing while another is claiming, so that jobs may be left for a later claim.
        done += (lease.job.id for lease in queue.claim_many("last", 60, lease=LEASE))
        assert sorted(done) == sorted(ids)

    @pytest.mark.parametrize(
        ("field", "arguments", "more"),
        [
            ("limit", ("me", 0), {}),
            ("limit", ("me", 1001), {}),
            ("limit", ("me", "5"), {}),
            ("worker", ("", 1), {}),
            ("kinds", ("me", 1), {"kinds": "test"}),
            ("lease", ("me", 1), {"lease": timedelta(0)}),
        ],
    )
    def test_an_impossible_claim_is_refused(
        self, queue: BatchingQueue, field: str, arguments: tuple[Any, Any], more: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidJobError) as caught:
            queue.claim_many(*arguments, **({"lease": LEASE} | more))
        assert caught.value.field == field
