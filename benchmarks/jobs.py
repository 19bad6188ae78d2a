"""The queue in Redis beside taskiq (taskiq-redis streams), streaq and arq, on the same server in the same run.

The peers are not among mamkit's own tools:
`uv run --group dev --with taskiq-redis --with streaq --with arq python -m benchmarks.jobs`.
One that is missing, or that the server is too old for (streaq needs Redis 7), is left out; a row without any peer does
not hold. Each system puts jobs in and takes them out as it can do best: ours in batches, as a worker of short jobs
would.
Every write is on disk before it is answered, for all of them; for the time to start, see `EVERY_SECOND`.
"""

import functools
import itertools
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import create_engine

from benchmarks._harness import Row, main, median, rounds_of
from benchmarks._job_systems import ENTRY, SYSTEMS
from mamkit.jobs import NewJob, Queue
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from tests.redis_server import RedisServer

LEASE = timedelta(seconds=30)
PATIENCE = 120.0  # seconds for one measurement of one system; a peer that takes longer is left out
EVERY_SECOND = ("--appendfsync", "everysec")  # Redis's own setting, where the file is kept at all
START_BOUND = 10.0  # milliseconds from enqueue to start, 99th percentile


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    count, rounds, crowd = (2_000, 3, 20_000) if quick else (20_000, 5, 1_000_000)
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as folder:
        for turn in range(rounds):
            for system in (*SYSTEMS[turn % len(SYSTEMS) :], *SYSTEMS[: turn % len(SYSTEMS)]):
                for name, value in _one(system, Path(folder, f"{turn}-{system}"), count).items():
                    taken.setdefault(name, {}).setdefault(system, []).append(value)
        rows = [_beside_the_best(name, values) for name, values in taken.items()]
        with RedisServer(Path(folder, "own")) as server, RedisServer(Path(folder, "second"), *EVERY_SECOND) as other:
            starts = _times_to_start(other, server, 300 if quick else 2000)
            return [*rows, *starts, _cost(server, crowd), _cost_in_a_database(Path(folder), crowd // 10)]


def _one(system: str, folder: Path, count: int) -> dict[str, float]:
    """Return the rates of one system on a fresh server; none if it does not work here."""
    found = {}
    with RedisServer(folder) as server:
        for workers in (1, 2):
            command = [sys.executable, "-m", "benchmarks._job_systems", system]
            put = subprocess.run(
                [*command, "enqueue", server.url, str(count)], capture_output=True, text=True, check=False
            )
            if put.returncode != 0:
                return {}
            found[f"enqueue {count:,}"] = count / float(put.stdout)
            rate = _drain([*command, "work", server.url], folder / f"tally-{workers}", workers, count)
            if rate is None:
                return {}
            found[f"complete {count:,} with {workers} worker{'s' * (workers > 1)}"] = rate
    return found


def _drain(command: list[str], tally: Path, workers: int, count: int) -> float | None:
    """Return how many jobs a second some workers do between the begin of the first and of the last."""
    tally.write_bytes(bytes(ENTRY.size * workers))
    running = [
        subprocess.Popen([*command, str(tally), str(index)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for index in range(workers)
    ]
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            entries: list[tuple[int, float, float]] = list(ENTRY.iter_unpack(tally.read_bytes()))
            if sum(done for done, _, _ in entries) >= count:
                began = min(first for done, first, _ in entries if done)
                return count / (max(last for _, _, last in entries) - began)
            if time.monotonic() > deadline or all(worker.poll() is not None for worker in running):
                return None
            time.sleep(0.02)
    finally:
        for worker in running:
            worker.kill()
            worker.wait()


def _beside_the_best(name: str, values: dict[str, list[float]]) -> Row:
    medians = {system: sorted(rates)[len(rates) // 2] for system, rates in values.items()}
    ours = medians.pop("mamkit")
    best = max(medians, key=lambda system: medians[system], default=None)
    others = ", ".join(f"{system} {rate:,.0f}" for system, rate in medians.items())
    missing = ", ".join(f"{system} not here" for system in SYSTEMS[1:] if system not in medians)
    return Row(
        name=name, ours=ours, unit="jobs/s", peer="; ".join(filter(None, [f"best of {others}", missing])),
        peer_value=None if best is None else medians[best], target=">= 1.0",
    )  # fmt: skip


def _times_to_start(second: RedisServer, always: RedisServer, count: int) -> list[Row]:
    """Measure how long a job waits for a worker that has nothing to do; a disk that must have it first is not ours."""
    name = "enqueue to start, idle, p99"
    return [
        Row(
            name=name, ours=_time_to_start(second, count), unit="ms",
            peer="bound", peer_value=START_BOUND, target="<= 1.0",
        ),
        Row(name=f"{name}, each write on disk first", ours=_time_to_start(always, count), unit="ms", peer=""),
    ]  # fmt: skip


def _time_to_start(server: RedisServer, count: int) -> float:
    """Return the 99th percentile, in milliseconds."""
    queue = RedisQueue.from_url(server.url, name="idle")
    waits: list[float] = []

    def work() -> None:
        while len(waits) < count:
            lease = queue.claim("worker", lease=LEASE)
            if lease is None:
                queue.wait(timedelta(seconds=1))
                continue
            waits.append(time.perf_counter() - lease.job.payload["at"])
            queue.complete(lease)

    worker = threading.Thread(target=work)
    worker.start()
    for number in itertools.count():
        if not worker.is_alive():
            break
        if len(waits) == number:
            time.sleep(0.003)  # until the worker waits again
        queue.enqueue(NewJob(kind="noop", payload={"at": time.perf_counter()}))
        while len(waits) <= number and worker.is_alive():
            time.sleep(0.0005)
    worker.join()
    queue.close()
    return sorted(waits)[int(len(waits) * 0.99)] * 1000


def _cost(server: RedisServer, crowd: int) -> Row:
    """Measure one job's whole way while few and while many others wait, in turns."""
    queues = {waiting: RedisQueue.from_url(server.url, name=f"crowd-{waiting}") for waiting in (1_000, crowd)}
    for waiting, queue in queues.items():
        for _ in range(0, waiting, 1000):
            queue.enqueue(*[NewJob(kind="noop", payload={}, priority=1)] * 1000)

    taken = rounds_of({waiting: functools.partial(_whole_way, queue, None) for waiting, queue in queues.items()}, 500)
    for queue in queues.values():
        queue.close()
    few, many = taken.values()
    return Row(
        name=f"enqueue, claim and complete while {crowd:,} wait", ours=median(many), unit="ms",
        peer="while 1,000 wait", peer_value=median(few), target="<= 1.25",
    )  # fmt: skip


def _cost_in_a_database(folder: Path, crowd: int) -> Row:
    """Measure the same in SQLite while more urgent ones wait, of a kind that is not asked for, or for their time.

    So jobs for a card wait in front of those for processors, and so do those that have failed.
    """
    engines = {waiting: create_engine(f"sqlite:///{folder}/crowd-{waiting}.db") for waiting in (crowd // 20, crowd)}
    queues = {waiting: SqlQueue(engine) for waiting, engine in engines.items()}
    for waiting, queue in queues.items():
        queue.create_schema()
        for start in range(0, waiting, 1000):
            most = min(1000, waiting - start)
            queue.enqueue(*[NewJob(kind="card", payload={}, priority=-1)] * most)
            queue.enqueue(*[NewJob(kind="noop", payload={}, priority=-1, delay=timedelta(hours=1))] * most)

    taken = rounds_of(
        {waiting: functools.partial(_whole_way, queue, ["noop", "plan"]) for waiting, queue in queues.items()}, 200
    )
    for engine in engines.values():
        engine.dispose()
    few, many = taken.values()
    return Row(
        name=f"the same in SQLite while {crowd:,} of another kind and delayed", ours=median(many), unit="ms",
        peer=f"while {crowd // 20:,} wait", peer_value=median(few), target="<= 1.25",
    )  # fmt: skip


def _whole_way(queue: Queue, kinds: Sequence[str] | None) -> float:
    """Enqueue, claim and complete one job, and return the milliseconds that took."""
    start = time.perf_counter()
    queue.enqueue(NewJob(kind="noop", payload={}))
    lease = queue.claim("worker", kinds=kinds, lease=LEASE)
    assert lease is not None
    queue.complete(lease)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main("jobs", measure)
