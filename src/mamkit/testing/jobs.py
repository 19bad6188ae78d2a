"""What every `mamkit.jobs.Queue` must do, as tests: inherit, and give the fixtures `clock` and `queue`.

class TestMyQueue(QueueContract):
    @pytest.fixture
    def queue(self, clock):
        return MyQueue(clock=clock)
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Lock
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs import (
    DedupeKeyTakenError,
    InvalidJobError,
    JobNotFoundError,
    Lease,
    LeaseLostError,
    NewJob,
    Queue,
)

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["ManualClock", "QueueContract", "new_job"]

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


class QueueContract:
    """The obligations of a `Queue`.

    The fixture `queue` gives an empty one that tells the time by the fixture `clock`. For a backend whose time cannot
    be moved, override `clock` with an object whose `advance` really waits.
    """

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the queue."""
        return ManualClock()

    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        """Return an empty queue; to be overridden."""
        pytest.fail(f"override the fixture `queue`, with {clock!r}")

    # Adding

    def test_a_job_comes_back_as_it_was_put_in(self, queue: Queue, clock: ManualClock) -> None:
        payload = {"text": "ünï\U0001f600 \ud800", "n": [1, 2.5, None, True], "deep": {"": {}}}
        [job_id] = queue.enqueue(NewJob(kind="a.b", payload=payload, dedupe_key="k", priority=-3, max_attempts=2))
        job = queue.get(job_id)
        assert (job.id, job.kind, job.payload) == (job_id, "a.b", payload)
        assert (job.state, job.priority, job.dedupe_key) == ("waiting", -3, "k")
        assert (job.attempts, job.max_attempts, job.reason) == (0, 2, None)
        assert job.created_at == job.run_at
        assert abs(job.created_at - clock()) < SECOND
        assert job.created_at.tzinfo is UTC

    def test_no_jobs_are_added_when_none_are_given(self, queue: Queue) -> None:
        assert queue.enqueue() == []

    def test_jobs_are_added_all_or_none(self, queue: Queue) -> None:
        with pytest.raises(InvalidJobError):
            queue.enqueue(new_job(), new_job(kind=""))
        assert queue.list() == []

    def test_a_changed_payload_does_not_change_the_job(self, queue: Queue) -> None:
        payload = {"list": [1]}
        [job_id] = queue.enqueue(new_job(payload=payload))
        payload["list"].append(2)
        assert queue.get(job_id).payload == {"list": [1]}

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"kind": ""}, id="no kind"),
            pytest.param({"kind": "x" * 201}, id="long kind"),
            pytest.param({"kind": "nul\0"}, id="NUL in the kind"),
            pytest.param({"kind": b"bytes"}, id="bytes for a kind"),
            pytest.param({"payload": []}, id="payload without names"),
            pytest.param({"payload": {"at": START}}, id="payload with a datetime"),
            pytest.param({"payload": {1: "one"}}, id="payload with a number for a name"),
            pytest.param({"payload": {"pair": (1, 2)}}, id="payload with a tuple"),
            pytest.param({"payload": {"n": float("nan")}}, id="payload with NaN"),
            pytest.param({"payload": {"n": float("inf")}}, id="payload with infinity"),
            pytest.param({"payload": {"n": 10**5000}}, id="payload with a number too long to write"),
            pytest.param({"payload": {"text": "x" * 300_000}}, id="large payload"),
            pytest.param({"dedupe_key": ""}, id="empty dedupe key"),
            pytest.param({"dedupe_key": "\ud800"}, id="dedupe key without a UTF-8 form"),
            pytest.param({"priority": 2**40}, id="huge priority"),
            pytest.param({"priority": 0.5}, id="fractional priority"),
            pytest.param({"delay": -SECOND}, id="negative delay"),
            pytest.param({"delay": timedelta.max}, id="endless delay"),
            pytest.param({"delay": 5}, id="delay without a unit"),
            pytest.param({"max_attempts": 0}, id="no attempts"),
            pytest.param({"max_attempts": "5"}, id="text for attempts"),
        ],
    )
    def test_an_impossible_job_is_refused(self, queue: Queue, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidJobError) as caught:
            queue.enqueue(new_job(**changes))
        assert caught.value.field == next(iter(changes))
        assert queue.depth().counts["waiting"] == 0

    def test_a_payload_nested_too_deep_or_in_itself_is_refused(self, queue: Queue) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        endless: dict[str, Any] = {}
        endless["self"] = endless
        for payload in ({"deep": deep}, endless):
            with pytest.raises(InvalidJobError):
                queue.enqueue(new_job(payload=payload))
        while deep:  # taken apart by hand, since comparing or dropping it whole would recurse
            deep = deep.pop()

    # Dedupe keys

    def test_a_second_job_with_a_taken_key_is_the_first(self, queue: Queue) -> None:
        first, other, again = queue.enqueue(new_job(dedupe_key="k"), new_job(), new_job(dedupe_key="k"))
        assert first == again != other
        assert queue.enqueue(new_job(dedupe_key="k", kind="another")) == [first]
        assert queue.depth().counts["waiting"] == 2

    def test_a_key_is_taken_while_its_job_runs_and_free_when_it_is_finished(self, queue: Queue) -> None:
        [first] = queue.enqueue(new_job(dedupe_key="k"))
        lease = claimed(queue)
        assert queue.enqueue(new_job(dedupe_key="k")) == [first]
        queue.complete(lease)
        assert queue.enqueue(new_job(dedupe_key="k")) != [first]

    def test_a_race_for_one_key_adds_one_job(self, queue: Queue) -> None:
        start = Barrier(8)

        def add(_: int) -> object:
            start.wait()
            return queue.enqueue(new_job(), new_job(dedupe_key="k"))[1]

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(add, range(8)))) == 1
        assert queue.depth().counts["waiting"] == 9

    # Claiming

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

    def test_a_delayed_job_waits_until_it_is_due(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(new_job(delay=5 * SECOND))
        clock.advance(4 * SECOND)
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(SECOND)
        claimed(queue)

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

    # Leases and fences

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
        self._refuses(queue, old)
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
            self._refuses(queue, lease)

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

    # Ends and failures

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
        self._refuses(queue, lease)

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

    # Looking

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

    def _refuses(self, queue: Queue, lease: Lease) -> None:
        """Check that the lease is lost for every purpose, and that nothing changes on trying."""
        before = queue.get(lease.job.id)
        attempts: list[Callable[[], object]] = [
            lambda: queue.renew(lease, by=LEASE),
            lambda: queue.complete(lease),
            lambda: queue.retry(lease, reason="late", delay=timedelta(0)),
            lambda: queue.release(lease),
            lambda: queue.bury(lease, reason="late"),
        ]
        for attempt in attempts:
            with pytest.raises(LeaseLostError) as caught:
                attempt()
            assert (caught.value.job_id, caught.value.fence) == (lease.job.id, lease.fence)
        assert not queue.holds(lease.job.id, lease.fence)
        assert queue.get(lease.job.id) == before
