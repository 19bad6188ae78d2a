"""A real edge: a process of its own on a free port, as `mamkit edge` starts it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner
from mamkit.storage import LocalStore

__all__ = ["PREFIX", "LiveEdge", "live_edge"]

PREFIX = "previews/a/b/"


@dataclass(frozen=True)
class LiveEdge:
    """How it is reached."""

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

    def metrics(self) -> str:
        """Return what it counts."""
        return httpx.get(f"{self.url}/metrics").text


@contextmanager
def live_edge(data_dir: Path, **settings: str) -> Iterator[LiveEdge]:
    """Run an edge on a data folder until the block ends."""
    ring = KeyRing.generate()
    store = LocalStore(data_dir / "objects", durable=False)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "mamkit_apps.cli", "edge", "--fd", str(listener.fileno()), "--stop-with-parent"],
            env={**os.environ, "DATA_DIR": str(data_dir), "EDGE_SIGNING_KEY": ring.dump(), **settings},
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            httpx.get(f"{url}/health", timeout=30).raise_for_status()
            yield LiveEdge(url, port, process.pid, UrlSigner(ring), store)
        finally:
            process.terminate()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
