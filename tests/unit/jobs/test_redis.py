"""What is particular to `RedisQueue`; what every queue does is in tests/contract/test_jobs.py."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mamkit.ids import uuid7
from mamkit.jobs import InvalidJobError, JobNotFoundError, LeaseLostError, QueueUnavailableError, UnsupportedServerError
from mamkit.jobs.redis import RedisQueue
from mamkit.testing.jobs import ManualClock, claimed, new_job
from tests.redis_server import RedisServer

LEASE = timedelta(seconds=30)
LONG = timedelta(seconds=30)
SHORT = timedelta(seconds=0.05)


@pytest.fixture
def queue(redis_server: RedisServer) -> Iterator[RedisQueue]:
    queue = RedisQueue.from_url(redis_server.url, name=str(uuid7()))
    yield queue
    queue.close()


def commands(client: "redis.Redis") -> int:
    """Return how many commands the server has run, those of scripts included."""
    stats = client.info("commandstats")
    return sum(each["calls"] for each in stats.values())


def test_the_server_is_fit_for_a_queue(queue: RedisQueue) -> None:
    queue.check()


def test_the_time_is_that_of_the_server(queue: RedisQueue) -> None:
    before = datetime.now(UTC)
    [job_id] = queue.enqueue(new_job())
    assert before <= queue.get(job_id).created_at <= datetime.now(UTC)


def test_queues_of_other_names_are_other_queues(queue: RedisQueue, redis_server: RedisServer) -> None:
    other = RedisQueue.from_url(redis_server.url, name=str(uuid7()))
    queue.enqueue(new_job(dedupe_key="k"))
    assert other.claim("worker", lease=LEASE) is None
    other.enqueue(new_job(dedupe_key="k"))
    assert other.depth().counts["waiting"] == queue.depth().counts["waiting"] == 1
    other.close()


def test_a_client_may_decode_what_it_gets(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    queue = RedisQueue(client, name=str(uuid7()))
    [job_id] = queue.enqueue(new_job(payload={"name": "Ünï"}, dedupe_key="k"))
    lease = claimed(queue)
    assert lease.job == queue.get(job_id)
    assert queue.list() == [lease.job]
    assert queue.retry(lease, reason="again", delay=LEASE) == "waiting"
    client.close()


def test_a_purge_leaves_nothing_behind(redis_server: RedisServer) -> None:
    """Of a queue whose jobs are all forgotten, what is left is a fixed handful of keys."""
    client = redis.Redis.from_url(redis_server.url)
    queue = RedisQueue(client, name=(name := str(uuid7())))
    ids = queue.enqueue(*(new_job(dedupe_key=str(number), kind=f"kind-{number % 3}") for number in range(2500)))
    for _ in range(5):
        queue.complete(claimed(queue))
    for job_id in ids[5:]:
        queue.cancel(job_id)
    assert queue.purge(finished_before=datetime.now(UTC) + LEASE) == 2500
    assert queue.claim("worker", lease=LEASE) is None
    assert {bytes(name).rpartition(b":")[2] for name in client.scan_iter(f"{{{name}}}:*")} == {
        b"bell",
        b"clock",
        b"sequence",
    }
    client.close()


def test_a_claim_costs_the_same_however_many_wait(redis_server: RedisServer) -> None:
    """In commands that the server runs; each of them takes a time that grows with the logarithm of the number.

    Jobs of other kinds cost nothing either, although they are more urgent: those of workers with a card, say.
    """
    client = redis.Redis.from_url(redis_server.url)
    queue = RedisQueue(client, name=str(uuid7()), clock=ManualClock())
    queue.enqueue(new_job())
    queue.complete(claimed(queue))
    costs = []
    for waiting in (10, 5000):
        queue.enqueue(
            *(new_job() for _ in range(waiting)), *(new_job(kind="card", priority=-1) for _ in range(waiting))
        )
        before = commands(client)
        lease = queue.claim("worker", kinds=["test", "other"], lease=LEASE)
        assert lease is not None
        queue.complete(lease)
        costs.append(commands(client) - before)
    assert costs[0] == costs[1] < 50
    client.close()


def test_too_many_jobs_for_one_call_are_refused_whole(queue: RedisQueue) -> None:
    with pytest.raises(InvalidJobError) as caught:
        queue.enqueue(*[new_job()] * 100_001)
    assert caught.value.field == "jobs"
    assert queue.list() == []


def test_a_large_batch_is_taken(queue: RedisQueue) -> None:
    """More values than Lua unpacks at once."""
    ids = queue.enqueue(*[new_job()] * 20_000)
    assert len(set(ids)) == 20_000
    assert claimed(queue).job.id == ids[0]
    assert queue.list(limit=1)[0].id == ids[-1]


def test_more_leases_than_one_script_takes_are_completed(queue: RedisQueue) -> None:
    queue.enqueue(*[new_job()] * 2500)
    leases = [lease for _ in range(3) for lease in queue.claim_many("me", 1000, lease=LEASE)]
    queue.cancel(leases[1700].job.id)
    assert queue.complete_many(leases) == [leases[1700]]
    assert queue.depth().counts["done"] == 2499


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_queue_needs_a_name(name: str) -> None:
    with pytest.raises(InvalidJobError):
        RedisQueue.from_url("redis://127.0.0.1", name=name)


# Waiting


def test_waiting_ends_when_a_job_comes(queue: RedisQueue) -> None:
    asked = Event()

    def wait() -> bool:
        asked.set()
        return queue.wait(LONG, kinds=["test"])

    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(wait)
        asked.wait()
        started = time.monotonic()
        queue.enqueue(new_job())
        assert answer.result()
    assert time.monotonic() - started < LONG.total_seconds()


def test_waiting_ends_when_nothing_comes(queue: RedisQueue) -> None:
    assert not queue.wait(timedelta(0))
    assert not queue.wait(SHORT)


def test_waiting_is_over_at_once_when_a_job_is_there(queue: RedisQueue) -> None:
    """Whether it was added, failed, was handed back, or its lease ran out."""
    queue.enqueue(new_job())
    assert queue.wait(timedelta(0))
    lease = claimed(queue)
    assert not queue.wait(timedelta(0))
    queue.retry(lease, reason="again", delay=timedelta(0))
    assert queue.wait(timedelta(0))
    queue.release(claimed(queue))
    assert queue.wait(timedelta(0))
    assert queue.claim("worker", lease=SHORT) is not None
    assert queue.wait(LONG)
    claimed(queue, "second")


def test_waiting_ends_when_a_delayed_job_is_due(queue: RedisQueue) -> None:
    queue.enqueue(new_job(delay=timedelta(seconds=0.1)))
    assert not queue.wait(timedelta(0))
    assert queue.wait(LONG)
    claimed(queue)


def test_jobs_of_other_kinds_are_not_waited_for(queue: RedisQueue) -> None:
    queue.enqueue(new_job(kind="other"))
    assert not queue.wait(SHORT, kinds=["test"])
    assert not queue.wait(LONG, kinds=[])
    assert queue.wait(SHORT, kinds=["other", "test"])
    with pytest.raises(InvalidJobError):
        queue.wait(SHORT, kinds="test")


# Trouble


def test_a_job_that_the_server_has_lost_stands_in_nobodys_way(queue: RedisQueue, redis_server: RedisServer) -> None:
    """Thrown out by an eviction that somebody allowed: whether it waited, was delayed, ran, or had ended."""
    client = redis.Redis.from_url(redis_server.url)
    root = queue._root
    lost = [
        *queue.enqueue(new_job(priority=-1), new_job(delay=SHORT, dedupe_key="late"), new_job(priority=-1)),
        *queue.enqueue(new_job(priority=-3), new_job(priority=-2, dedupe_key="k")),
    ]
    done, running = (queue.claim("worker", lease=lease) for lease in (LEASE, SHORT))
    assert done is not None
    assert running is not None
    queue.complete(done)
    for job_id in lost:
        assert client.delete(f"{root}:job:{job_id}")
    # Who has put such a job in finds that it is not there, and puts it in again.
    [again] = queue.enqueue(new_job(dedupe_key="k"))
    assert again not in lost
    assert queue.list() == [queue.get(again)]
    time.sleep(2 * SHORT.total_seconds())
    assert claimed(queue).job.id == again
    assert queue.claim("worker", lease=LEASE) is None
    assert queue.claim_many("worker", 10, lease=LEASE) == []
    queue.purge(finished_before=datetime.now(UTC) + LEASE)
    assert queue.depth().counts == {"waiting": 0, "running": 1, "done": 0, "dead": 0, "cancelled": 0}
    with pytest.raises(LeaseLostError):
        queue.complete(running)
    client.close()


def test_a_server_without_memory_lets_leases_go_on_when_its_clock_goes_back(own_redis: RedisServer) -> None:
    own_redis.options = ("--maxmemory", "6mb")
    clock = ManualClock()
    queue = RedisQueue.from_url(own_redis.start().url, clock=clock)
    queue.enqueue(new_job(), new_job())
    lease = claimed(queue)
    with suppress(QueueUnavailableError):
        while True:
            queue.enqueue(*[new_job(payload={"text": "x" * 100_000}, priority=1)] * 10)
    for step in (timedelta(seconds=5), timedelta(hours=-1), timedelta(seconds=5)):
        clock.advance(step)
        lease = queue.renew(lease, by=LEASE)
    assert claimed(queue).job.priority == 0
    queue.complete(lease)
    queue.close()


def test_a_server_that_is_not_there_makes_the_queue_unavailable() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        queue = RedisQueue.from_url(f"redis://:hunter2@127.0.0.1:{taken.getsockname()[1]}")
        for ask in (queue.check, queue.depth, lambda: queue.wait(SHORT), lambda: queue.enqueue(new_job())):
            with pytest.raises(QueueUnavailableError) as caught:
                ask()
            assert isinstance(caught.value.__cause__, RedisConnectionError)
            assert "hunter2" not in f"{caught.value}{caught.value.__cause__}{queue!r}"


def test_a_restart_keeps_jobs_leases_and_fences(own_redis: RedisServer) -> None:
    """The script is gone with the old process, and is loaded anew on the same connections."""
    queue = RedisQueue.from_url(own_redis.start().url)
    first, second, third = queue.enqueue(new_job(dedupe_key="k"), new_job(delay=LEASE), new_job())
    lease = claimed(queue)
    own_redis.kill()
    with pytest.raises(QueueUnavailableError):
        queue.renew(lease, by=LEASE)
    own_redis.start()
    assert queue.renew(lease, by=LEASE).fence == lease.fence
    assert queue.enqueue(new_job(dedupe_key="k")) == [first]
    assert claimed(queue).job.id == third
    assert queue.get(second).state == "waiting"
    queue.complete(lease)
    assert queue.depth().counts == {"waiting": 1, "running": 1, "done": 1, "dead": 0, "cancelled": 0}
    queue.close()


def test_a_server_that_may_forget_jobs_is_refused(own_redis: RedisServer) -> None:
    own_redis.options = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    queue = RedisQueue.from_url(own_redis.start().url)
    with pytest.raises(UnsupportedServerError, match="noeviction") as caught:
        queue.check()
    assert caught.value.version
    queue.close()


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_a_server_without_memory_takes_no_job_and_finishes_those_it_has(own_redis: RedisServer, policy: str) -> None:
    """A batch is refused whole, and what is in hand can still be brought to its end."""
    own_redis.options = ("--maxmemory", "6mb", "--maxmemory-policy", policy)
    queue = RedisQueue.from_url(own_redis.start().url)
    queue.check()
    batch = [new_job(payload={"text": "x" * 100_000})] * 10
    added = 0
    with suppress(QueueUnavailableError):
        while added < 1000:
            added += len(queue.enqueue(*batch))
    assert 0 < added < 1000
    assert queue.depth().counts["waiting"] == added == len(queue.list(limit=1000))
    queue.cancel(queue.list(limit=1)[0].id)
    queue.close()


def test_a_replica_that_became_the_master_without_the_last_writes_lets_nobody_hold_a_job_twice(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """What it has not heard of has not been: a job that was put in, a claim whose fence it gives again, an end."""
    own_redis.options = ("--repl-diskless-sync-delay", "0")
    first = RedisQueue.from_url(own_redis.start().url)
    kept, claimed_before, ended = first.enqueue(new_job(), new_job(), new_job())
    for _ in range(2):
        assert first.claim("before", lease=LEASE) is not None
    own = first.claim("before", lease=LEASE)
    assert own is not None
    first.release(own)
    with RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(own_redis.port)) as replica:
        with redis.Redis.from_url(replica.url) as new:
            deadline = time.monotonic() + 30
            while new.get("{mamkit}:jobs:sequence") != b"3":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            new.replicaof("NO", "ONE")
        [forgotten] = first.enqueue(new_job(dedupe_key="k"))
        held = first.claim("before", lease=LEASE)
        assert held is not None
        assert (held.job.id, held.fence) == (ended, 2)
        own_redis.kill()
        second = RedisQueue.from_url(replica.url)
        with pytest.raises(JobNotFoundError):
            second.get(forgotten)
        assert second.enqueue(new_job(dedupe_key="k")) != [forgotten]
        again = second.claim("after", lease=LEASE)
        assert again is not None
        assert (again.job.id, again.fence) == (held.job.id, held.fence)
        for attempt in (second.complete, lambda lease: second.renew(lease, by=LEASE), second.release):
            with pytest.raises(LeaseLostError):
                attempt(held)
        second.complete(again)
        assert {second.get(job_id).state for job_id in (kept, claimed_before)} == {"running"}
        second.close()
    first.close()


def test_a_clock_of_the_server_that_goes_back_delays_no_job_by_as_much(redis_server: RedisServer) -> None:
    """Set back by an hour, seen from what a client wrote before; then the server's own time goes on."""
    name, short = str(uuid7()), timedelta(seconds=0.2)
    ahead = RedisQueue.from_url(redis_server.url, name=name, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    queue = RedisQueue.from_url(redis_server.url, name=name)
    ids = ahead.enqueue(new_job(priority=-1), new_job(), new_job(delay=short))
    assert ahead.claim("dead", lease=short) is not None
    found: list[UUID] = []
    deadline = time.monotonic() + 30
    while len(found) < 3:
        assert queue.wait(LONG)
        assert time.monotonic() < deadline
        if (lease := queue.claim("worker", lease=LEASE)) is not None:
            found.append(lease.job.id)
    assert found[0] == ids[1]
    assert set(found) == set(ids)
    for each in (ahead, queue):
        each.close()
