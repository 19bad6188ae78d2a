"""API, edge and worker, two of each, as processes over PostgreSQL, Redis and S3; and what each of them takes."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Self

import httpx

from mamkit.catalog import upgrade
from mamkit.jobs import QueueDepth
from mamkit.jobs.redis import RedisQueue
from tests.redis_server import RedisServer
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, store_on, weed_server
from tests.servers import postgres

__all__ = ["Sample", "System", "Watch"]

PATIENCE = 600.0  # seconds for all to answer, on a busy machine
SECRETS = ("EDGE_SIGNING_KEY", "JWT_SECRET", "SESSION_SECRET", "CALLBACK_SECRET", "SEALING_KEYS")
# Kept small enough to be full within the first minute: what a cache still takes after that is a leak.
EDGE_CACHE = 8 << 20  # bytes
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


class System:
    """All of it; a context manager that ends what it started, and says if something ended by itself.

    Args:
        folder: For logs and data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._redis = RedisServer(folder / "redis")
        self.apis: list[str] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            # As in production, where a commit waits for the disk.
            database = self._stack.enter_context(postgres.running(postgres.LIKE_PRODUCTION)).new_database(role="mamkit")
            self._stack.enter_context(self._redis)
            endpoint = self._stack.enter_context(weed_server(self._folder / "weed"))
            for bucket in ("staging", "masters", "previews"):
                store_on(endpoint, bucket).close()
            upgrade(database)
            self._start(self._settings(database, endpoint))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ended = self._end()
        wrong = {name: status for name, status in ended.items() if status not in {0, -signal.SIGTERM}}
        if wrong:
            raise SystemExit(f"ended otherwise than asked: {wrong}; {self.complaints()}")

    def _end(self) -> dict[str, int]:
        for process in self.processes.values():
            process.terminate()
        ended = {name: process.wait(PATIENCE) for name, process in self.processes.items()}
        self._stack.close()
        return ended

    def _settings(self, database: str, endpoint: str) -> dict[str, str]:
        secrets = {name: f"a secret of a benchmark that is long enough for any use, {name}" for name in SECRETS}
        unlimited = {f"API_RATE_{name}": "0" for name in ("PER_USER", "PER_KEY", "PER_ADDRESS", "LOGIN")}
        return secrets | unlimited | {
            "DATA_DIR": str(self._folder / "data"),
            "DATABASE_URL": database,
            "REDIS_URL": self._redis.url,
            "S3_ENDPOINT": endpoint,
            "S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "STAGING_BUCKET": "staging",
            "MASTERS_BUCKET": "masters",
            "PREVIEWS_BUCKET": "previews",
            "REGISTRATION": "open",
            "EDGE_CACHE_BYTES": str(EDGE_CACHE),
            "LOG_FORMAT": "json",
        }  # fmt: skip

    def _start(self, settings: Mapping[str, str]) -> None:
        addresses = {}
        for number in (1, 2):
            for service in ("edge", "api", "worker"):
                port = postgres.free_port()
                addresses[f"{service}-{number}"] = f"http://127.0.0.1:{port}"
                more = {
                    "PORT": str(port),
                    "METRICS_PORT": str(port),
                    "EDGE_URL": addresses[f"edge-{number}"],
                    "API_URL": addresses.get(f"api-{number}", f"http://127.0.0.1:{port}"),
                }
                with self._log(f"{service}-{number}").open("wb") as log:
                    self.processes[f"{service}-{number}"] = subprocess.Popen(
                        [sys.executable, "-m", "mamkit_apps", service], env={**os.environ, **settings, **more},
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                    )  # fmt: skip
        self.apis = [address for name, address in addresses.items() if name.startswith("api")]
        deadline = time.monotonic() + PATIENCE
        with httpx.Client(timeout=5) as http:
            for name, address in addresses.items():
                while not _answers(http, f"{address}/healthz"):
                    if self.processes[name].poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f"the {name} did not start: {self._log(name).read_text()[-2000:]}")
                    time.sleep(0.1)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def complaints(self) -> list[str]:
        """Return the lines of all logs that are warnings or worse, each with the name of its process."""
        worse = re.compile(r'"level": ?"(warning|error|critical)"|Traceback')
        return [
            f"{name}: {line}"
            for name in self.processes
            for line in self._log(name).read_text("utf-8").splitlines()
            if worse.search(line)
        ]

    def depth(self) -> QueueDepth:
        """Return how many jobs there are in each state."""
        queue = RedisQueue.from_url(self._redis.url)
        try:
            return queue.depth()
        finally:
            queue.close()


class Sample:
    """What a process and its children take at one moment.

    Attributes:
        memory: MiB that are in memory, of the process alone.
        files: Open files of the process alone.
        family: The process and its descendants.
    """

    def __init__(self, pid: int) -> None:
        self.memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / (1 << 20)
        self.files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone, some hundred of them
        self.family = 1 + sum(1 for _ in _descendants(pid))


class Watch:
    """Samples every process once a second, until it is told to stop.

    Args:
        processes: By their names.
    """

    def __init__(self, processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
        self._processes = processes
        self._began = time.monotonic()
        self.samples: dict[str, list[tuple[float, Sample]]] = defaultdict(list)

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            for name, process in self._processes.items():
                with suppress(FileNotFoundError):  # it has ended, which `System` says
                    self.samples[name].append((time.monotonic() - self._began, Sample(process.pid)))
            await asyncio.sleep(1)

    def quarters(self, name: str, what: str, *, since: float) -> tuple[float, float]:
        """Return the medians of the first and of the last quarter of the time after `since` seconds.

        Args:
            name: Of the process.
            what: An attribute of `Sample`.
            since: From the start of the watch.
        """
        found = [float(getattr(sample, what)) for at, sample in self.samples[name] if at >= since]
        quarter = max(1, len(found) // 4)
        return median(found[:quarter]), median(found[-quarter:])


def _descendants(pid: int) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).is_success
    except httpx.TransportError:
        return False
