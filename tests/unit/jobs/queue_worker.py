"""A worker process for test_processes.py: `queue_worker.py URL LOG TOTAL FATE`.

It drains the queue until TOTAL jobs are done, and writes what happened to LOG, a line an event. After a few jobs its
FATE may overtake it while it holds a lease: `die` (kill -9) or `stall` (stopped, until somebody lets it continue).
"""

import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import create_engine, event

from mamkit.jobs import Lease, LeaseLostError, Queue, QueueUnavailableError
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue

T = TypeVar("T")

LEASE = timedelta(seconds=0.4)
JOBS_BEFORE_FATE = 5


def open_queue(url: str) -> Queue:
    """Return the queue in a database or a Redis."""
    if url.startswith("redis:"):
        return RedisQueue.from_url(url)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    queue = SqlQueue(engine)
    queue.create_schema()
    return queue


def steadily(ask: Callable[[], T]) -> T:
    """Ask again for as long as the queue cannot be reached."""
    while True:
        try:
            return ask()
        except QueueUnavailableError:
            time.sleep(0.02)


def complete(queue: Queue, lease: Lease) -> str:
    """Complete a job and return what became of that: `unsure` when the answer was lost and the lease was gone then."""
    outcomes = ("completed", "lost")
    while True:
        try:
            queue.complete(lease)
            return outcomes[0]
        except LeaseLostError:
            return outcomes[1]
        except QueueUnavailableError:
            outcomes = ("completed", "unsure")
            time.sleep(0.02)


def main(url: str, log: str, total: int, fate: str) -> None:
    """Work until all is done."""
    queue = open_queue(url)
    taken = 0
    with open(log, "a", buffering=1) as events:  # noqa: PTH123 - each line is on disk before the next step
        while steadily(queue.depth).counts["done"] < total:
            lease = steadily(lambda: queue.claim(f"worker-{os.getpid()}", lease=LEASE))
            if lease is None:
                time.sleep(0.02)
                continue
            taken += 1
            if taken == JOBS_BEFORE_FATE and fate != "none":
                events.write(f"{fate} {lease.job.id} {lease.fence}\n")
                os.kill(os.getpid(), signal.SIGKILL if fate == "die" else signal.SIGSTOP)
            time.sleep(random.uniform(0, 0.01))
            events.write(f"{complete(queue, lease)} {lease.job.id} {lease.fence}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
