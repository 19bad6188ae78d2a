"""What a subscriber to `RedisQueue` and `SqlQueue` is told when connections break and commits come late."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, text, update

from mamkit.ids import uuid7
from mamkit.jobs import JobEvent, LeaseLostError, MemoryQueue, QueueUnavailableError, Watch
from mamkit.jobs._micros import micros
from mamkit.jobs._table import jobs
from mamkit.jobs._watching import Memory
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import ManualClock, claimed, new_job
from tests.redis_server import RedisServer
from tests.servers.postgres import Postgres

NEW_COLUMNS = ("progress", "told_at", "traceparent")
LONG = timedelta(seconds=30)
NOW = timedelta(0)


@pytest.fixture
def queue(redis_server: RedisServer) -> Iterator[RedisQueue]:
    queue = RedisQueue.from_url(redis_server.url, name=str(uuid7()))
    yield queue
    queue.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def kill_subscribers(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.client_kill_filter(_type="pubsub")


def states(events: list[JobEvent]) -> list[str]:
    return [each.state for each in events]


def again(watch: Watch) -> list[JobEvent]:
    """Wait as a subscriber does whose queue may be away."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if found := watch.wait(timedelta(seconds=1)):
                return found
        except QueueUnavailableError:
            time.sleep(0.05)
    return []


def test_an_end_is_told_that_came_while_the_connection_was_broken(own_redis: RedisServer) -> None:
    own_redis.start()
    queue = RedisQueue.from_url(own_redis.url)
    lost, ended = queue.enqueue(new_job(), new_job())
    with queue.watch() as watch:
        queue.complete(claimed(queue))
        assert [each.job_id for each in watch.wait(LONG)] == [lost]
        kill_subscribers(own_redis)
        queue.complete(claimed(queue))
        with pytest.raises(QueueUnavailableError):
            watch.wait(LONG)
        assert [each.job_id for each in watch.wait(LONG)] == [ended]
    queue.close()


def test_an_end_is_told_by_a_client_that_subscribes_anew_by_itself(own_redis: RedisServer) -> None:
    """Such a client says nothing of the messages that were dropped meanwhile."""
    own_redis.start()
    client = redis.Redis.from_url(own_redis.url)  # repeats commands, by default
    queue = RedisQueue(client)
    queue.enqueue(new_job())
    with queue.watch() as watch:
        kill_subscribers(own_redis)
        queue.complete(claimed(queue))
        assert states(again(watch)) == ["done"]
    client.close()


def test_a_subscriber_goes_on_after_a_restart_of_redis(own_redis: RedisServer) -> None:
    own_redis.start()
    queue = RedisQueue.from_url(own_redis.url)
    queue.enqueue(new_job())
    lease = claimed(queue)
    with queue.watch() as watch:
        own_redis.kill()
        with pytest.raises(QueueUnavailableError):
            watch.wait(LONG)
        with pytest.raises(QueueUnavailableError):
            watch.wait(LONG)
        own_redis.start()
        queue.complete(lease)
        assert states(again(watch)) == ["done"]
    own_redis.kill()
    with pytest.raises(QueueUnavailableError):
        queue.watch()
    queue.close()


def test_what_is_not_of_the_queue_is_no_news(queue: RedisQueue, redis_server: RedisServer) -> None:
    queue.enqueue(new_job())
    with redis.Redis.from_url(redis_server.url) as client, queue.watch() as watch:
        for junk in (b"", b"\xff\xfe", b"no id", str(uuid7()).encode()):
            client.publish(f"{queue._root}:news", junk)
        assert watch.wait(timedelta(seconds=0.1)) == []
        queue.complete(claimed(queue))
        assert states(watch.wait(LONG)) == ["done"]


def test_a_closed_watch_gives_its_connection_back(queue: RedisQueue, redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        with queue.watch():
            assert client.pubsub_numsub(f"{queue._root}:news")[0][1] == 1
        deadline = time.monotonic() + 30
        while client.pubsub_numsub(f"{queue._root}:news")[0][1] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.pubsub_numsub(f"{queue._root}:news")[0][1] == 0


def test_an_end_is_told_however_late_its_transaction_commits(postgres: Postgres) -> None:
    """A worker that is frozen in the middle of its commit dates the end of its job long before anybody can see it."""
    engine, clock = create_engine(postgres.new_database()), ManualClock()
    queue = SqlQueue(engine, clock=clock)
    queue.create_schema()
    late, other = queue.enqueue(new_job(), new_job(priority=1))
    with queue.watch() as watch:
        claimed(queue)
        assert watch.wait(NOW) == []
        with engine.begin() as frozen:
            frozen.execute(update(jobs).where(jobs.c.id == late).values(state="done", finished_at=micros(clock())))
            clock.advance(timedelta(minutes=5))
            queue.complete(claimed(queue))
            assert [each.job_id for each in watch.wait(LONG)] == [other]
            assert watch.wait(NOW) == []
        assert [each.job_id for each in watch.wait(LONG)] == [late]
        assert watch.wait(NOW) == []
    engine.dispose()


def test_an_end_is_told_although_a_later_one_is_known(clock: ManualClock) -> None:
    """The message of the one was dropped, that of the other was not."""
    queue = MemoryQueue(clock=clock)
    early, late = queue.enqueue(new_job(), new_job())
    memory = Memory(queue._look, now=clock, jobs=None, since=None)
    queue.complete(claimed(queue))
    clock.advance(timedelta(hours=1))
    queue.complete(claimed(queue))
    assert [each.job_id for each in memory.look_at([late])] == [late]
    assert [each.job_id for each in memory.look()] == [early]
    assert memory.look() == []


def test_a_subscription_forgets_what_no_look_finds_any_more(clock: ManualClock) -> None:
    queue = MemoryQueue(clock=clock)
    memory = Memory(queue._look, now=clock, jobs=None, since=None)
    for _ in range(50):
        queue.enqueue(new_job())
        queue.complete(claimed(queue))
        clock.advance(timedelta(seconds=5))
        assert len(memory.look()) == 1
    assert len(memory._told) < 10


def test_a_table_of_an_older_mamkit_gets_what_it_lacks(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
    queue = SqlQueue(engine)
    queue.create_schema()
    [job_id] = queue.enqueue(new_job())
    with engine.begin() as connection:
        for statement in ("DROP INDEX jobs_by_end", *(f"ALTER TABLE jobs DROP COLUMN {name}" for name in NEW_COLUMNS)):
            connection.execute(text(statement))
    queue.create_schema()
    queue.create_schema()
    lease = claimed(queue)
    assert lease.job.id == job_id
    assert queue.tell(lease, 0.5)
    assert queue.get(job_id).progress == 0.5
    engine.dispose()


@pytest.mark.parametrize("which", ["memory", "sqlite", "redis"])
def test_a_queue_that_is_emptied_under_its_subscribers_tells_of_what_comes_next(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Jobs that waited, ran and had ended are gone without a word; none of them is told to stand as it did not."""
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
    queue: MemoryQueue | SqlQueue | RedisQueue
    if which == "redis":
        queue = request.getfixturevalue("queue")
    elif which == "memory":
        queue = MemoryQueue()
    else:
        queue = SqlQueue(engine)
        queue.create_schema()
    done, running, waiting = queue.enqueue(new_job(), new_job(), new_job())
    first = claimed(queue)
    with queue.watch() as every, queue.watch(jobs=[done, running, waiting]) as named:
        queue.complete(first)
        held = claimed(queue)
        assert queue.tell(held, 0.5)
        assert {event.job_id for event in every.wait(LONG)} <= {done, running}
        if isinstance(queue, RedisQueue):
            for key in queue._client.scan_iter(f"{queue._root}:*"):
                queue._client.delete(key)
        elif isinstance(queue, SqlQueue):
            with engine.begin() as connection:
                connection.execute(jobs.delete())
        else:
            queue._entries.clear()
        for watch in (every, named):
            while found := watch.wait(NOW):  # what was on its way
                assert {event.job_id for event in found} <= {done, running}
        with pytest.raises(LeaseLostError):
            queue.complete(held)
        [job_id] = queue.enqueue(new_job())
        queue.complete(claimed(queue))
        assert [event.job_id for event in every.wait(LONG)] == [job_id]
        assert named.wait(NOW) == []
    engine.dispose()
