import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, text

from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import new_job

WORKER = Path(__file__).with_name("queue_worker.py")
TOTAL = 200


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def test_killed_and_stalled_workers_lose_no_job_and_finish_none_twice(tmp_path: Path) -> None:
    """Of five processes two are killed in the middle of a job, one at any moment, and one stalls past its lease."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    engine = create_engine(url)
    queue = SqlQueue(engine)
    fates = ["die", "die", "stall", "none", "none"]
    logs = [tmp_path / f"{number}.log" for number in range(len(fates))]
    workers = [
        subprocess.Popen([sys.executable, str(WORKER), url, str(log), str(TOTAL), fate])
        for log, fate in zip(logs, fates, strict=True)
    ]

    def events() -> list[list[str]]:
        return [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]

    try:
        queue.create_schema()
        ids = queue.enqueue(*(new_job(payload={"number": number}) for number in range(TOTAL)))
        wait_until(lambda: {"die", "stall"} <= {event[0] for event in events()}, "the workers' fate")
        wait_until(lambda: queue.depth().counts["done"] > TOTAL // 2, "half of the jobs")
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
    with engine.connect() as connection:
        fences = {row.id: row.fence for row in connection.execute(text("SELECT id, fence FROM jobs"))}
    engine.dispose()
    assert {job_id.hex for job_id in ids} == set(fences)
    assert set(counts.values()) == {1}, "a job was finished twice"
    # The worker that was killed at any moment may have finished one job that it could not note any more.
    assert len(completed) >= TOTAL - 1
    assert all(fence == fences[job_id.replace("-", "")] for job_id, fence in completed.items())
    struck = [event for event in events() if event[0] in {"die", "stall"}]
    assert len(struck) == 3
    for _, job_id, fence in struck:
        assert completed[job_id] > int(fence), "a job went on under the fence of a worker that had lost it"
    assert ["lost", *struck[-1][1:]] in events()
