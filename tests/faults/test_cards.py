"""Workers with a card and without, as real processes: what the one leaves when it dies, the other makes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from mamkit.storage import LocalStore
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.supervisor import Services
from tests.failing_card import makers
from tests.faults.processes import make_account
from tests.media_factory import make_clip
from tests.servers.postgres import free_port

SECONDS = 40
PATIENCE = 120.0  # seconds, on a busy machine
COUNT = "import av, sys; print(sum(1 for _ in av.open(sys.argv[1]).decode(video=0)))"
SETTINGS = {"REGISTRATION": "open", "LEASE_SECONDS": "3", "WORKER_SLOTS": "1", "PREVIEW_COPY": "false"}


def until(so: Callable[[], bool]) -> None:
    """Return as soon as something is so."""
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def card_worker(running: Services, data: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a worker with a card beside the others; give its process, and where it tells of itself."""
    port = free_port()
    settings = {**SETTINGS, "DATA_DIR": str(data), "API_URL": running.api_url, "METRICS_PORT": str(port)}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.card_worker", "--encoder", "auto"],
            env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False


def promote(client: Client, film: Path) -> str:
    """Upload a film; return its version."""
    digest = sha256_of_file(film)
    presigned = client.post("/api/presign", {"filename": film.name, "size": film.stat().st_size, "sha256": digest})
    upload(film, presigned, lambda _: None)
    client.post("/api/assets", {"asset_id": presigned["asset_id"], "filename": film.name, "title": "A film"})
    return str(client.post("/api/promote", {"asset_id": presigned["asset_id"], "sha256": digest})["id"])


def whose(store: LocalStore) -> dict[str, list[set[str]]]:
    """Return who made each segment, by the parameter sets that it names, of every rendition of pictures."""
    objects = {}
    for info in store.list("previews/"):
        with store.get(info.key) as body:
            objects[info.key] = body.read()
    found = {}
    for key, data in objects.items():
        if key.endswith("/init.mp4") and b"avcC" in data:
            folder = key.removesuffix("init.mp4")
            names = sorted(name for name in objects if name.startswith(folder) and name.endswith(".m4s"))
            found[folder] = makers(data, [objects[name] for name in names])
    return found


def test_a_worker_without_a_card_ends_what_one_with_a_card_has_begun(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=SECONDS, audio=False)
    data = tmp_path / "data"
    settings = SETTINGS
    with (
        Services(data, api_port=0, edge_port=0, logs=tmp_path, fresh=True, settings=settings) as running,
        card_worker(running, data, tmp_path / "card.log") as (process, url),
        Client(running.api_url) as client,
    ):
        until(lambda: answers(url))
        assert httpx.get(f"{url}/healthz").json() == {
            "status": "ok",
            "encoders": {"h264": "nvenc", "hevc": "cpu", "av1": "cpu"},
        }
        make_account(client)
        os.kill(running.pid("worker"), signal.SIGUSR2)  # paused: the film is planned where the card is
        version_id = promote(client, film)

        def status() -> str:
            return str(client.get("/api/preview/status", version_id=version_id)["status"])

        until(lambda: status() == "playable")
        metrics = httpx.get(f"{url}/metrics").text
        process.kill()
        assert 'mamkit_worker_card_usable{codec="h264"} 1\n' in metrics
        assert "mamkit_worker_card_sessions 6\n" in metrics
        assert status() == "playable"
        os.kill(running.pid("worker"), signal.SIGUSR2)
        until(lambda: status() == "ready")
        found = whose(LocalStore(data / "objects"))
        for made in found.values():
            assert made[0] == {"card"}
            assert {"processor"} in made
            assert all(len(each) == 1 for each in made)
        assert found
        film_url = client.post("/api/sign-preview", {"version_id": version_id})["url"]
        frames = subprocess.run(
            [sys.executable, "-c", COUNT, film_url], capture_output=True, text=True, check=True
        ).stdout  # fmt: skip
        assert int(frames) == SECONDS * 25
