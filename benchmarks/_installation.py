"""The services as processes, with as many workers as wanted, each on a processor of its own if wanted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine

from mamkit.jobs import JobState
from mamkit.jobs.sql import SqlQueue
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.supervisor import Services

__all__ = ["Installation"]

PATIENCE = 1200.0  # seconds
LEASE = 3  # seconds
WORKER = "import runpy, sys; sys.argv = ['mamkit', 'worker', '--stop-with-parent']; "
WORKER += "runpy.run_module('mamkit_apps.cli', run_name='__main__')"


class Installation:
    """API, edge and workers with a database and files in a folder; a context manager.

    Args:
        folder: For all data.
        workers: For each worker the processor that it stays on, or None for any.
    """

    def __init__(self, folder: Path, *, workers: Sequence[int | None]) -> None:
        self._services = Services(
            folder, api_port=0, edge_port=0, logs=folder / "logs", fresh=True, settings={"REGISTRATION": "open"}
        )
        self._folder = folder
        self._cpus = workers
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._services.__enter__()
        os.kill(self._services.pid("worker"), signal.SIGTERM)  # ours take its place
        settings = {
            "DATA_DIR": str(self._folder.absolute()),
            "API_URL": self._services.api_url,
            "LEASE_SECONDS": str(LEASE),
        }
        for number, cpu in enumerate(self._cpus):
            pin = "" if cpu is None else f"import os; os.sched_setaffinity(0, {{{cpu}}}); "
            with (self._folder / f"worker-{number}.log").open("wb") as log:
                self._workers.append(
                    subprocess.Popen(
                        [sys.executable, "-c", pin + WORKER],
                        env=os.environ | settings, stdin=subprocess.PIPE, stdout=log, stderr=log,
                    )
                )  # fmt: skip
        self._client = Client(self._services.api_url)
        self._client.register("ada@example.com", "correct horse battery staple")
        time.sleep(3.0)  # until the workers wait for work
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(60)
            if worker.stdin is not None:
                worker.stdin.close()
        self._client.__exit__()
        self._services.stop()

    def promote(self, film: Path) -> tuple[str, float]:
        """Upload and promote a film; return its version, and when the promotion was asked for."""
        digest = sha256_of_file(film)
        wanted = {"filename": film.name, "size": film.stat().st_size, "sha256": digest}
        presigned = self._client.post("/api/presign", wanted)
        upload(film, presigned, lambda _: None)
        os.sync()  # else the system writes the film to the disk while it is being read
        self._client.post("/api/assets", {"asset_id": presigned["asset_id"], "filename": film.name, "title": "A film"})
        began = time.perf_counter()
        version = self._client.post("/api/promote", {"asset_id": presigned["asset_id"], "sha256": digest})
        return str(version["id"]), began

    def wait(self, version_id: str, states: set[str]) -> float:
        """Return when a preview was first said to be in one of these states, by its event stream.

        Args:
            version_id: Of the preview.
            states: What is waited for.

        Raises:
            SystemExit: It fails, or takes for ever.
        """
        deadline = time.monotonic() + PATIENCE
        view: dict[str, Any] = {}
        for told in self._client.events(version_id):
            view = told or view  # None is a sign of life
            if view.get("status") in states:
                return time.perf_counter()
            if time.monotonic() > deadline:
                break
        raise SystemExit(f"the preview did not get on: {view}")

    def cancel(self, version_id: str) -> None:
        """Take all that is left of a preview out of the queue, and wait until the worker has nothing to do."""
        engine = create_engine(f"sqlite:///{self._folder.absolute() / 'mamkit.db'}")
        queue = SqlQueue(engine)
        states: tuple[JobState, ...] = ("waiting", "running")
        for state in states:
            for job in queue.list(state=state, limit=1000):
                if job.payload["version_id"] == version_id:
                    queue.cancel(job.id)
        engine.dispose()
        time.sleep(2 * LEASE)  # the worker learns of it when it next renews
