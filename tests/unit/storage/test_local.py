"""What a local store leaves on the disk, and what it makes of what it finds there."""

import os
import stat
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mamkit.storage import (
    ByteRange,
    LocalStore,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageUnavailableError,
    sha256_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root, durable=False, clock=lambda: NOON)


def sidecars(root: Path) -> list[Path]:
    return [path for path in (root / ".facts").rglob("*") if path.is_file()]


def scratch_files(root: Path) -> list[Path]:
    return list((root / ".scratch").iterdir())


def read(store: LocalStore, key: str) -> bytes:
    with store.get(key) as body:
        return body.read()


def test_a_plain_key_is_a_path(store: LocalStore, root: Path) -> None:
    """So a web server can serve previews without this library."""
    key = "previews/01890a5d-ac96-774b-bcce-b302099a8057/v1/720p/segment_00000.m4s"
    store.put(key, b"bytes")
    assert (root / key).read_bytes() == b"bytes"
    assert store.local_path(key) == root / key


def test_an_object_is_read_only_on_the_disk(store: LocalStore) -> None:
    """Copies share it."""
    store.put("a.mp4", b"bytes")
    assert stat.S_IMODE(store.local_path("a.mp4").stat().st_mode) & 0o222 == 0


def test_the_time_of_an_object_is_that_of_the_clock(store: LocalStore) -> None:
    assert store.put("a", b"").modified_at == NOON
    assert store.head("a").modified_at == NOON


def test_the_facts_outlive_the_process(store: LocalStore, root: Path) -> None:
    info = store.put("a", b"bytes", content_type="video/mp4", metadata={"x": "1"})
    assert LocalStore(root).head("a") == info


def test_replacing_and_deleting_leave_no_sidecar_and_no_folder(store: LocalStore, root: Path) -> None:
    for _ in range(3):
        store.put("a/b/c", b"bytes")
        store.copy("a/b/c", "a/d")
        store.copy("a/d", "a/b/c")
    assert len(sidecars(root)) == 2
    store.delete("a/b/c")
    store.delete("a/d")
    assert sidecars(root) == []
    assert scratch_files(root) == []
    assert sorted(path.name for path in root.iterdir()) == [".facts", ".lock", ".scratch"]
    assert list((root / ".facts").iterdir()) == []


def test_a_refused_if_absent_leaves_no_trace(store: LocalStore, root: Path) -> None:
    store.put("a/b", b"old")
    before = sorted(root.rglob("*"))
    with pytest.raises(ObjectExistsError):
        store.put("a/b", b"new", if_absent=True)
    assert sorted(root.rglob("*")) == before


def test_a_copy_is_a_hard_link(store: LocalStore, tmp_path: Path) -> None:
    """Within a store and from one to another, so that promoting a film copies no bytes."""
    other = LocalStore(tmp_path / "other")
    source = store.put("a.mp4", b"bytes", content_type="video/mp4")
    store.copy("a.mp4", "b.mp4")
    copy = other.copy("a.mp4", "c.mp4", origin=store)
    inodes = {path.stat().st_ino for path in (store.local_path("a.mp4"), other.local_path("c.mp4"))}
    assert inodes == {store.local_path("b.mp4").stat().st_ino}
    assert (copy.sha256, copy.content_type) == (source.sha256, "video/mp4")
    store.delete("a.mp4")
    store.put("b.mp4", b"other")
    assert read(other, "c.mp4") == b"bytes"


# Files that somebody else put there


def test_a_file_that_was_put_there_is_an_object(store: LocalStore, root: Path) -> None:
    """Its type is that of its extension, its digest is not known, and its ETag follows its bytes."""
    path = root / "films" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"bytes")
    info = store.head("films/a.mp4")
    assert (info.size, info.content_type, info.sha256, info.metadata) == (5, "video/mp4", None, {})
    assert abs(info.modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert sha256_of(store, "films/a.mp4") == store.put("same", b"bytes").sha256
    assert [found.key for found in store.list()] == ["films/a.mp4", "same"]
    path.write_bytes(b"other bytes")
    assert store.head("films/a.mp4").etag != info.etag
    copy = store.copy("films/a.mp4", "b")
    path.write_bytes(b"changed")
    assert (copy.content_type, copy.sha256) == ("video/mp4", sha256_of(store, "b"))
    assert read(store, "b") == b"other bytes"


def test_files_that_no_key_stands_for_are_passed_over(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (root / "no-dot").write_bytes(b"")
    (root / "a b.txt").write_bytes(b"")
    (root / "Capital.txt").write_bytes(b"")
    (root / ".hidden.txt").write_bytes(b"")
    (root / "%zz.txt").write_bytes(b"")
    (root / "%ff.txt").write_bytes(b"")
    (root / "%2e.txt%").write_bytes(b"")
    (root / "dotted.folder").mkdir()
    (root / "dotted.folder" / "a.txt").write_bytes(b"")
    (root / "lost+found").mkdir(mode=0o000)
    (root / "link.txt").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "pipe.txt")
    store.put("good", b"")
    assert [info.key for info in store.list()] == ["good"]


def test_a_link_in_place_of_an_object_is_not_followed(store: LocalStore, root: Path, tmp_path: Path) -> None:
    """Neither for reading, nor for copying, nor for writing through it."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    (root / "a.txt").symlink_to(secret)
    for call in (store.head, store.get, store.local_path, lambda key: store.copy(key, "copy")):
        with pytest.raises(ObjectNotFoundError):
            call("a.txt")
    with pytest.raises(ObjectExistsError):
        store.put("a.txt", b"new", if_absent=True)
    store.put("a.txt", b"new")
    assert read(store, "a.txt") == b"new"
    assert secret.read_bytes() == b"secret"


def test_a_pipe_in_place_of_an_object_does_not_hang(store: LocalStore, root: Path) -> None:
    os.mkfifo(root / "a.txt")
    with pytest.raises(ObjectNotFoundError):
        store.get("a.txt")


def test_a_folder_in_place_of_an_object_is_a_failure_of_the_store(store: LocalStore, root: Path) -> None:
    (root / "a.txt").mkdir()
    with pytest.raises(ObjectNotFoundError):
        store.get("a.txt")
    with pytest.raises(StorageUnavailableError) as raised:
        store.put("a.txt", b"")
    assert isinstance(raised.value.__cause__, OSError)
    store.delete("a.txt")
    assert sidecars(root) == []
    assert scratch_files(root) == []


def test_a_file_in_place_of_a_folder_is_a_failure_of_the_store(store: LocalStore, root: Path) -> None:
    (root / "a").write_bytes(b"")
    with pytest.raises(ObjectNotFoundError):
        store.head("a/b")
    for if_absent in (False, True):
        with pytest.raises(StorageUnavailableError):
            store.put("a/b", b"", if_absent=if_absent)
    assert sidecars(root) == []
    assert scratch_files(root) == []


# Sidecars


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 16000,
        b'{"content_type": "text/plain"}',
        b'{"content_type": 5, "sha256": null, "modified_at": "2026-01-01T00:00:00+00:00", "metadata": {}}',
        b'{"content_type": "a/b", "sha256": 5, "modified_at": "2026-01-01T00:00:00+00:00", "metadata": {}}',
        b'{"content_type": "a/b", "sha256": null, "modified_at": "2026-01-01T00:00:00", "metadata": {}}',
        b'{"content_type": "a/b", "sha256": null, "modified_at": "2026-01-01T00:00:00+00:00", "metadata": 5}',
        b'{"content_type": "a/b\\r\\nx: y", "sha256": null, "modified_at": "2026-01-01T00:00:00Z", "metadata": {}}',
    ],
    ids=range(12),
)
def test_a_torn_sidecar_is_no_sidecar(store: LocalStore, root: Path, content: bytes) -> None:
    """The bytes are there, and of the facts what can be seen."""
    store.put("a.mp4", b"bytes", content_type="text/plain")
    [sidecar] = sidecars(root)
    sidecar.unlink()
    sidecar.write_bytes(content)
    info = store.head("a.mp4")
    assert (info.size, info.content_type, info.sha256) == (5, "video/mp4", None)
    store.put("a.mp4", b"new", content_type="text/plain")
    assert store.head("a.mp4").content_type == "text/plain"
    assert len(sidecars(root)) == 1


def test_facts_of_other_bytes_are_not_believed(store: LocalStore, root: Path) -> None:
    """A file that was changed or exchanged by other hands has not the digest of the one before."""
    store.put("a.mp4", b"bytes", content_type="text/plain")
    path = root / "a.mp4"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"BYTES")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # clocks of file systems tick in milliseconds
    assert store.head("a.mp4").sha256 is None
    store.put("a.mp4", b"bytes")
    exchanged = root / "exchanged"
    exchanged.write_bytes(b"other")
    exchanged.replace(path)
    assert store.head("a.mp4").sha256 is None


# Scratch


def test_what_a_dead_process_left_is_swept(store: LocalStore, root: Path) -> None:
    (root / ".scratch" / "left").write_bytes(b"half of a film")
    LocalStore(root)
    assert scratch_files(root) == []


def test_what_is_being_written_is_not_swept(store: LocalStore, root: Path) -> None:
    with store.upload("a") as upload:
        upload.write(b"half ")
        LocalStore(root)
        assert len(scratch_files(root)) == 1
        upload.write(b"and half")
        upload.commit()
    assert read(store, "a") == b"half and half"
    assert scratch_files(root) == []


def test_stores_that_come_and_go_do_not_disturb_writers(store: LocalStore, root: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            LocalStore(root)

    with ThreadPoolExecutor(3) as pool:
        sweeper = pool.submit(sweep)
        writers = [pool.submit(lambda: [store.put("a", b"x" * 10) for _ in range(100)]) for _ in range(2)]
        try:
            for _ in range(100):
                store.put("a", b"")
                store.copy("a", "b")
            for writer in writers:
                writer.result()
        finally:
            done.set()
        sweeper.result()
    assert scratch_files(root) == []


def test_folders_that_come_and_go_do_not_disturb_writers(store: LocalStore, root: Path) -> None:
    """A folder may be pruned as empty just when another thread is about to use it."""

    def put_and_delete(name: str) -> None:
        for _ in range(150):
            store.put(f"deep/er/{name}", b"bytes")
            assert read(store, f"deep/er/{name}") == b"bytes"
            store.delete(f"deep/er/{name}")

    with ThreadPoolExecutor(3) as pool:
        for _ in pool.map(put_and_delete, "abc"):
            pass
    assert sorted(path.name for path in root.iterdir()) == [".facts", ".lock", ".scratch"]


def test_no_descriptor_leaks(store: LocalStore) -> None:
    store.put("a", b"bytes")
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a listing of numbers
    for _ in range(20):
        with pytest.raises(ObjectExistsError):
            store.put("a", b"", if_absent=True)
        with pytest.raises(ObjectNotFoundError):
            store.get("b")
        read(store, "a")
        store.copy("a", "c")
        with store.upload("d") as upload:
            upload.write(b"left")
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


# Durability


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        paths.append(str(Path(f"/dev/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    return paths


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells the path of a descriptor by /proc")
def test_a_durable_write_brings_bytes_facts_and_names_to_the_disk(root: Path, synced: list[str]) -> None:
    store = LocalStore(root)
    synced.clear()
    store.put("a/b.mp4", b"bytes")
    scratch, rest = synced[:2], synced[2:]
    assert all(path.startswith(str(root / ".scratch")) for path in scratch)
    assert {str(root), str(root / "a"), str(root / ".facts"), str(root / ".facts" / "a")} <= set(rest)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells the path of a descriptor by /proc")
def test_a_store_that_need_not_be_durable_does_not_wait_for_the_disk(
    root: Path, tmp_path: Path, synced: list[str]
) -> None:
    store = LocalStore(root, durable=False)
    store.put("a.mp4", b"bytes")
    store.delete("a.mp4")
    assert synced == []
    store.put("a.mp4", b"bytes")
    LocalStore(tmp_path / "durable").copy("a.mp4", "b.mp4", origin=store)
    assert str(root / "a.mp4") in synced


# The root


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(StorageUnavailableError) as raised:
        LocalStore(path)
    assert raised.value.subject == str(path)


def test_the_root_may_be_relative_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is relative to counts when the store is made."""
    monkeypatch.chdir(tmp_path)
    store = LocalStore("deep/objects")
    store.put("a", b"bytes")
    monkeypatch.chdir("/")
    assert read(store, "a") == b"bytes"
    assert repr(store) == f"LocalStore('{tmp_path}/deep/objects')"
    store.put("a.txt", b"12345")
    with store.get("a.txt") as body:
        assert repr(body) == "<FileBody of 'a.txt', 5 bytes left to read>"


def test_a_root_that_was_removed_is_a_failure_of_the_store(store: LocalStore, root: Path) -> None:
    (root / ".scratch").rmdir()
    with pytest.raises(StorageUnavailableError):
        store.put("a", b"")


def test_a_file_that_was_cut_short_is_not_passed_off_as_whole(store: LocalStore, root: Path) -> None:
    store.put("a.mp4", b"bytes" * 1000)
    with store.get("a.mp4", ByteRange(0, 5000)) as body:
        path = root / "a.mp4"
        path.chmod(0o644)
        os.truncate(path, 100)
        with pytest.raises(StorageUnavailableError):
            body.read()


def test_a_listing_takes_memory_for_a_few_folders_only(store: LocalStore, root: Path) -> None:
    """Not for all objects: while it runs, at most the entries of the folders on the way are held."""
    for folder in range(20):
        path = root / f"folder-{folder:02}"
        path.mkdir()
        for number in range(50):
            (path / f"object-{number:02}.mp4").touch()
    tracemalloc.start()
    try:
        storage = tracemalloc.Filter(inclusive=True, filename_pattern="*/mamkit/storage/*")
        held = [
            sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([storage]).traces)
            for number, _ in enumerate(store.list())
            if number % 450 == 10
        ]
    finally:
        tracemalloc.stop()
    assert max(held) < 60_000, held  # the entries of all folders at once would take 250 kB
