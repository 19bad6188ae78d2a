"""A real edge: a process of its own on a free port, as `mamkit edge` starts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

import httpx

from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner
from mamkit.storage import LocalStore
from mamkit_apps.supervisor import SETTINGS

__all__ = ["PREFIX", "LiveEdge", "SlowReader", "comes_true", "live_edge"]

PREFIX = "previews/a/b/"


@dataclass(frozen=True)
class LiveEdge:
    """How it is reached."""

    data_dir: Path
    url: str
    port: int
    pid: int
    signer: UrlSigner
    store: LocalStore

    def path(self, key: str, *, scope: str = PREFIX, seconds: int = 300) -> str:
        """Return a signed path."""
        return self.signer.url("", Grant(scope=scope, expires_at=utc_now() + timedelta(seconds=seconds)), key)

    def memory(self) -> int:
        """Return the bytes of memory that are this process's own, files of the page cache left out."""
        fields = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in fields.splitlines() if line.startswith("RssAnon:"))) * 1024

    def count(self, name: str) -> float:
        """Return what it counts under a name of its metrics, labels included; 0 if it counts no such thing."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"mamkit_edge_{name} ")), 0.0)


@contextmanager
def live_edge(data_dir: Path, **settings: str) -> Iterator[LiveEdge]:
    """Run an edge on a data folder until the block ends."""
    ring = KeyRing.generate()
    store = LocalStore(data_dir / "objects", durable=False)
    outside = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "mamkit_apps.cli", "edge", "--fd", str(listener.fileno()), "--stop-with-parent"],
            env={**outside, "DATA_DIR": str(data_dir), "EDGE_SIGNING_KEY": ring.dump(), **settings},
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            httpx.get(f"{url}/health", timeout=30).raise_for_status()
            yield LiveEdge(data_dir, url, port, process.pid, UrlSigner(ring), store)
        finally:
            process.terminate()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


def comes_true(seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


class SlowReader:
    """A client that asks for an object and takes a few bytes.

    Args:
        live: Whom it asks.
        name: Of an object below the prefix.
    """

    def __init__(self, live: LiveEdge, name: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", live.port))
        self._socket.sendall(f"GET {live.path(PREFIX + name)} HTTP/1.1\r\nhost: x\r\n\r\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self) -> int:
        """Read a few bytes."""
        return len(self._socket.recv(256))

    def close(self) -> None:
        """Leave."""
        self._socket.close()
