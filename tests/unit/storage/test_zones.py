"""Promotion: an upload becomes a master once, whole, and only if it is what was announced."""

import hashlib
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mamkit.storage import (
    InvalidKeyError,
    LocalStore,
    MasterConflictError,
    MasterRecord,
    MemoryStore,
    ObjectChangedError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectRetainedError,
    ObjectStore,
    UnsupportedOperationError,
    UploadRejectedError,
    Zones,
    clear_staged,
    promote,
)
from mamkit.storage.s3 import S3Store
from tests.s3_servers import store_on

FILM = b"film" * 1000
SHA256 = hashlib.sha256(FILM).hexdigest()
STAGED, MASTER, METADATA = "uploads/u/a/original.mp4", "masters/a/v1/original.mp4", "masters/a/v1/metadata.json"


@pytest.fixture(params=["memory", "local", "one store", "from memory to local", "seaweedfs", "ceph"])
def zones(request: pytest.FixtureRequest, tmp_path: Path) -> Zones:
    if request.param in {"seaweedfs", "ceph"}:
        # Ceph 16 ignores conditions of writes where it keeps versions, so there a master is either locked or safe.
        locked = request.param == "seaweedfs"
        return s3_zones(request.getfixturevalue("weed" if locked else "ceph"), locked=locked)
    stores: dict[str, Callable[[], tuple[ObjectStore, ObjectStore]]] = {
        "memory": lambda: (MemoryStore(), MemoryStore()),
        "local": lambda: (LocalStore(tmp_path / "s", durable=False), LocalStore(tmp_path / "m", durable=False)),
        "one store": lambda: (store := LocalStore(tmp_path, durable=False), store),
        "from memory to local": lambda: (MemoryStore(), LocalStore(tmp_path / "m", durable=False)),
    }
    staging, masters = stores[request.param]()
    return Zones(staging=staging, masters=masters, previews=MemoryStore())


def s3_zones(endpoint: str, *, locked: bool) -> Zones:
    """Three buckets of their own, the second with object lock if it is to be `locked`."""
    staging, masters, previews = (f"{zone}-{secrets.token_hex(4)}" for zone in ("staging", "masters", "previews"))
    return Zones(
        staging=store_on(endpoint, staging),
        masters=store_on(endpoint, masters, locked=locked),
        previews=store_on(endpoint, previews),
    )


def stage(zones: Zones, data: bytes = FILM) -> ObjectInfo:
    return zones.staging.put(STAGED, data, content_type="video/mp4")


def run(zones: Zones, *, size: int = len(FILM), sha256: str = SHA256) -> MasterRecord:
    return promote(zones, staged=STAGED, master=MASTER, size=size, sha256=sha256)


def read(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as body:
        return body.read()


def test_an_upload_becomes_a_master(zones: Zones) -> None:
    stage(zones)
    record = run(zones)
    assert (record.key, record.size, record.sha256, record.content_type) == (MASTER, len(FILM), SHA256, "video/mp4")
    assert record.created_at == zones.masters.head(MASTER).modified_at
    assert read(zones.masters, MASTER) == FILM
    facts = json.loads(read(zones.masters, METADATA))
    assert facts == {
        "key": MASTER,
        "size": len(FILM),
        "sha256": SHA256,
        "content_type": "video/mp4",
        "created_at": record.created_at.isoformat(),
    }


def test_promoting_again_gives_the_same_record(zones: Zones) -> None:
    """Also when staging was cleared, when something else was uploaded since, and with the digest in capitals."""
    stage(zones)
    record = run(zones)
    metadata = zones.masters.head(METADATA)
    assert run(zones) == record
    assert run(zones, sha256=SHA256.upper()) == record
    stage(zones, b"another film")
    assert run(zones) == record
    clear_staged(zones, STAGED)
    clear_staged(zones, STAGED)
    assert run(zones) == record
    assert zones.masters.head(METADATA) == metadata


def test_the_upload_stays_until_it_is_cleared(zones: Zones) -> None:
    stage(zones)
    run(zones)
    assert read(zones.staging, STAGED) == FILM
    clear_staged(zones, STAGED)
    with pytest.raises(ObjectNotFoundError):
        zones.staging.head(STAGED)
    assert read(zones.masters, MASTER) == FILM


def test_an_upload_that_is_not_what_was_announced_becomes_nothing(zones: Zones) -> None:
    stage(zones)
    for what, announced in [
        ("size", {"size": len(FILM) - 1}),
        ("size", {"size": 0}),
        ("size", {"size": len(FILM) + 1, "sha256": "0" * 64}),
        ("sha256", {"sha256": "0" * 64}),
        ("sha256", {"sha256": SHA256[:-1]}),
        ("sha256", {"sha256": ""}),
        ("sha256", {"sha256": f"{SHA256}\n"}),
    ]:
        with pytest.raises(UploadRejectedError) as raised:
            run(zones, **announced)  # type: ignore[arg-type]
        assert raised.value.what == what
    assert [info.key for info in zones.masters.list("masters/")] == []
    assert read(zones.staging, STAGED) == FILM


def test_without_an_upload_there_is_no_master(zones: Zones) -> None:
    with pytest.raises(ObjectNotFoundError) as raised:
        run(zones)
    assert raised.value.key == STAGED


def test_a_master_is_never_overwritten(zones: Zones) -> None:
    """Not even by an upload that is exactly what was announced."""
    stage(zones)
    record = run(zones)
    other = stage(zones, b"another film")
    digest = hashlib.sha256(b"another film").hexdigest()
    with pytest.raises(MasterConflictError) as raised:
        run(zones, size=other.size, sha256=digest)
    assert (raised.value.key, raised.value.expected, raised.value.actual) == (MASTER, digest, SHA256)
    with pytest.raises(MasterConflictError):
        run(zones, size=len(FILM) + 1)
    assert run(zones) == record
    assert read(zones.masters, MASTER) == FILM


@pytest.mark.parametrize("key", ["", "../a", "a//b", None, "masters/a/v1/metadata.json"])
def test_a_master_has_a_key(zones: Zones, key: Any) -> None:
    stage(zones)
    with pytest.raises(InvalidKeyError):
        promote(zones, staged=STAGED, master=key, size=len(FILM), sha256=SHA256)


def test_promotions_at_once_agree(zones: Zones) -> None:
    stage(zones)
    with ThreadPoolExecutor(6) as pool:
        records = list(pool.map(lambda _: run(zones), range(24)))
    assert len({(record.key, record.sha256, record.created_at) for record in records}) == 1
    assert len(list(zones.masters.list("masters/"))) == 2


def test_of_promotions_of_different_bytes_one_wins(zones: Zones) -> None:
    """The others learn that they lost; what stands is what the winner's record says."""
    uploads = {f"uploads/{number}.mp4": str(number).encode() * 5000 for number in range(6)}
    for key, data in uploads.items():
        zones.staging.put(key, data)

    def race(key: str) -> MasterRecord | None:
        digest = hashlib.sha256(uploads[key]).hexdigest()
        try:
            return promote(zones, staged=key, master=MASTER, size=5000, sha256=digest)
        except MasterConflictError:
            return None

    with ThreadPoolExecutor(6) as pool:
        records = [record for record in pool.map(race, uploads) if record is not None]
    assert len(records) == 1
    assert hashlib.sha256(read(zones.masters, MASTER)).hexdigest() == records[0].sha256


def test_a_crash_before_the_facts_were_written_is_made_good(zones: Zones) -> None:
    stage(zones)
    record = run(zones)
    zones.masters.delete(METADATA)
    clear_staged(zones, STAGED)
    assert run(zones) == record
    assert json.loads(read(zones.masters, METADATA))["sha256"] == SHA256


class LateUpload(MemoryStore):
    """Masters of an installation whose client uploads anew just between the check of the upload and its copy."""

    def __init__(self, staging: ObjectStore) -> None:
        super().__init__()
        self.staging = staging

    def copy(self, source: str, key: str, **options: Any) -> ObjectInfo:
        self.staging.put(source, b"evil" * 1000)
        return super().copy(source, key, **options)


@pytest.mark.parametrize("staging", ["memory", "local"])
def test_what_was_checked_is_what_is_copied(staging: str, tmp_path: Path) -> None:
    """A signed upload may still be good while its result is promoted."""
    store = MemoryStore() if staging == "memory" else LocalStore(tmp_path, durable=False)
    zones = Zones(staging=store, masters=LateUpload(store), previews=MemoryStore())
    stage(zones)
    with pytest.raises(ObjectChangedError):
        run(zones)
    assert list(zones.masters.list()) == []


def test_bytes_without_a_recorded_digest_are_read(tmp_path: Path) -> None:
    """An upload that came by another way, and a master whose facts were lost, count by what they hold."""
    staging, masters = LocalStore(tmp_path / "s"), LocalStore(tmp_path / "m")
    zones = Zones(staging=staging, masters=masters, previews=masters)
    path = tmp_path / "s" / STAGED
    path.parent.mkdir(parents=True)
    path.write_bytes(FILM[:-1] + b"x")
    with pytest.raises(UploadRejectedError):
        run(zones)
    path.write_bytes(FILM)
    assert staging.head(STAGED).sha256 is None
    record = run(zones)
    assert record.sha256 == SHA256
    assert run(zones) == record
    with pytest.raises(MasterConflictError):
        run(zones, sha256="0" * 64)


def test_a_master_is_retained(zones: Zones) -> None:
    """Nobody deletes or replaces it while that holds, and repeating the promotion says the same."""
    kept = Zones(staging=zones.staging, masters=zones.masters, previews=zones.previews, retention=timedelta(days=30))
    stage(kept)
    if isinstance(zones.masters, S3Store) and not zones.masters.features.checksums:
        with pytest.raises(UnsupportedOperationError):  # this bucket was made without object lock
            run(kept)
        return
    record = run(kept)
    assert record.retained_until == record.created_at + timedelta(days=30)
    again = run(kept)
    # SeaweedFS 4.48 forgets the type of an object that is retained afterwards; the bucket's own default does not.
    assert replace(again, content_type=record.content_type) == record
    with pytest.raises(ObjectRetainedError) as raised:
        kept.masters.delete(MASTER)
    assert (raised.value.key, raised.value.until) == (MASTER, record.retained_until)
    with pytest.raises(ObjectRetainedError):
        kept.masters.put(MASTER, b"another film")
    with pytest.raises(ObjectRetainedError):
        kept.masters.copy(METADATA, MASTER)
    assert read(kept.masters, MASTER) == FILM
    clear_staged(kept, STAGED)


def test_a_retention_is_never_cut_short_and_ends(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def clock() -> datetime:
        return now

    for store in (MemoryStore(clock=clock), LocalStore(tmp_path, durable=False, clock=clock)):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        store.put("a", b"bytes", content_type="video/mp4")
        assert store.retained_until("a") is None
        store.retain("a", until=now + timedelta(days=2))
        store.retain("a", until=now + timedelta(days=1))
        assert store.retained_until("a") == now + timedelta(days=2)
        assert store.head("a").content_type == "video/mp4"
        assert store.copy("a", "b").size == 5
        store.delete("b")  # a copy is an object of its own
        now += timedelta(days=2)
        store.delete("a")
        with pytest.raises(ObjectNotFoundError):
            store.retain("a", until=now)
