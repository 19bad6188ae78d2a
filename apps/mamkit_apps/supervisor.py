"""Several services as processes of one command: started together, watched, and stopped together."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, Self

from mamkit.errors import MamkitError
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.serving import listen
from mamkit_apps.worker.settings import WorkerSettings

__all__ = ["ServiceDiedError", "Services"]

SETTINGS = {
    variable
    for settings in (ApiSettings, EdgeSettings, WorkerSettings)
    for name in settings.model_fields
    for variable in (name.upper(), f"{name.upper()}_FILE")
}
"""Every environment variable that a service looks at."""

LEAST_ROOM = 64 << 10  # bytes; with less, not even a log can be written
START_TIMEOUT = 120.0  # seconds; a first start takes about 2, and much longer where others use the machine
STOP_TIMEOUT = 10.0  # seconds before what does not end is killed


class ServiceDiedError(MamkitError):
    """A service ended by itself, or did not become healthy.

    Attributes:
        service: Its name.
        log: Its log file, if it has one.
    """

    code = "apps.service_died"

    def __init__(self, service: str, what: str, log: Path | None) -> None:
        last = _last_line(log)
        super().__init__(f"the {service} {what}" + (f": {last}" if last else ""))
        self.service = service
        self.log = log


class Services:
    """The API, the edge and a worker of one installation on this machine; a context manager that stops them all.

    Listening sockets are opened here and handed down, so that a taken port is found out before anything starts and no
    other program can take a free one in between. A service whose parent is gone stops by itself.

    Args:
        data_dir: The installation.
        host: Address to listen at.
        api_port: 0 for any free one.
        edge_port: 0 for any free one.
        logs: Folder for a log file a service; None lets them write to this process's standard error.
        fresh: Leave out the settings in this process's environment, which are another installation's.
        settings: More settings, by their environment variables.

    Raises:
        PortInUseError: A port is taken.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        api_port: int,
        edge_port: int,
        logs: Path | None = None,
        fresh: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._logs = logs
        self._inherited = {name: value for name, value in os.environ.items() if not (fresh and name in SETTINGS)}
        self._settings = dict(settings or {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._files: list[IO[bytes]] = []
        with contextlib.ExitStack() as stack:
            self._api_socket = stack.enter_context(listen(host, api_port))
            self._edge_socket = stack.enter_context(listen(host, edge_port))
            stack.pop_all()
        self.api_url = _url(self._api_socket)
        self.edge_url = _url(self._edge_socket)

    def __enter__(self) -> Self:
        try:
            self._start("edge", self._edge_socket)
            self._start("api", self._api_socket)
            self._wait_healthy("api", self.api_url)
            self._wait_healthy("edge", self.edge_url)
            self._start("worker")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, name: str, listener: socket.socket | None = None) -> None:
        command = [sys.executable, "-m", "mamkit_apps.cli", name, "--stop-with-parent"]
        descriptors: tuple[int, ...] = ()
        if listener is not None:
            command += ["--fd", str(listener.fileno())]
            descriptors = (listener.fileno(),)
        with _uninterrupted():  # a process that nobody remembers would be stopped by nobody
            self._processes[name] = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=self._log(name),
                stderr=subprocess.STDOUT if self._logs else None,
                pass_fds=descriptors,
                process_group=0,  # Ctrl-C at the terminal reaches this process alone, which stops the others in order
            )

    def _environment(self) -> Mapping[str, str]:
        return (
            self._inherited
            | {
                "DATA_DIR": str(self._data_dir),
                "EDGE_URL": self.edge_url,
                "API_URL": self.api_url,
                "PYTHONUNBUFFERED": "1",
            }
            | self._settings
        )

    def _log(self, name: str) -> IO[bytes] | None:
        if self._logs is None:
            return None
        self._logs.mkdir(parents=True, exist_ok=True)
        file = (self._logs / f"{name}.log").open("ab")
        self._files.append(file)
        return file

    def _wait_healthy(self, name: str, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            self._check(name)
            if _is_healthy(url):
                return
            time.sleep(0.05)
        raise ServiceDiedError(name, f"did not become healthy within {START_TIMEOUT:.0f} s", self._log_path(name))

    def pid(self, name: str) -> int:
        """Return the process id of a service, e.g. `api`."""
        return self._processes[name].pid

    def check(self) -> None:
        """Look whether all services live.

        Raises:
            ServiceDiedError: One does not.
        """
        for name in self._processes:
            self._check(name)

    def _check(self, name: str) -> None:
        status = self._processes[name].poll()
        if status is not None:
            raise ServiceDiedError(name, f"ended with exit status {status}", self._log_path(name))

    def _log_path(self, name: str) -> Path | None:
        return self._logs / f"{name}.log" if self._logs else None

    def stop(self) -> None:
        """Stop all services and wait for them: the worker first, so that it can still hand its job back."""
        with _uninterrupted():
            for name in ("worker", "api", "edge"):
                if name in self._processes:
                    _end(self._processes.pop(name))
        self._api_socket.close()
        self._edge_socket.close()
        for file in self._files:
            file.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    waiting: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: waiting.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for waited in waiting[:1]:
            signal.raise_signal(waited)


def _is_healthy(url: str) -> bool:
    """Return whether a service answers that it is well."""
    server = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    with contextlib.closing(server), contextlib.suppress(OSError, http.client.HTTPException):
        server.request("GET", "/healthz")
        return server.getresponse().status == HTTPStatus.OK
    return False


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _last_line(log: Path | None) -> str:
    """Return the last line of a log that says something, without any markup of a traceback."""
    if log is None or not log.exists():
        return ""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-50:] if line.strip()]
    if not lines and shutil.disk_usage(log.parent).free < LEAST_ROOM:
        return f"the disk that holds {log.parent} is full"
    return lines[-1].removeprefix("mamkit: ") if lines else ""
