"""An installation is upgraded process by process while it works, and taken back: nothing fails, nothing is lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from mamkit.catalog import SchemaUnknownError, check, current, downgrade, upgrade
from mamkit.catalog.migrate import revisions
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.supervisor import SETTINGS
from tests.apps.test_backup import secrets_beside
from tests.apps.test_s3 import buckets
from tests.deploy.next_version import REVISION, make_next_version
from tests.faults.processes import again, make_account
from tests.media_factory import make_clip
from tests.redis_server import RedisServer
from tests.s3_servers import store_on
from tests.servers.postgres import Postgres, free_port

PATIENCE = 120.0  # seconds, on a busy machine
OLD, NEW = "", "next"


class Installation:
    """Processes of two versions over one database, one Redis and one S3."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        next_version = make_next_version(folder / "next")
        paths = os.pathsep.join(str(next_version / packages) for packages in ("src", "apps"))
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self._environments = {
            OLD: {**clean, **settings, "DATA_DIR": str(folder / "data")},
            NEW: {**clean, **settings, "DATA_DIR": str(folder / "data"), "PYTHONPATH": paths},
        }
        self._ports: dict[str, int] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, version: str, *, api: str = "") -> None:
        """Start a process, `api-…` or `worker-…`, of a version; a worker reports to the API of this name."""
        port = self._ports.setdefault(name, free_port())
        more = {"PORT": str(port), "METRICS_PORT": str(port), "LEASE_SECONDS": "3"}
        if api:
            more["API_URL"] = self.url(api)
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "mamkit_apps", name.partition("-")[0]], env=self._environments[version] | more,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip

    def wait(self, *names: str) -> None:
        """Wait until these serve."""
        deadline = time.monotonic() + PATIENCE
        for name in names:
            while True:
                assert self._running[name].poll() is None, self._log(name).read_text()
                assert time.monotonic() < deadline, self._log(name).read_text()
                with suppress(httpx.TransportError):
                    if httpx.get(f"{self.url(name)}/healthz", timeout=5).is_success:
                        break
                time.sleep(0.1)

    def stop(self, *names: str) -> None:
        """End these, as an operator does."""
        for name in names:
            self._running[name].terminate()
        for name in names:
            self._running.pop(name).wait(PATIENCE)

    def kill(self, name: str) -> None:
        """End one at once."""
        self._running[name].kill()
        self._running.pop(name).wait(PATIENCE)

    def close(self) -> None:
        """End all."""
        for name in list(self._running):
            self.kill(name)

    def url(self, name: str) -> str:
        """Where a process serves."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def database(self, version: str, *arguments: str) -> tuple[int, str]:
        """Run `mamkit db` of a version; return its status and what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "mamkit_apps", "db", *arguments], env=self._environments[version],
            capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def installation(url: str, redis_server: RedisServer, weed: str, tmp_path: Path) -> Iterator[Installation]:
    settings = buckets("upgrade", weed)
    for name, bucket in settings.items():
        if name.endswith("_BUCKET"):
            store_on(weed, bucket).close()
    settings |= {name.upper(): value for name, value in secrets_beside(url).items()}
    settings |= {"REDIS_URL": redis_server.url.removesuffix("/0") + "/7", "REGISTRATION": "open"}
    found = Installation(tmp_path, settings)
    yield found
    found.close()


class Film:
    """A film on its way to a preview, through one API or another."""

    def __init__(self, client: Client, path: Path) -> None:
        self._client = client
        digest = sha256_of_file(path)
        presigned = client.post("/api/presign", {"filename": path.name, "size": path.stat().st_size, "sha256": digest})
        upload(path, presigned, lambda _: None)
        asset = {"asset_id": presigned["asset_id"], "filename": path.name, "title": "A film"}
        client.post("/api/assets", asset)
        version = client.post("/api/promote", {"asset_id": presigned["asset_id"], "sha256": digest})
        self.version_id = str(version["id"])

    def state(self) -> dict[str, Any]:
        """How the preview is."""
        return again(lambda: self._client.get("/api/preview/status", version_id=self.version_id))

    def until_ready(self) -> None:
        """Wait for the preview."""
        deadline = time.monotonic() + PATIENCE
        while (state := self.state())["status"] != "ready":
            assert state["status"] != "failed", state
            assert time.monotonic() < deadline, state
            time.sleep(0.1)


def test_versions_work_side_by_side_and_the_new_one_can_be_taken_back(
    installation: Installation, url: str, tmp_path: Path
) -> None:
    it, before = installation, revisions()[0]
    films = iter([make_clip(tmp_path / f"{number}.mp4", seconds=1 + number / 25) for number in range(4)])
    it.start("api-1", OLD)
    it.wait("api-1")
    it.start("worker-1", OLD, api="api-1")
    it.start("api-2", NEW)
    it.wait("api-2", "worker-1")
    assert current(url) == REVISION  # the first new API has brought the tables up to date
    with Client(it.url("api-1")) as old, Client(it.url("api-2")) as new:
        make_account(old)
        new.log_in("ada@example.com", "correct horse battery staple")

        # The old API and the old worker go on over the newer tables, and come back after a crash.
        Film(old, next(films)).until_ready()
        it.kill("api-1")
        it.start("api-1", OLD)
        # A job with something in it that the old worker does not know waits for a newer one.
        waiting = Film(new, next(films))
        it.wait("api-1")
        status, said = it.database(OLD, "check")
        assert (status, f"at revision {REVISION}, which serves this version, too" in said) == (0, True), said
        assert it.database(OLD, "upgrade")[0] == 0
        status, said = it.database(OLD, "downgrade", "base", "--yes")
        assert (status, "install a newer one" in said) == (1, True)
        assert waiting.state()["status"] == "queued"

        # A newer worker that meets an older API waits for that to be replaced.
        it.stop("worker-1")
        it.start("worker-2", NEW, api="api-1")
        it.wait("worker-2")
        early = Film(old, next(films))
        until_refused(it, "worker-2")
        assert {each.state()["status"] for each in (waiting, early)} == {"queued"}
        it.stop("api-1")
        it.start("api-1", NEW)
        waiting.until_ready()
        early.until_ready()

        # Back again, over the newer tables.
        it.stop("api-1", "api-2", "worker-2")
        it.start("api-1", OLD)
        it.wait("api-1")
        it.start("worker-1", OLD, api="api-1")
        Film(old, next(films)).until_ready()
        it.stop("worker-1", "api-1")
    with psycopg.connect(url) as connection:
        moods = connection.execute("SELECT mood FROM versions ORDER BY number, created_at").fetchall()
    assert [mood for (mood,) in moods] == ["calm", "bright", "calm", "calm"]
    assert it.database(NEW, "downgrade", before, "--yes")[0] == 0
    assert it.database(OLD, "check") == (0, f"at revision {before}, as this version needs\n")


def until_refused(it: Installation, worker: str) -> None:
    """Wait until a report of a worker was refused, because it is of a later version."""
    deadline = time.monotonic() + PATIENCE
    while True:
        text = httpx.get(f"{it.url(worker)}/metrics", timeout=5).text
        if any("released" in line and not line.endswith(" 0") for line in text.splitlines() if line[0] != "#"):
            return
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def test_tables_that_leave_no_room_for_older_code_are_refused(url: str) -> None:
    upgrade(url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s, serves = %s", (REVISION, "9000"))
    for use in (upgrade, check, lambda url: downgrade(url, "base")):
        with pytest.raises(SchemaUnknownError):
            use(url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET serves = %s", (revisions()[0],))
    upgrade(url)
    check(url)
    with pytest.raises(SchemaUnknownError):  # what is to be taken away is known to newer code alone
        downgrade(url, "base")
