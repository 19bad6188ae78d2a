"""Stores beside their peers: boto3's transfer manager, obstore and bare boto3 on SeaweedFS, `shutil.copyfile` on disk.

Every transfer of ours computes SHA-256, but for those named "unverified", and none of the peers does of a download or
of a file: the rows whose peer is named "and SHA-256" give it the same work. No verified copy of this machine can beat
"copyfile and SHA-256 at once", the kernel's copy with another thread that hashes, so files are held against that, too;
of the two rows that are verified and stand beside `copyfile` alone nothing else is to be expected than that they miss.

All that send small objects do so from the same eight threads, each through its blocking interface and its own pool of
connections, which holds as many. No store syncs to the disk, as `copyfile` does not, but the one named "durable", whose
peer does so too.

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
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks._harness import Row, main, median, ratio_of_rounds, rounds_of
from mamkit.storage import (
    Expected,
    LocalStore,
    ObjectStore,
    Zones,
    download_file,
    download_unverified,
    promote,
    read_ahead,
    upload_file,
)
from mamkit.storage.s3 import S3Store
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, store_on, weed_server

try:
    import obstore
except ImportError:
    obstore = None  # type: ignore[assignment]

MIB = 1024 * 1024
FLOOR = "SHA-256 alone"
BOTH = "copyfile and SHA-256 at once"
SMALL = 64 * 1024  # bytes
THREADS = 8  # of those that send small objects; obstore's own limit is set alike


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as folder:
        home = Path(folder)
        with weed_server(home / "weed") as endpoint:
            rows = _on_s3(home, endpoint, quick=quick)
        return [*rows, *_on_disk(home, quick=quick)]


Contestants = dict[str, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Race:
    """What is compared.

    Attributes:
        unit: Of the work.
        work: How much of it each contestant does.
        rounds: How often.
        fresh: Called before each turn, which is not measured: replacing a large file costs more than writing a new one.
    """

    unit: str
    work: float
    rounds: int
    fresh: Callable[[], object] = bool

    def rows(self, name: str, contestants: Contestants, targets: dict[str, float | None]) -> list[Row]:
        """Return a row a peer: work done a second, medians, and the median of the ratios of each round."""
        found = rounds_of({who: partial(self._speed, act) for who, act in contestants.items()}, self.rounds)
        rows = [
            Row(
                name=name,
                ours=median(found["ours"]),
                unit=self.unit,
                peer=peer,
                peer_value=median(found[peer]) if peer in found else None,
                paired=ratio_of_rounds(found["ours"], found[peer]) if peer in found else None,
                target="" if target is None else f">= {target}",
            )
            for peer, target in targets.items()
        ]
        if FLOOR in found:
            rows.append(Row(name=f"{name}: {FLOOR}", ours=median(found[FLOOR]), unit=self.unit, peer=""))
        return rows

    def _speed(self, act: Callable[[], object]) -> float:
        self.fresh()
        os.sync()  # what others have written is not written during our turn
        start = time.perf_counter()
        act()
        return self.work / (time.perf_counter() - start)


def _hashed(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied_and_hashed(source: Path, target: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_hashed, source)
        shutil.copyfile(source, target)
        digest.result()


def _copied_to_the_disk(source: Path, target: Path) -> None:
    _copied_and_hashed(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


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
    put: Contestants = {
        "ours": lambda: upload_file(store, source, "ours"),
        "boto3": lambda: client.upload_file(str(source), "bench", "boto3"),
    }
    get: Contestants = {
        "ours": lambda: download_file(store, "boto3", target),
        "boto3": lambda: client.download_file("bench", "boto3", str(target)),
        "boto3 and SHA-256": lambda: (client.download_file("bench", "boto3", str(target)), _hashed(target)),
        FLOOR: lambda: _hashed(source),
    }
    if peer is not None:
        put["obstore"] = lambda: obstore.put(peer, "obstore", source, chunk_size=8 * MIB, max_concurrency=4)

        def stream(digest: "hashlib._Hash | None" = None) -> None:
            with target.open("wb") as file:
                for piece in obstore.get(peer, "boto3").stream(min_chunk_size=MIB):
                    file.write(piece)
                    if digest is not None:
                        digest.update(piece)

        get["obstore"] = stream
        get["obstore and SHA-256"] = lambda: stream(hashlib.sha256())
    targets: dict[str, float | None] = {"boto3": 1.0, "obstore": 0.8}
    equals = {f"{who} and SHA-256": target for who, target in targets.items()}
    plain = {who: act for who, act in get.items() if who in targets}
    plain["ours"] = lambda: download_unverified(store, "boto3", target)
    name = f"{size // MIB} MiB"
    race = Race(unit="MiB/s", work=size / MIB, rounds=rounds, fresh=lambda: target.unlink(missing_ok=True))
    rows = race.rows(f"put of {name}", put, targets) + race.rows(f"get of {name}", get, targets | equals)
    return rows + race.rows(f"get of {name}, unverified", plain, targets)


def _small(store: S3Store, client: Any, peer: Any, *, rounds: int, count: int) -> list[Row]:
    data = secrets.token_bytes(SMALL)
    with ThreadPoolExecutor(THREADS) as pool:

        def each(call: Callable[[int], object]) -> Callable[[], object]:
            return lambda: list(pool.map(call, range(count)))

        def read(number: int) -> int:
            with store.get(f"ours/{number}") as body:
                return len(body.read())

        put: Contestants = {
            "ours": each(lambda number: store.put(f"ours/{number}", data)),
            "boto3": each(lambda number: client.put_object(Bucket="bench", Key=f"boto3/{number}", Body=data)),
        }
        get: Contestants = {
            "ours": each(read),
            "boto3": each(lambda number: client.get_object(Bucket="bench", Key=f"ours/{number}")["Body"].read()),
        }
        if peer is not None:
            put["obstore"] = each(lambda number: obstore.put(peer, f"obstore/{number}", data))
            get["obstore"] = each(lambda number: obstore.get(peer, f"ours/{number}").bytes())
        targets: dict[str, float | None] = {"boto3": 1.0, "obstore": 0.8}
        race = Race(unit="objects/s", work=count, rounds=rounds)
        rows = race.rows(f"put of {count} of 64 KiB each", put, targets)
        return rows + race.rows(f"get of {count} of 64 KiB each", get, targets)


def _presigned(store: S3Store, client: Any, *, rounds: int, count: int) -> list[Row]:
    def ours() -> None:
        for number in range(count):
            store.sign_get(f"previews/{number}.m4s", expires_in=timedelta(hours=1))

    def bare() -> None:
        for number in range(count):
            parameters = {"Bucket": "bench", "Key": f"previews/{number}.m4s"}
            client.generate_presigned_url("get_object", parameters, ExpiresIn=3600)

    race = Race(unit="/s", work=count, rounds=rounds)
    return race.rows("presigned GETs", {"ours": ours, "boto3": bare}, {"boto3": 1.0})


def _on_disk(home: Path, *, quick: bool) -> list[Row]:
    size, rounds = (128 * MIB, 3) if quick else (1024 * MIB, 5)
    source, target = home / "source", home / "target"
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    store = LocalStore(home / "objects", durable=False)
    peers: Contestants = {
        "copyfile": lambda: shutil.copyfile(source, target),
        "copyfile and SHA-256": lambda: (shutil.copyfile(source, target), _hashed(target)),
        FLOOR: lambda: _hashed(source),
        BOTH: lambda: _copied_and_hashed(source, target),
    }
    put: Contestants = {"ours": lambda: upload_file(store, source, "new"), **peers}
    get: Contestants = {"ours": lambda: download_file(store, "a", target), **peers}
    plain: Contestants = {"ours": lambda: download_unverified(store, "a", target), "copyfile": peers["copyfile"]}
    safe = LocalStore(home / "durable")
    synced = "copyfile and SHA-256 at once, then fsync"
    durable: Contestants = {
        "ours": lambda: upload_file(safe, source, "new"),
        synced: lambda: _copied_to_the_disk(source, target),
    }
    targets: dict[str, float | None] = {BOTH: 0.8, "copyfile and SHA-256": 0.8, "copyfile": 0.8}
    upload_file(store, source, "a")

    def fresh() -> None:
        store.delete("new")
        safe.delete("new")
        target.unlink(missing_ok=True)

    race = Race(unit="MiB/s", work=size / MIB, rounds=rounds, fresh=fresh)
    name = f"{size // MIB} MiB"
    return [
        *race.rows(f"local put of {name}", put, targets),
        *race.rows(f"local put of {name}, durable", durable, {synced: 0.8}),
        *race.rows(f"local get of {name}", get, targets),
        *race.rows(f"local get of {name}, unverified", plain, {"copyfile": 0.8}),
    ]


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
