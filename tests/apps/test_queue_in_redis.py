"""The services with `REDIS_URL`: they wait for a Redis that is not there yet, and say so."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from mamkit.jobs.redis import RedisQueue
from mamkit.testing.jobs import new_job
from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.settings import SettingsError
from mamkit_apps.worker.settings import WorkerSettings
from tests.apps.test_demo import MAMKIT, failed_clearly, run
from tests.apps.test_up import free_port
from tests.redis_server import RedisServer


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def worker(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a worker until the block ends; give the process and its log."""
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*MAMKIT, "worker"], cwd=folder, env=os.environ | settings, stderr=output)
    try:
        yield process, log
    finally:
        process.terminate()
        process.wait(30)


def test_a_worker_waits_for_redis_says_so_once_and_shows_what_it_does(tmp_path: Path, own_redis: RedisServer) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with worker(tmp_path, REDIS_URL=own_redis.url, METRICS_PORT=str(port)) as (process, log):
        until(lambda: "waiting for the queue" in log.read_text(), "its word that it waits")
        assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        assert "\nmamkit_queue_up 0\n" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/other").status_code == 404
        own_redis.start()
        until(lambda: "the queue answers again" in log.read_text(), "its word that it goes on")
        queue = RedisQueue.from_url(own_redis.url)
        [job_id] = queue.enqueue(new_job(kind="preview.part", payload={"not": "a part"}))
        until(lambda: queue.get(job_id).reason is not None, "its word on a job that it does not understand")
        job = queue.get(job_id)
        queue.close()
        assert (job.state, job.attempts) == ("waiting", 0)  # for a worker of a later version
        metrics = httpx.get(f"{url}/metrics").text.splitlines()
        assert 'mamkit_queue_jobs{state="waiting"} 1' in metrics
        assert 'mamkit_worker_jobs_total{kind="preview.part",outcome="released"} 1' in metrics
    assert process.returncode == 0
    assert log.read_text().count("waiting for the queue") == 1


def test_an_api_serves_while_redis_is_not_there_yet(tmp_path: Path, own_redis: RedisServer) -> None:
    settings = ApiSettings.load(data_dir=tmp_path / "data", redis_url=own_redis.url)
    prepare(settings)
    with TestClient(create_app(settings)) as api:
        assert api.get("/healthz").status_code == 200
        health = api.get("/api/health")
        assert health.status_code == 503
        assert health.json()["checks"]["queue"] == {
            "status": "failing",
            "latency_ms": None,
            "code": "jobs.unavailable",
        }
        assert health.json()["checks"]["database"]["status"] == "ok"
        own_redis.start()
        assert api.get("/api/health").status_code == 200


def test_a_redis_that_may_forget_jobs_stops_the_start_with_one_line(tmp_path: Path, own_redis: RedisServer) -> None:
    own_redis.options = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    own_redis.start()
    with worker(tmp_path, REDIS_URL=own_redis.url) as (process, log):
        assert process.wait(30) == 1
    assert "noeviction" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis.example.com:6379",
        "http://redis.example.com",
        "redis://h:hunter2@:x/0",
        "redis+sentinel://:hunter2@one,two",
    ],
)
def test_a_wrong_url_of_redis_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        WorkerSettings.load(redis_url=url)
    assert caught.value.names == ("REDIS_URL",)
    assert "hunter2" not in str(caught.value)


def test_a_redis_may_be_named_by_its_sentinels() -> None:
    url = "redis+sentinel://:hunter2@one,two/films/0?replicas=1"
    settings = WorkerSettings.load(redis_url=url)
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


def test_commands_say_in_one_line_that_redis_is_not_there(tmp_path: Path) -> None:
    environment = os.environ | {"REDIS_URL": f"redis://:hunter2@127.0.0.1:{free_port()}"}
    line = failed_clearly(run("jobs", "list", cwd=tmp_path, timeout=30, env=environment))
    assert "Redis" in line
    assert "hunter2" not in line
