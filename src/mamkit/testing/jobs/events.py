"""The part of a queue's contract about events: what subscribers are told of jobs that get on and end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs import CanTell, InvalidJobError, JobEvent, Queue, Watch
from mamkit.testing.jobs._basis import LEASE, SECOND, START, ManualClock, QueueFixtures, claimed, new_job, refused

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["EventContract", "TellingQueue"]

NOW = timedelta(0)
LONG = timedelta(seconds=30)
APART = timedelta(seconds=0.5)


@runtime_checkable
class TellingQueue(Queue, CanTell, Protocol):
    """A queue that tells how its jobs get on."""


def told(events: list[JobEvent]) -> list[tuple[Any, str, float]]:
    """Return what events say that a backend decides."""
    return [(event.job_id, event.state, event.progress) for event in events]


def gathered(watch: Watch, count: int, until: Callable[[JobEvent], bool] = lambda _: True) -> list[JobEvent]:
    """Return the newest events of so many jobs, once each is as it is wanted; a watch may tell them in several goes."""
    found: dict[UUID, JobEvent] = {}
    while len(found) < count or not all(map(until, found.values())):
        events = watch.wait(LONG)
        assert events, f"{len(found)} of {count} jobs were told of"
        found |= {event.job_id: event for event in events}
    return list(found.values())


class EventContract(QueueFixtures):
    """The obligations of a queue that is `CanTell`; its fixture `queue` gives an empty one."""

    def test_it_says_that_it_can_tell(self, queue: TellingQueue) -> None:
        assert isinstance(queue, CanTell)

    def test_progress_and_ends_are_told(self, queue: TellingQueue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job(kind="a", dedupe_key="k"))
        with queue.watch() as watch:
            lease = claimed(queue)
            assert queue.tell(lease, 0.25)
            [event] = watch.wait(LONG)
            assert (event.job_id, event.kind, event.dedupe_key) == (job_id, "a", "k")
            assert (event.state, event.progress, event.fence, event.reason) == ("running", 0.25, lease.fence, None)
            assert abs(event.at - clock()) < SECOND
            assert queue.get(job_id).progress == 0.25
            queue.complete(lease)
            assert told(watch.wait(LONG)) == [(job_id, "done", 1.0)]
            assert watch.wait(NOW) == []
            assert queue.get(job_id).progress == 1.0

    def test_each_kind_of_end_is_told_with_its_reason(self, queue: TellingQueue) -> None:
        buried, spent, cancelled, waiting = queue.enqueue(
            new_job(), new_job(max_attempts=1), new_job(), new_job(priority=1)
        )
        leases = [claimed(queue) for _ in range(3)]
        with queue.watch() as watch:
            queue.bury(leases[0], reason="bad")
            queue.retry(leases[1], reason="once more", delay=NOW)
            queue.cancel(cancelled)
            queue.cancel(waiting)
            found = {event.job_id: (event.state, event.reason) for event in gathered(watch, 4)}
        assert found[buried] == ("dead", "bad")
        assert found[spent] == ("dead", "once more")
        assert found[cancelled][0] == found[waiting][0] == "cancelled"

    def test_the_end_of_a_job_that_killed_every_worker_is_told(self, queue: TellingQueue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job(max_attempts=1))
        claimed(queue)
        with queue.watch() as watch:
            clock.advance(LEASE)
            assert queue.claim("worker", lease=LEASE) is None
            assert told(watch.wait(LONG)) == [(job_id, "dead", 0.0)]

    def test_a_job_is_told_of_at_most_twice_a_second(self, queue: TellingQueue, clock: ManualClock) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        assert queue.tell(lease, 0.1)
        assert not queue.tell(lease, 0.2)
        clock.advance(APART)
        assert queue.tell(lease, 0.3)
        clock.advance(APART)
        assert not queue.tell(lease, 0.3)
        assert not queue.tell(lease, 0.2)
        assert queue.get(lease.job.id).progress == 0.3

    def test_a_new_attempt_begins_at_nothing(self, queue: TellingQueue, clock: ManualClock) -> None:
        [job_id] = queue.enqueue(new_job())
        old = claimed(queue)
        queue.tell(old, 0.9)
        clock.advance(LEASE)
        new = claimed(queue)
        assert new.job.progress == 0.0
        refused(lambda: queue.tell(old, 1.0), old)
        with queue.watch() as watch:
            assert queue.tell(new, 0.1)
            assert told(watch.wait(LONG)) == [(job_id, "running", 0.1)]

    def test_nobody_tells_of_what_has_ended(self, queue: TellingQueue) -> None:
        queue.enqueue(new_job())
        lease = claimed(queue)
        queue.complete(lease)
        refused(lambda: queue.tell(lease, 1.0), lease)

    @pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan"), float("inf"), "0.5", None])
    def test_what_is_no_progress_is_refused(self, queue: TellingQueue, progress: Any) -> None:
        queue.enqueue(new_job())
        with pytest.raises(InvalidJobError) as caught:
            queue.tell(claimed(queue), progress)
        assert caught.value.field == "progress"

    def test_who_falls_behind_is_told_the_newest_only(self, queue: TellingQueue, clock: ManualClock) -> None:
        done, running = queue.enqueue(new_job(), new_job())
        with queue.watch() as watch:
            first, second = claimed(queue), claimed(queue)
            for tenths in range(1, 10):
                assert queue.tell(first, tenths / 10)
                assert queue.tell(second, tenths / 10)
                clock.advance(APART)
            queue.complete(first)
            found = gathered(watch, 2, until=lambda event: event.progress >= 0.9)
        assert sorted(told(found)) == sorted([(done, "done", 1.0), (running, "running", 0.9)])

    def test_of_all_jobs_what_ended_before_is_not_told(self, queue: TellingQueue) -> None:
        queue.enqueue(new_job(), new_job())
        queue.complete(claimed(queue))
        with queue.watch() as watch:
            assert watch.wait(NOW) == []
            queue.complete(second := claimed(queue))
            assert told(watch.wait(LONG)) == [(second.job.id, "done", 1.0)]

    def test_who_was_away_is_told_the_ends_since_then(self, queue: TellingQueue, clock: ManualClock) -> None:
        before, first, second = queue.enqueue(new_job(), new_job(), new_job())
        queue.complete(claimed(queue))
        clock.advance(SECOND)
        with queue.watch() as watch:
            queue.complete(claimed(queue))
            [event] = watch.wait(LONG)
        clock.advance(SECOND)
        queue.cancel(second)
        with queue.watch(since=event.at) as watch:
            found = told(watch.wait(LONG))
        assert found == [(first, "done", 1.0), (second, "cancelled", 0.0)]
        assert before not in {job_id for job_id, _, _ in found}

    def test_of_named_jobs_it_is_told_first_how_they_stand(self, queue: TellingQueue) -> None:
        done, running, waiting, other = queue.enqueue(*(new_job() for _ in range(4)))
        queue.complete(claimed(queue))
        queue.tell(claimed(queue), 0.5)
        with queue.watch(jobs=[done, running, waiting, uuid7()]) as watch:
            assert sorted(told(watch.wait(LONG))) == sorted([(done, "done", 1.0), (running, "running", 0.5)])
            queue.cancel(other)
            assert watch.wait(NOW) == []
            queue.cancel(waiting)
            assert told(watch.wait(LONG)) == [(waiting, "cancelled", 0.0)]

    def test_a_job_that_is_requeued_is_told_of_again(self, queue: TellingQueue) -> None:
        [job_id] = queue.enqueue(new_job())
        with queue.watch() as watch:
            queue.bury(claimed(queue), reason="bad")
            assert told(watch.wait(LONG)) == [(job_id, "dead", 0.0)]
            queue.requeue(job_id)
            queue.complete(claimed(queue))
            assert told(watch.wait(LONG)) == [(job_id, "done", 1.0)]

    def test_each_of_several_subscribers_is_told_while_it_waits(self, queue: TellingQueue) -> None:
        [job_id] = queue.enqueue(new_job())
        watches = [queue.watch() for _ in range(3)]
        found: list[Any] = []
        threads = [Thread(target=lambda watch=watch: found.extend(told(watch.wait(LONG)))) for watch in watches]
        for thread in threads:
            thread.start()
        queue.complete(claimed(queue))
        for thread in threads:
            thread.join()
        for watch in watches:
            watch.close()
            watch.close()
        assert found == [(job_id, "done", 1.0)] * 3

    def test_many_ends_at_once_are_all_told(self, queue: TellingQueue) -> None:
        ids = queue.enqueue(*(new_job() for _ in range(60)))
        with queue.watch() as watch:
            for job_id in ids:
                queue.cancel(job_id)
            assert {event.job_id for event in gathered(watch, 60)} == set(ids)

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"jobs": [uuid7() for _ in range(1001)]}, id="too many jobs"),
            pytest.param({"jobs": [], "since": START}, id="a time beside jobs"),
            pytest.param({"since": datetime(2026, 1, 1)}, id="a time without a zone"),  # noqa: DTZ001 - that is the point
        ],
    )
    def test_an_impossible_watch_is_refused(self, queue: TellingQueue, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidJobError) as caught:
            queue.watch(**wrong)
        assert caught.value.field in wrong

    def test_nobody_waits_for_less_than_nothing(self, queue: TellingQueue) -> None:
        with queue.watch() as watch, pytest.raises(InvalidJobError):
            watch.wait(-SECOND)
