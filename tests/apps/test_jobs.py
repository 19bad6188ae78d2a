"""`mamkit jobs …` as an operator uses it, on the queue of an installation."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mamkit.clock import utc_now
from mamkit.ids import uuid7
from mamkit.jobs import Job, JobNotFoundError, Queue, QueueDepth
from mamkit.testing.jobs import claimed, new_job
from mamkit_apps.cli import cli
from mamkit_apps.cli.jobs import _standing, _summary
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import migrate, open_queue
from tests.redis_server import RedisServer

Run = Callable[..., str]


@pytest.fixture(params=["the database", "Redis"])
def run(request: pytest.FixtureRequest, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command that must succeed, and return what it prints."""
    if request.param == "Redis":
        server: RedisServer = request.getfixturevalue("own_redis")
        monkeypatch.setenv("REDIS_URL", server.start().url)

    def run(*arguments: object) -> str:
        command = ["jobs", *map(str, arguments), "--data-dir", str(data_dir)]
        return CliRunner().invoke(cli, command, catch_exceptions=False).output

    return run


@pytest.fixture
def queue(run: Run, data_dir: Path) -> Queue:
    settings = ServiceSettings.load(data_dir=data_dir)
    migrate(settings)
    return open_queue(settings)


def state(queue: Queue, job: Job) -> str:
    return queue.get(job.id).state


def test_a_dead_job_is_found_read_and_tried_again(run: Run, queue: Queue) -> None:
    queue.enqueue(new_job(payload={"text": "ü", "version_id": "0198", "part": {"kind": "video", "index": 3}}))
    lease = claimed(queue)
    queue.bury(lease, reason="no such\ncodec \x1b[2J" + "x" * 200)
    queue.enqueue(new_job())
    head, line = run("list", "--state", "dead").splitlines()
    assert head.startswith("1 waiting  0 running  0 done  1 dead  0 cancelled")
    assert line.startswith(f"{lease.job.id}  dead       test  ")
    assert "  1/5  no such codec [2Jxxx" in line
    assert line.endswith("…  [video 3 of version 0198]")
    shown = json.loads(run("show", lease.job.id))
    assert (shown["payload"]["text"], shown["reason"][:13]) == ("ü", "no such\ncodec")
    assert "waits again" in run("retry", lease.job.id)
    assert state(queue, lease.job) == "waiting"


def test_a_list_says_who_has_a_job_and_whether_they_are_silent(run: Run, queue: Queue) -> None:
    queue.enqueue(new_job())
    queue.release(claimed(queue), reason="no API")
    lease = claimed(queue, "host-1:77:0")
    _, line = run("list").splitlines()
    assert "  0% at host-1:77:0, lease for " in line
    [shown] = json.loads(run("list", "--json"))["jobs"]
    assert (shown["worker"], shown["lease_until"]) == ("host-1:77:0", lease.expires_at.isoformat())
    found = queue.get(lease.job.id)
    assert _standing(found, lease.expires_at + timedelta(minutes=7)) == (
        "0% at host-1:77:0, silent for 7 min, after no API"
    )


def test_a_list_says_what_a_waiting_job_waits_for(run: Run, queue: Queue) -> None:
    queue.enqueue(new_job())
    queue.retry(claimed(queue), reason="no route to the store", delay=timedelta(hours=1))
    _, line = run("list").splitlines()
    assert "waiting" in line
    assert line.endswith(("  in 1 h, after no route to the store", "  in 60 min, after no route to the store"))


def test_jobs_that_nobody_takes_are_noticed() -> None:
    now = utc_now()
    waits = QueueDepth(counts={"waiting": 2, "running": 0}, oldest_waiting=now - timedelta(minutes=10))
    assert _summary(waits, now) == "2 waiting  0 running  the oldest waits for 10 min: does a worker run?"
    busy = QueueDepth(counts={"waiting": 2, "running": 1}, oldest_waiting=now - timedelta(minutes=10))
    assert _summary(busy, now) == "2 waiting  1 running  the oldest waits for 10 min"


def test_jobs_are_taken_out_and_forgotten(run: Run, queue: Queue) -> None:
    ids = queue.enqueue(*(new_job() for _ in range(3)))
    lease = claimed(queue)
    assert [line.split()[1] for line in run("cancel", *ids[:2]).splitlines()] == ["cancelled", "cancelled"]
    assert not queue.holds(lease.job.id, lease.fence)
    run("drop", *ids[:2])
    found = json.loads(run("list", "--json"))
    assert [job["id"] for job in found["jobs"]] == [str(ids[2])]
    assert found["counts"] == {"waiting": 1, "running": 0, "done": 0, "dead": 0, "cancelled": 0}


def test_a_list_is_as_long_as_it_is_asked_to_be(run: Run, queue: Queue) -> None:
    ids = queue.enqueue(*(new_job(delay=timedelta(hours=1)) for _ in range(5)))
    lines = run("list", "--limit", 2).splitlines()[1:]
    assert [line.split()[0] for line in lines] == [str(ids[4]), str(ids[3])]


def test_what_is_not_there_is_an_error(run: Run, queue: Queue) -> None:
    for command in ("show", "retry", "drop", "cancel"):
        with pytest.raises(JobNotFoundError):
            run(command, uuid7())
