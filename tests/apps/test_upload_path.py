"""Where the bytes of an upload go: from the client to the edge to the disk, and never through the API."""

import os
from pathlib import Path

from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.supervisor import Services
from tests.apps.conftest import PASSWORD

SIZE = 48 << 20  # bytes


def moved_by(pid: int) -> int:
    """Return how many bytes a process has read and written so far, sockets and files alike (proc(5))."""
    lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["rchar"]) + int(lines["wchar"])


def peak_memory_of(pid: int) -> int:
    """Return the largest resident set of a process, bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def test_the_api_never_touches_the_bytes_and_the_edge_never_holds_them(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(SIZE))
    settings = {"REGISTRATION": "open"}
    with (
        Services(tmp_path / "data", api_port=0, edge_port=0, fresh=True, settings=settings) as services,
        Client(services.api_url) as client,
    ):
        client.register("ada@example.com", PASSWORD)
        api, edge = services.pid("api"), services.pid("edge")
        before, memory = moved_by(api), peak_memory_of(edge)
        wanted = {"filename": film.name, "size": SIZE, "sha256": sha256_of_file(film)}
        presigned = client.post("/api/presign", wanted)
        assert presigned["url"].startswith(services.edge_url)
        upload(film, presigned, lambda _: None)
        client.post("/api/assets", {"asset_id": presigned["asset_id"], "filename": film.name, "title": "x"})
        version = client.post("/api/promote", {"asset_id": presigned["asset_id"]})
        assert version["size"] == SIZE
        assert moved_by(api) - before < SIZE // 10
        assert peak_memory_of(edge) - memory < SIZE // 2
