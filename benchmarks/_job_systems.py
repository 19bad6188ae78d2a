"""Ours and its peers as `benchmarks.jobs` drives them, each in processes of its own.

`python -m benchmarks._job_systems SYSTEM enqueue URL COUNT` puts jobs that do nothing into the system's queue and
prints the seconds that took; `… work URL TALLY INDEX` works until it is killed, and keeps in the file TALLY, at its
place, how many jobs it has done and when the first and the last of them began.
"""

import asyncio
import mmap
import struct
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from mamkit.jobs import NewJob
from mamkit.jobs.redis import RedisQueue

__all__ = ["ENTRY", "SYSTEMS"]

SYSTEMS = ("mamkit", "taskiq", "streaq", "arq")
BATCH = 1000  # jobs that are put in at once, in each system's own way
LEASE = timedelta(seconds=30)
ENTRY = struct.Struct("=qdd")  # jobs, begin of the first and of the last (Unix seconds)
AT_ONCE = 100  # jobs of one worker of ours; the peers run 100 (taskiq), 16 (streaq) and 10 (arq) at once


class Tally:
    """What one worker has done, where the benchmark can see it."""

    def __init__(self, path: str, index: int) -> None:
        self._file = Path(path).open("r+b")  # noqa: SIM115 - open until the process is killed
        self._map = mmap.mmap(self._file.fileno(), 0)
        self._at = index * ENTRY.size
        self._count, self._first = 0, 0.0

    def note(self) -> None:
        """Count a job that begins now."""
        now = time.time()
        self._count += 1
        self._first = self._first or now
        ENTRY.pack_into(self._map, self._at, self._count, self._first, now)


def mamkit_enqueue(url: str, count: int) -> float:
    """Put jobs into a `RedisQueue`."""
    queue = RedisQueue.from_url(url)
    queue.check()
    start = time.perf_counter()
    for done in range(0, count, BATCH):
        queue.enqueue(*(NewJob(kind="noop", payload={}) for _ in range(min(BATCH, count - done))))
    return time.perf_counter() - start


def mamkit_work(url: str, note: Callable[[], None]) -> None:
    """Claim and complete, as many at once as taskiq reads at once."""
    queue = RedisQueue.from_url(url)
    while True:
        leases = queue.claim_many("worker", AT_ONCE, kinds=["noop"], lease=LEASE)
        if not leases:
            queue.wait(timedelta(seconds=1), kinds=["noop"])
        for _ in leases:
            note()
        queue.complete_many(leases)


async def _batches(count: int, put: Callable[[], Any]) -> float:
    start = time.perf_counter()
    for done in range(0, count, BATCH):
        await asyncio.gather(*(put() for _ in range(min(BATCH, count - done))))
    return time.perf_counter() - start


def _taskiq(url: str, note: Callable[[], None]) -> tuple[Any, Any]:
    broker: Any = import_module("taskiq_redis").RedisStreamBroker(
        url, consumer_id="0"
    )  # from the beginning: the jobs may be there before the workers

    @broker.task(task_name="noop")  # type: ignore[untyped-decorator] # a peer may not be installed
    async def noop() -> None:
        note()

    return broker, noop


def taskiq_enqueue(url: str, count: int) -> float:
    """Kick tasks into a stream."""

    async def enqueue() -> float:
        broker, noop = _taskiq(url, lambda: None)
        await broker.startup()
        taken = await _batches(count, noop.kiq)
        await broker.shutdown()
        return taken

    return asyncio.run(enqueue())


def taskiq_work(url: str, note: Callable[[], None]) -> None:
    """Receive as `taskiq worker` does."""
    run_receiver_task = import_module("taskiq.api").run_receiver_task

    async def work() -> None:
        broker, _ = _taskiq(url, note)
        broker.is_worker_process = True
        await run_receiver_task(broker, run_startup=True)

    asyncio.run(work())


def _streaq(url: str, note: Callable[[], None]) -> tuple[Any, Any]:
    worker: Any = import_module("streaq").Worker(redis_url=url)

    @worker.task(name="noop", silent=True, ttl=0)  # type: ignore[untyped-decorator] # as above
    async def noop() -> None:
        note()

    return worker, noop


def streaq_enqueue(url: str, count: int) -> float:
    """Put tasks in with `enqueue_many`."""

    async def enqueue() -> float:
        worker, noop = _streaq(url, lambda: None)
        async with worker:
            start = time.perf_counter()
            for done in range(0, count, BATCH):
                await worker.enqueue_many([noop.enqueue() for _ in range(min(BATCH, count - done))])
            return time.perf_counter() - start

    return asyncio.run(enqueue())


def streaq_work(url: str, note: Callable[[], None]) -> None:
    """Run its worker."""
    worker, _ = _streaq(url, note)
    worker.run_sync()


def arq_enqueue(url: str, count: int) -> float:
    """Enqueue jobs one by one, many at once."""
    arq: Any = import_module("arq")
    settings = import_module("arq.connections").RedisSettings.from_dsn(url)

    async def enqueue() -> float:
        pool = await arq.create_pool(settings)
        turns = asyncio.Semaphore(50)  # its pool refuses more connections than it has, instead of waiting for one

        async def put() -> None:
            async with turns:
                await pool.enqueue_job("noop")

        return await _batches(count, put)

    return asyncio.run(enqueue())


def arq_work(url: str, note: Callable[[], None]) -> None:
    """Run its worker, without results and with the shortest pause that it allows."""
    worker: Any = import_module("arq.worker")
    settings = import_module("arq.connections").RedisSettings.from_dsn(url)

    async def noop(_: object) -> None:
        note()

    async def work() -> None:
        functions = [worker.func(noop, name="noop")]
        await worker.Worker(functions, redis_settings=settings, keep_result=0, poll_delay=0.001).async_run()

    asyncio.run(work())


def main(system: str, action: str, url: str, *arguments: str) -> None:
    """Do what the command line says."""
    if action == "enqueue":
        print(globals()[f"{system}_enqueue"](url, int(arguments[0])))
        return
    globals()[f"{system}_work"](url, Tally(arguments[0], int(arguments[1])).note)


if __name__ == "__main__":
    main(*sys.argv[1:])
