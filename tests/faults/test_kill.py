"""The embedded default in real processes, and `kill -9` of any at any moment: the preview becomes ready anyway."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mamkit.storage import LocalStore
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.demo.playback import check_against, decode, fetch
from mamkit_apps.serving import listen
from tests.faults.processes import again, children, make_account
from tests.media_factory import make_clip

ROUNDS = int(os.environ.get("MAMKIT_FAULT_ROUNDS", "2"))
SECONDS = 14


class Platform:
    """API, edge and worker, each of which is started again as soon as it is gone, as a service manager does.

    Args:
        folder: For data and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.victims = ["worker", "child", "api", "edge"]
        self.data = folder / "data"
        self._sockets = {"api": listen("127.0.0.1", 0), "edge": listen("127.0.0.1", 0)}
        self.urls = {name: f"http://127.0.0.1:{socket.getsockname()[1]}" for name, socket in self._sockets.items()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (folder / "services.log").open("ab")
        self._over = threading.Event()
        for name in ("api", "edge", "worker"):
            self._start(name)
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def _start(self, name: str) -> None:
        settings = {
            "DATA_DIR": str(self.data),
            "REGISTRATION": "open",
            "API_URL": self.urls["api"],
            "EDGE_URL": self.urls["edge"],
            "LEASE_SECONDS": "3",
        }
        socket = self._sockets.get(name)
        descriptor = [] if socket is None else [socket.fileno()]
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "mamkit_apps.cli", name, *(f"--fd={number}" for number in descriptor)],
            env=os.environ | settings, pass_fds=descriptor, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    self._start(name)

    def kill(self, name: str) -> None:
        """Send SIGKILL to a service, or to the child processes of the worker."""
        if name != "child":
            self.processes[name].kill()
            return
        for child in children(self.processes["worker"].pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def close(self) -> None:
        """End everything."""
        self._over.set()
        self._keeper.join()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)
        for socket in self._sockets.values():
            socket.close()
        self._log.close()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", seconds=SECONDS, width=320, height=180, b_frames=2)


@contextlib.contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    """Make an account, and end everything after the block."""
    try:
        with Client(platform.urls["api"]) as client:
            make_account(client)
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(Platform(tmp_path_factory.mktemp("platform"))) as platform:
        yield platform


def in_the_background(platform: Platform, shuffle: random.Random, over: threading.Event) -> threading.Thread:
    """Kill one service after the other, at random moments, until it is over."""

    def kill() -> None:
        while not over.wait(shuffle.uniform(0.1, 1.5)):
            platform.kill(shuffle.choice(platform.victims))

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def status_of(client: Client, version_id: str) -> str:
    """Return the state of a preview as its owner is told."""
    return str(again(lambda: client.get("/api/preview/status", version_id=version_id))["status"])


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_is_killed_the_film_becomes_ready_and_whole(
    embedded: Platform, film: Path, tmp_path: Path, seed: int
) -> None:
    """MAMKIT_FAULT_ROUNDS says how many rounds; each kills a random service every 0.1 to 1.5 s for 6 s."""
    survive(embedded, film, tmp_path, seed)


def survive(platform: Platform, film: Path, tmp_path: Path, seed: int) -> None:
    """Bring a film to `ready` while services are killed, and check that all of it is there."""
    over = threading.Event()
    killer = in_the_background(platform, random.Random(seed), over)
    timer = threading.Timer(6, over.set)
    timer.start()
    try:
        with Client(platform.urls["api"]) as client:
            again(lambda: client.log_in("ada@example.com", "correct horse battery staple"))
            digest = sha256_of_file(film)
            wanted = {"filename": film.name, "size": film.stat().st_size, "sha256": digest}
            presigned = again(lambda: client.post("/api/presign", wanted))
            again(lambda: upload(film, presigned, lambda _: None))
            asset = {"asset_id": presigned["asset_id"], "filename": film.name, "title": f"Round {seed}"}
            again(lambda: client.post("/api/assets", asset))
            promotion = {"asset_id": presigned["asset_id"], "sha256": digest}
            versions = {again(lambda: client.post("/api/promote", promotion))["id"] for _ in range(2)}
            assert len(versions) == 1
            [version_id] = versions
            killer.join()
            deadline = time.monotonic() + 90
            while (status := status_of(client, version_id)) != "ready":
                assert status != "failed"
                assert time.monotonic() < deadline, f"still {status}"
                time.sleep(0.1)
            url = again(lambda: client.post("/api/sign-preview", {"version_id": version_id}))["url"]
        playback = again(lambda: fetch(url, tmp_path, lambda _: None))
        for rendition in playback.renditions:
            decode(rendition)
        check_against(playback, seconds=SECONDS, width=320, height=180)
        masters = [info for info in LocalStore(platform.data / "objects").list("masters/") if info.sha256 == digest]
        assert len([info for info in masters if asset["asset_id"] in info.key]) == 1
    finally:
        over.set()
        timer.cancel()
        killer.join()
