import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import redis
from sqlalchemy import create_engine, text

from mamkit.jobs import Queue
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import new_job
from tests.redis_server import RedisServer

WORKER = Path(__file__).with_name("queue_worker.py")
TOTAL = 200


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def crowd(
    url: str, queue: Queue, tmp_path: Path, fences: Callable[[], dict[str, int]], trouble: Callable[[], None]
) -> None:
    """Let five processes drain a queue: two are killed in the middle of a job, one at any moment, one stalls.

    Args:
        url: For the processes.
        queue: The same queue, empty.
        tmp_path: For their logs.
        fences: Gives the newest fence of each job.
        trouble: What happens once half of the jobs are done.
    """
    fates = ["die", "die", "stall", "none", "none"]
    logs = [tmp_path / f"{number}.log" for number in range(len(fates))]
    workers = [
        subprocess.Popen([sys.executable, str(WORKER), url, str(log), str(TOTAL), fate])
        for log, fate in zip(logs, fates, strict=True)
    ]

    def events() -> list[list[str]]:
        return [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]

    try:
        ids = queue.enqueue(*(new_job(payload={"number": number}) for number in range(TOTAL)))
        wait_until(lambda: {"die", "stall"} <= {event[0] for event in events()}, "the workers' fate")
        wait_until(lambda: queue.depth().counts["done"] > TOTAL // 2, "half of the jobs")
        trouble()
        workers[3].kill()
        wait_until(lambda: queue.depth().counts["done"] == TOTAL, "all jobs")
        os.kill(workers[2].pid, signal.SIGCONT)
        assert [worker.wait(30) for worker in workers] == [-9, -9, 0, -9, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    completed = {event[1]: int(event[2]) for event in events() if event[0] == "completed"}
    counts = Counter(event[1] for event in events() if event[0] == "completed")
    unsure = {event[1] for event in events() if event[0] == "unsure"}
    last = fences()
    assert {str(job_id) for job_id in ids} == set(last)
    assert set(counts.values()) == {1}, "a job was finished twice"
    # The worker that was killed at any moment may have finished one job that it could not note any more.
    assert len(completed.keys() | unsure) >= TOTAL - 1
    assert all(fence == last[job_id] for job_id, fence in completed.items())
    struck = [event for event in events() if event[0] in {"die", "stall"}]
    assert len(struck) == 3
    for _, job_id, fence in struck:
        assert last[job_id] > int(fence), "a job went on under the fence of a worker that had lost it"
    assert ["lost", *struck[-1][1:]] in events()


def test_killed_and_stalled_workers_lose_no_job_and_finish_none_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    engine = create_engine(url)
    queue = SqlQueue(engine)
    queue.create_schema()

    def fences() -> dict[str, int]:
        with engine.connect() as connection:
            return {str(UUID(row.id)): row.fence for row in connection.execute(text("SELECT id, fence FROM jobs"))}

    crowd(url, queue, tmp_path, fences, lambda: None)
    engine.dispose()


def test_the_same_holds_when_redis_is_killed_and_started_again(tmp_path: Path, own_redis: RedisServer) -> None:
    """With an append-only file, a Redis that is killed forgets nothing that it has answered."""
    queue = RedisQueue.from_url(own_redis.start().url)
    client = redis.Redis.from_url(own_redis.url, decode_responses=True)

    def fences() -> dict[str, int]:
        names = client.scan_iter("{mamkit}:jobs:job:*", count=TOTAL)
        return {name.rpartition(":")[2]: int(str(client.hget(name, "fence"))) for name in names}

    def restart() -> None:
        for _ in range(3):
            own_redis.kill()
            time.sleep(0.1)
            own_redis.start()
            time.sleep(0.1)

    crowd(own_redis.url, queue, tmp_path, fences, restart)
    client.close()
    queue.close()
