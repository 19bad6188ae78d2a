"""`RedisQueue` where Sentinel watches over Redis: what was answered outlives the master."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar
from uuid import UUID

import pytest
import redis

from mamkit.jobs import InvalidJobError, LeaseLostError, QueueUnavailableError
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sentinel import SentinelUrl, aclose
from mamkit.testing.jobs import new_job
from tests.redis_server import RedisServer, binary, free_port

T = TypeVar("T")
Site = tuple[RedisServer, list[RedisServer], str]
"""A master, its replicas, and the URL of the sentinel that knows them."""

LEASE = timedelta(seconds=30)
SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor films 127.0.0.1 {master} 1
sentinel down-after-milliseconds films 300
sentinel failover-timeout films 3000
"""


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def again(act: Callable[[], T]) -> T:
    """Do something as a client does whose queue may be away."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return act()
        except QueueUnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextmanager
def watched(folder: Path, master: RedisServer) -> Iterator[int]:
    """Run a sentinel; give its port."""
    folder.mkdir()
    settings, port = folder / "sentinel.conf", free_port()
    settings.write_text(SENTINEL.format(port=port, folder=folder, master=master.port))
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([str(binary()), str(settings), "--sentinel"], stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def site(redis_server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """See `Site`."""
    del redis_server  # skips where there is none
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(tmp_path / "master"))
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        replicas = [stack.enter_context(RedisServer(tmp_path / name, *follow)) for name in ("one", "two")]
        port = stack.enter_context(watched(tmp_path / "sentinel", master))
        sentinel = stack.enter_context(redis.Redis(port=port))

        def complete() -> bool:
            try:
                return len(sentinel.sentinel_slaves("films")) == len(replicas)
            except redis.RedisError:
                return False

        until(complete, "the sentinel's word of the replicas")
        for replica in replicas:
            until(lambda replica=replica: linked(replica), "the link of a replica")  # type: ignore[misc]
        yield master, replicas, f"redis+sentinel://127.0.0.1:{port}/films/0"


def linked(replica: RedisServer) -> bool:
    with redis.Redis.from_url(replica.url) as client:
        return bool(client.info("replication")["master_link_status"] == "up")


def test_no_job_that_was_taken_is_lost_with_the_master(site: Site) -> None:
    """And no fence is given twice, no end is forgotten by a subscriber, whoever asked goes on by itself."""
    master, _, url = site
    queue = RedisQueue.from_url(url, replicas=1)
    queue.check()
    taken: list[UUID] = []
    over = Event()

    def put_in() -> None:
        while not over.is_set():
            taken.extend(again(lambda: queue.enqueue(new_job(), new_job())))
            time.sleep(0.01)

    thread = Thread(target=put_in)
    thread.start()
    try:
        until(lambda: len(taken) > 20, "jobs before")
        held = queue.claim("worker", lease=LEASE)
        watch = queue.watch()
        master.kill()
        before = len(taken)
        until(lambda: len(taken) > before + 20, "jobs after the failover")
    finally:
        over.set()
        thread.join()
    assert held is not None
    kept = {job.id for job in again(lambda: queue.list(limit=1000))}
    assert set(taken) <= kept
    assert again(lambda: queue.holds(held.job.id, held.fence))
    again(lambda: queue.complete(held))
    found = again(lambda: watch.wait(timedelta(seconds=20)))
    assert [event.job_id for event in found] == [held.job.id]
    with pytest.raises(LeaseLostError):
        queue.complete(held)
    watch.close()
    queue.close()


def test_what_no_replica_has_is_not_answered_for(site: Site) -> None:
    _, replicas, url = site
    strict, plain = RedisQueue.from_url(f"{url}?replicas=1"), RedisQueue.from_url(url)
    strict.enqueue(new_job())
    for replica in replicas:
        replica.kill()
    with pytest.raises(QueueUnavailableError, match="0 of 1 replicas"):
        strict.enqueue(new_job())
    assert len(plain.list()) == 2  # it may have been done all the same
    strict.close()
    plain.close()


def test_a_master_that_has_become_a_replica_is_left(site: Site) -> None:
    """A failover that nobody died of: connections to the old master are still open."""
    master, [replica, _], url = site
    queue = RedisQueue.from_url(url)
    queue.enqueue(new_job())
    with redis.Redis.from_url(master.url) as old, redis.Redis.from_url(replica.url) as new:
        until(lambda: new.exists("{mamkit}:jobs:sequence") == 1, "the job at the replica")
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", str(replica.port))
        with pytest.raises(QueueUnavailableError):
            queue.enqueue(new_job())
    queue.close()


def test_what_runs_on_asyncio_follows_the_master_too(site: Site) -> None:
    async def ask() -> int:
        client = SentinelUrl.parse(site[2]).async_client(socket_timeout=10)
        try:
            return int((await client.info("server"))["tcp_port"])
        finally:
            await aclose(client)

    assert asyncio.run(ask()) == site[0].port


def test_without_a_sentinel_that_answers_the_queue_is_unavailable() -> None:
    queue = RedisQueue.from_url(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/films")
    with pytest.raises(QueueUnavailableError):
        queue.enqueue(new_job())
    queue.close()


def test_a_url_says_all_that_there_is_to_say() -> None:
    url = "rediss+sentinel://ada:p%40ss@one,two:26380,[::1]:1/films/3?sentinel_password=other&replicas=2"
    found = SentinelUrl.parse(url)
    assert found == SentinelUrl(
        sentinels=(("one", 26379), ("two", 26380), ("::1", 1)),
        service="films",
        database=3,
        username="ada",
        password="p@ss",
        sentinel_password="other",
        tls=True,
        replicas=2,
    )
    assert "p@ss" not in repr(found)
    assert "other" not in repr(found)


@pytest.mark.parametrize(
    "rest",
    [
        "one",
        "one/",
        "/films",
        "one,/films",
        "one:port/films",
        "one/films/x",
        "one/films/-1",
        "one/films?replicas=x",
        "one/films?replicas=101",
        "one/films?timeout=1",
        "one/films#part",
    ],
)
def test_a_url_that_is_not_of_the_form_is_refused_without_its_secret(rest: str) -> None:
    with pytest.raises(InvalidJobError) as caught:
        RedisQueue.from_url(f"redis+sentinel://:secret@{rest}")
    assert caught.value.field == "url"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("replicas", [-1, 101, "1"])
def test_an_impossible_number_of_replicas_is_refused(replicas: int) -> None:
    with pytest.raises(InvalidJobError):
        RedisQueue.from_url("redis://127.0.0.1", replicas=replicas)
