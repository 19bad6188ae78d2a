"""Stores beside their peers: boto3's transfer manager, obstore and bare boto3 on SeaweedFS, `shutil.copyfile` on disk.

`--memory` puts, promotes and gets one object of 4 GiB (256 MiB with `--quick`) on local disk and on S3, and prints by
how much the memory of the process grows.
"""

import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks._harness import Row, main, median, rounds_of
from mamkit.storage import Expected, LocalStore, ObjectStore, Zones, download_file, promote, read_ahead, upload_file
from mamkit.storage.s3 import S3Store
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, store_on, weed_server

try:
    import obstore
except ImportError:
    obstore = None  # type: ignore[assignment]

MIB = 1024 * 1024
SMALL = 64 * 1024  # bytes
THREADS = 8  # of those that send small objects; obstore's own limit is set alike


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as folder:
        home = Path(folder)
        with weed_server(home / "weed") as endpoint:
            rows = _on_s3(home, endpoint, quick=quick)
        return [*rows, *_on_disk(home, quick=quick)]


def _alternate(rounds: int, contestants: dict[str, Callable[[], object]], work: float) -> dict[str, float]:
    """Return the median of work done a second of each, measured in turns, first come each time another."""
    speeds = {name: partial(_speed, act, work) for name, act in contestants.items()}
    return {name: median(values) for name, values in rounds_of(speeds, rounds).items()}


def _speed(act: Callable[[], object], work: float) -> float:
    start = time.perf_counter()
    act()
    return work / (time.perf_counter() - start)


def _rows(name: str, unit: str, figures: dict[str, float], targets: dict[str, float]) -> list[Row]:
    return [
        Row(
            name=name,
            ours=figures["ours"],
            unit=unit,
            peer=peer,
            peer_value=figures.get(peer),
            target=f">= {target}",
        )
        for peer, target in targets.items()
    ]


def _on_s3(home: Path, endpoint: str, *, quick: bool) -> list[Row]:
    store = store_on(endpoint, "bench")
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
    )
    peer = None
    if obstore is not None:
        peer = obstore.store.S3Store(
            "bench",
            endpoint=endpoint,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
    rounds, size, count = (3, 64 * MIB, 200) if quick else (5, 1024 * MIB, 2000)
    rows = _large(home, store, client, peer, rounds=rounds, size=size)
    rows += _small(store, client, peer, rounds=rounds, count=count)
    return rows + _presigned(store, client, rounds=rounds, count=300 if quick else 2000)


def _large(home: Path, store: S3Store, client: Any, peer: Any, *, rounds: int, size: int) -> list[Row]:
    source, target = home / "source", home / "target"
    block = secrets.token_bytes(MIB)
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(block)
    put: dict[str, Callable[[], object]] = {
        "ours": lambda: upload_file(store, source, "ours"),
        "boto3": lambda: client.upload_file(str(source), "bench", "boto3"),
    }
    get: dict[str, Callable[[], object]] = {
        "ours": lambda: download_file(store, "boto3", target),
        "boto3": lambda: client.download_file("bench", "boto3", str(target)),
    }
    if peer is not None:
        put["obstore"] = lambda: obstore.put(peer, "obstore", source, chunk_size=8 * MIB, max_concurrency=4)

        def stream() -> None:
            with target.open("wb") as file:
                for piece in obstore.get(peer, "boto3").stream(min_chunk_size=MIB):
                    file.write(piece)

        get["obstore"] = stream
    targets = {"boto3": 1.0, "obstore": 0.8}
    name = f"{size // MIB} MiB"
    rows = _rows(f"put of {name}", "MiB/s", _alternate(rounds, put, size / MIB), targets)
    return rows + _rows(f"get of {name}", "MiB/s", _alternate(rounds, get, size / MIB), targets)


def _small(store: S3Store, client: Any, peer: Any, *, rounds: int, count: int) -> list[Row]:
    data = secrets.token_bytes(SMALL)
    with ThreadPoolExecutor(THREADS) as pool:

        def each(call: Callable[[int], object]) -> Callable[[], object]:
            return lambda: list(pool.map(call, range(count)))

        def read(number: int) -> int:
            with store.get(f"ours/{number}") as body:
                return len(body.read())

        put = {
            "ours": each(lambda number: store.put(f"ours/{number}", data)),
            "boto3": each(lambda number: client.put_object(Bucket="bench", Key=f"boto3/{number}", Body=data)),
        }
        get = {
            "ours": each(read),
            "boto3": each(lambda number: client.get_object(Bucket="bench", Key=f"ours/{number}")["Body"].read()),
        }
        if peer is not None:
            put["obstore"] = each(lambda number: obstore.put(peer, f"obstore/{number}", data))
            get["obstore"] = each(lambda number: obstore.get(peer, f"ours/{number}").bytes())
        targets = {"boto3": 1.0, "obstore": 0.8}
        rows = _rows(f"put of {count} of 64 KiB each", "objects/s", _alternate(rounds, put, count), targets)
        return rows + _rows(f"get of {count} of 64 KiB each", "objects/s", _alternate(rounds, get, count), targets)


def _presigned(store: S3Store, client: Any, *, rounds: int, count: int) -> list[Row]:
    def ours() -> None:
        for number in range(count):
            store.sign_get(f"previews/{number}.m4s", expires_in=timedelta(hours=1))

    def bare() -> None:
        for number in range(count):
            parameters = {"Bucket": "bench", "Key": f"previews/{number}.m4s"}
            client.generate_presigned_url("get_object", parameters, ExpiresIn=3600)

    return _rows("presigned GETs", "/s", _alternate(rounds, {"ours": ours, "boto3": bare}, count), {"boto3": 1.0})


def _on_disk(home: Path, *, quick: bool) -> list[Row]:
    size, rounds = (128 * MIB, 3) if quick else (1024 * MIB, 5)
    source, target = home / "source", home / "target"
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    store = LocalStore(home / "objects", durable=False)
    put = {"ours": lambda: upload_file(store, source, "a"), "copyfile": lambda: shutil.copyfile(source, target)}

    reads: dict[str, Callable[[], object]] = {
        "ours": lambda: download_file(store, "a", target),
        "copyfile": lambda: shutil.copyfile(source, target),
    }
    rows = _rows(f"local put of {size // MIB} MiB", "MiB/s", _alternate(rounds, put, size / MIB), {"copyfile": 0.8})
    return rows + _rows(
        f"local get of {size // MIB} MiB", "MiB/s", _alternate(rounds, reads, size / MIB), {"copyfile": 0.8}
    )


def memory(size: int) -> None:
    """Print by how much this process grows while one object is put, promoted and got."""
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as folder:
        home = Path(folder)
        local = LocalStore(home / "o")
        _grow("local", Zones(staging=local, masters=local, previews=local), size)
        shutil.rmtree(home / "o")
        with weed_server(home / "weed") as endpoint:
            staging, masters = store_on(endpoint, "m-staging"), store_on(endpoint, "m-masters")
            zones = Zones(staging=staging, masters=masters, previews=masters)
            _grow("seaweedfs", zones, size)


def _grow(name: str, zones: Zones, size: int) -> None:
    block = secrets.token_bytes(MIB)

    def blocks() -> Iterator[bytes]:
        for _ in range(size // MIB):
            yield block

    digest = hashlib.sha256()
    for each in blocks():
        digest.update(each)
    zones.staging.put("uploads/warm", blocks_of(block, 40))
    for _ in read_ahead(zones.staging, zones.staging.head("uploads/warm")):
        pass
    zones.staging.delete("uploads/warm")
    with _Peak() as peak:
        for step, work in (
            ("put", lambda: zones.staging.put("uploads/a", blocks(), expected=Expected(size=size))),
            ("promote", lambda: promote(zones, staged="uploads/a", master="m/a", size=size, sha256=digest.hexdigest())),
            ("get", lambda: _drain(zones.masters)),
        ):
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            print(f"{name} {step}: {size // MIB} MiB in {seconds:.1f} s, grown by {peak.grown() / MIB:.1f} MiB at most")


def blocks_of(block: bytes, count: int) -> Iterator[bytes]:
    """Yield a block again and again."""
    for _ in range(count):
        yield block


def _drain(store: ObjectStore) -> None:
    for _ in read_ahead(store, store.head("m/a")):
        pass


class _Peak:
    """Watches the resident memory of this process."""

    def __init__(self) -> None:
        self._base = self._peak = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def grown(self) -> int:
        return self._peak - self._base

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._peak = max(self._peak, _resident())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    if "--memory" in sys.argv:
        memory(256 * MIB if "--quick" in sys.argv else 4096 * MIB)
    else:
        main("storage", measure)
