"""A distributed installation in real processes: PostgreSQL, Redis, S3 behind a faulty network, an API and two workers.

Whatever dies is started again, as a service manager does. The clock of the second worker is a minute off.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from mamkit.storage.s3 import S3Store
from mamkit_apps.serving import listen
from tests.faults.processes import children
from tests.redis_server import RedisServer
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, store_on
from tests.servers.postgres import Postgres
from tests.unit.storage.fault_proxy import FaultProxy

__all__ = ["LEASE", "Fleet"]

LEASE = 3  # seconds
WORKERS = ("worker-a", "worker-b")
NETWORK_FAULTS = ("reset", "stall", "500", "503", "truncate")
STALL = 4.0  # seconds for which a stalled connection says nothing
SECRETS = ("EDGE_SIGNING_KEY", "JWT_SECRET", "SESSION_SECRET", "CALLBACK_SECRET", "SEALING_KEYS")


class Fleet:
    """All of it; a context manager that ends what it started.

    Args:
        folder: For logs and scratch.
        postgres: Holds the catalog, and is crashed.
        redis: Holds the queue, and is killed.
        endpoint: Of an S3 server, which is reached through a network that fails.
    """

    def __init__(self, folder: Path, postgres: Postgres, redis: RedisServer, endpoint: str) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.database = postgres.new_database()
        self.redis = redis
        self.previews: S3Store = store_on(endpoint, "previews")
        self.masters: S3Store = store_on(endpoint, "masters")
        store_on(endpoint, "staging")
        self._postgres = postgres
        self._endpoint = endpoint
        self._proxy = FaultProxy(int(urlsplit(endpoint).port or 0), stall=STALL)
        self._socket = listen("127.0.0.1", 0)
        self.api_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep)
        self.happened: list[str] = []

    def __enter__(self) -> "Fleet":
        self._proxy.__enter__()
        for name in ("api", *WORKERS):
            self._start(name)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._keeper.join()
        self.calm()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        self._proxy.__exit__()
        self._socket.close()

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "mamkit_apps.cli", name]
        descriptors: tuple[int, ...] = ()
        if name == "api":
            descriptors = (self._socket.fileno(),)
            command.append(f"--fd={self._socket.fileno()}")
        elif name == "worker-b":
            command[1:] = ["-m", "tests.faults.skewed_worker", random.choice(("60", "-60"))]
        else:
            command[-1] = "worker"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self._environment(), pass_fds=descriptors, stdout=log, stderr=log
            )

    def _environment(self) -> dict[str, str]:
        secrets = {name: f"a secret of the tests that is long enough for any use, {name}" for name in SECRETS}
        return os.environ | secrets | {
            "DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": self.database,
            "REDIS_URL": self.redis.url,
            "S3_ENDPOINT": f"http://127.0.0.1:{self._proxy.port}",
            "S3_PUBLIC_ENDPOINT": self._endpoint,
            "S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "STAGING_BUCKET": "staging",
            "MASTERS_BUCKET": "masters",
            "PREVIEWS_BUCKET": "previews",
            "REGISTRATION": "open",
            "API_RATE_LOGIN": "0",  # whoever was not answered asks again at once, from one address
            "API_URL": self.api_url,
            "LEASE_SECONDS": str(LEASE),
            "TMPDIR": str(self.scratch),
        }  # fmt: skip

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    self._start(name)

    @contextmanager
    def trouble(self, seed: int, seconds: float) -> Iterator[None]:
        """Let one thing after the other go wrong while the block runs, at most for so long; then let all be well."""
        shuffle, over = random.Random(seed), threading.Event()
        self.happened = []

        def go_wrong() -> None:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not over.wait(shuffle.uniform(0.1, 1.2)):
                self._one_fault(shuffle, over)

        thread = threading.Thread(target=go_wrong)
        thread.start()
        try:
            yield
            thread.join()
        finally:
            over.set()
            thread.join()
            self.calm()

    def calm(self) -> None:
        """Let the network work and everybody who was frozen go on."""
        self._proxy.plan(0, (), 0.0, 1)
        for name in WORKERS:
            self._signal(name, signal.SIGCONT)

    def _one_fault(self, shuffle: random.Random, over: threading.Event) -> None:
        faults: dict[str, Callable[[], object]] = {
            "kill -9 of a worker": lambda: self._signal(shuffle.choice(WORKERS), signal.SIGKILL),
            "kill -9 of a child": lambda: self._kill_children(shuffle.choice(WORKERS)),
            "kill -9 of the API": lambda: self._signal("api", signal.SIGKILL),
            "Redis killed": self._restart_redis,
            "PostgreSQL crashed": self._postgres.restart,
            "S3 fails": lambda: self._proxy.plan(shuffle.randrange(1 << 30), NETWORK_FAULTS, 0.4, 1 << 16),
            "S3 is well": lambda: self._proxy.plan(0, (), 0.0, 1),
            "a worker frozen": lambda: self._freeze(shuffle.choice(WORKERS), LEASE + shuffle.uniform(0.5, 2.0), over),
        }
        name = shuffle.choice(list(faults))
        self.happened.append(name)
        faults[name]()

    def _signal(self, name: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.processes[name].send_signal(number)

    def _kill_children(self, name: str) -> None:
        for child in children(self.processes[name].pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def _restart_redis(self) -> None:
        self.redis.kill()
        time.sleep(0.3)
        self.redis.start()

    def _freeze(self, name: str, seconds: float, over: threading.Event) -> None:
        """Stop a worker for longer than its lease lasts, while other things go wrong."""
        process = self.processes[name]

        def thaw() -> None:
            over.wait(seconds)
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)
        threading.Thread(target=thaw).start()
