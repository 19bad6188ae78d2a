"""`SqlQueue` and `RedisQueue` answer every sequence of calls as `MemoryQueue` does."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import StaticPool, create_engine

from mamkit.clock import Clock
from mamkit.ids import uuid7
from mamkit.jobs import Job, Lease, MemoryQueue, NewJob, QueueError
from mamkit.jobs._table import jobs
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import ManualClock
from mamkit.testing.jobs.batches import BatchingQueue
from mamkit.testing.jobs.events import TellingQueue
from tests.redis_server import RedisServer

Pair = tuple[Any, Any]
"""What the memory queue gave, and what the queue under test gave."""

LEASE = timedelta(seconds=10)


class AbleQueue(TellingQueue, BatchingQueue, Protocol):
    """A queue that can all that ours can."""


durations = st.sampled_from([timedelta(0), timedelta(seconds=1), LEASE, timedelta(days=1)])
kinds = st.sampled_from(["a", "b"])
new_jobs = st.builds(
    NewJob,
    kind=kinds,
    payload=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2),
    dedupe_key=st.none() | st.sampled_from(["k", "l"]),
    priority=st.integers(-1, 1),
    delay=durations,
    max_attempts=st.integers(1, 3),
)


class Queues(RuleBasedStateMachine):
    ids = Bundle("ids")
    leases = Bundle("leases")

    def __init__(self, make: Callable[[Clock], AbleQueue]) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.queues: tuple[AbleQueue, AbleQueue] = (MemoryQueue(clock=self.clock), make(self.clock))
        self.names: dict[UUID, int] = {}

    def both(self, call: Callable[[AbleQueue, int], Any]) -> Pair:
        """Make the call on both queues, and check that the answers, or the errors, are alike."""
        answers: list[Any] = []
        for which, queue in enumerate(self.queues):
            try:
                answers.append(call(queue, which))
            except QueueError as error:
                answers.append(error)
        memory, tested = answers
        assert self.same(memory) == self.same(tested)
        return memory, tested

    def same(self, answer: Any) -> Any:
        """Return an answer with ids replaced by the order in which they were first seen."""
        if isinstance(answer, UUID):
            return self.names[answer]
        if isinstance(answer, list):
            return [self.same(each) for each in answer]
        if isinstance(answer, Job):
            fields = {name: getattr(answer, name) for name in Job.__dataclass_fields__ if name != "id"}
            return self.names[answer.id], fields
        if isinstance(answer, Lease):
            return self.same(answer.job), answer.worker, answer.fence, answer.expires_at
        return type(answer) if isinstance(answer, Exception) else answer

    @rule(target=ids, new=st.lists(new_jobs, min_size=1, max_size=4))
    def enqueue(self, new: list[NewJob]) -> Any:
        added = [queue.enqueue(*new) for queue in self.queues]
        for pair in zip(*added, strict=True):
            assert len({self.names.get(job_id) for job_id in pair}) == 1
            for job_id in pair:
                self.names.setdefault(job_id, len(self.names) // 2)
        return multiple(*zip(*added, strict=True))

    @rule(target=leases, wanted=st.none() | st.lists(kinds, max_size=2), before=st.none() | st.integers(-2, 3))
    def claim(self, wanted: list[str] | None, before: int | None) -> Any:
        pair = self.both(lambda queue, _: queue.claim("worker", kinds=wanted, lease=LEASE, before=before))
        return multiple() if pair[0] is None else pair

    @rule(target=leases, limit=st.integers(1, 3), wanted=st.none() | st.lists(kinds, max_size=2))
    def claim_many(self, limit: int, wanted: list[str] | None) -> Any:
        return multiple(
            *zip(*self.both(lambda queue, _: queue.claim_many("worker", limit, kinds=wanted, lease=LEASE)), strict=True)
        )

    @rule(some=st.lists(leases, max_size=3))
    def complete_many(self, some: list[Pair]) -> None:
        lost = self.both(
            lambda queue, which: [lease.job for lease in queue.complete_many([each[which] for each in some])]
        )
        assert len(lost[0]) <= len(some)

    @rule(lease=leases)
    def renew(self, lease: Pair) -> None:
        self.both(lambda queue, which: queue.renew(lease[which], by=LEASE))

    @rule(lease=leases, fence=st.integers(-1, 4))
    def holds(self, lease: Pair, fence: int) -> None:
        self.both(lambda queue, which: queue.holds(lease[which].job.id, fence))

    @rule(lease=leases)
    def complete(self, lease: Pair) -> None:
        self.both(lambda queue, which: queue.complete(lease[which]))

    @rule(lease=leases, progress=st.sampled_from([0.0, 0.3, 1.0]))
    def tell(self, lease: Pair, progress: float) -> None:
        self.both(lambda queue, which: queue.tell(lease[which], progress))

    @rule(lease=leases, delay=durations, reason=st.text(max_size=5))
    def retry(self, lease: Pair, delay: timedelta, reason: str) -> None:
        self.both(lambda queue, which: queue.retry(lease[which], reason=reason, delay=delay))

    @rule(lease=leases)
    def release(self, lease: Pair) -> None:
        self.both(lambda queue, which: queue.release(lease[which]))

    @rule(lease=leases)
    def bury(self, lease: Pair) -> None:
        self.both(lambda queue, which: queue.bury(lease[which], reason="bad"))

    @rule(job=ids)
    def cancel(self, job: Pair) -> None:
        self.both(lambda queue, which: queue.cancel(job[which]))

    @rule(job=ids)
    def requeue(self, job: Pair) -> None:
        self.both(lambda queue, which: queue.requeue(job[which]))

    @rule(job=ids)
    def drop(self, job: Pair) -> None:
        self.both(lambda queue, which: queue.drop(job[which]))

    @rule(job=consumes(ids))
    def get(self, job: Pair) -> None:
        self.both(lambda queue, which: queue.get(job[which]))

    @rule(by=durations)
    def wait(self, by: timedelta) -> None:
        self.clock.advance(by)

    @rule(states=st.lists(st.sampled_from(["done", "dead", "cancelled"]), max_size=2))
    def purge(self, states: list[Any]) -> None:
        self.both(lambda queue, _: queue.purge(finished_before=self.clock(), states=states))

    @invariant()
    def the_jobs_are_alike(self) -> None:
        self.both(lambda queue, _: queue.list())
        self.both(lambda queue, _: queue.depth())


RULES = settings(max_examples=40, stateful_step_count=40)


def check(make: Callable[[Clock], AbleQueue]) -> None:
    """Compare empty queues, made anew for each sequence of calls, with the one in memory."""
    machine: Any = partial(Queues, make)
    run_state_machine_as_test(machine, settings=RULES)


def test_the_queue_in_sqlite() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)

    def make(clock: Clock) -> AbleQueue:
        queue = SqlQueue(engine, clock=clock)
        queue.create_schema()
        with engine.begin() as connection:
            connection.execute(jobs.delete())
        return queue

    check(make)
    engine.dispose()


def test_the_queue_in_redis(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    check(lambda clock: RedisQueue(client, name=str(uuid7()), clock=clock))
    client.close()
