"""What is stored and what is hashed are the same bytes, whoever copies them and whatever becomes of where they were."""

import errno
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mamkit.storage import (
    ByteRange,
    Expected,
    LocalStore,
    MemoryStore,
    StorageFullError,
    StorageUnavailableError,
    UploadRejectedError,
    download_file,
    download_unverified,
    upload_file,
)
from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of, fill
from mamkit.storage._following import _ALONE, _STEP, FileSha256

LARGE = _ALONE + _STEP + 5 * BLOCK_SIZE + 1  # bytes; so that a thread hashes
DATA = b"".join(bytes([number % 251]) * BLOCK_SIZE for number in range(LARGE // BLOCK_SIZE)) + b"."
SHA256 = hashlib.sha256(DATA).hexdigest()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mamkit-sha256")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", durable=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def unsupported(*_: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "this file system does not")


@pytest.fixture(params=["copied", "sent", "read", "sent at first"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which way the bytes take: what the kernel can, and where it stops in the middle."""
    way = str(request.param)
    if way != "copied":
        monkeypatch.setattr(os, "copy_file_range", unsupported, raising=False)
    if way == "read":
        monkeypatch.setattr(os, "sendfile", unsupported)
    if way == "sent at first":
        sendfile, turns = os.sendfile, iter(range(2))

        def twice(target: int, source: int, offset: None, count: int) -> int:
            if next(turns, None) is None:
                return unsupported()
            return sendfile(target, source, offset, count)

        monkeypatch.setattr(os, "sendfile", twice)
    return way


@pytest.mark.usefixtures("kernel")
def test_a_file_is_stored_and_hashed_whole(store: LocalStore, file: Path, tmp_path: Path) -> None:
    up: list[int] = []
    down: list[int] = []
    info = upload_file(store, file, "a", expected=Expected(sha256=SHA256), progress=up.append)
    assert (info.size, info.sha256) == (LARGE, SHA256)
    found = download_file(store, "a", tmp_path / "back", progress=down.append)
    assert found.sha256 == SHA256
    assert (tmp_path / "back").read_bytes() == DATA
    for told in (up, down):
        assert told == sorted(set(told))
        assert told[-1] == LARGE
        assert len(told) > 2
    assert download_unverified(store, "a", tmp_path / "plain").sha256 == SHA256
    assert (tmp_path / "plain").read_bytes() == DATA


@pytest.mark.usefixtures("kernel")
def test_a_file_is_taken_from_where_it_stands(store: LocalStore, file: Path) -> None:
    """And stands at its end then, as if it had been read."""
    for opened in (file.open("rb"), file.open("rb", buffering=0)):
        with opened as source:
            assert source.read(1000) == DATA[:1000]
            info = store.put("a", source)
            assert source.tell() == LARGE
            assert source.read() == b""
            source.seek(5)
            assert source.read(5) == DATA[5:10]
        assert (info.size, info.sha256) == (LARGE - 1000, hashlib.sha256(DATA[1000:]).hexdigest())
    small = file.with_name("small")
    small.write_bytes(b"0123456789")
    with small.open("rb") as source:
        assert source.read(3) == b"012"
        assert store.put("b", source).sha256 == hashlib.sha256(b"3456789").hexdigest()
        assert source.read() == b""


@pytest.mark.usefixtures("kernel")
def test_a_range_of_an_object_is_no_more_than_the_range(store: LocalStore, file: Path) -> None:
    upload_file(store, file, "a")
    with store.get("a", ByteRange(7, LARGE - 9)) as body:
        assert body.read(3) == DATA[7:10]
        info = store.put("b", body)
    assert info.sha256 == hashlib.sha256(DATA[10:-9]).hexdigest()


class Shouting(io.FileIO):
    """A file that reads otherwise than what is in it, as one that decrypts does."""

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        buffer[:count] = bytes(buffer[:count]).upper()
        return count


def test_a_file_of_another_class_is_read_as_it_reads(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"quiet")
    with Shouting(tmp_path / "a") as source:
        store.put("raw", source)
    with io.BufferedReader(Shouting(tmp_path / "a")) as source:
        store.put("buffered", source)
    for key in ("raw", "buffered"):
        with store.get(key) as body:
            assert body.read() == b"QUIET"


def test_a_pipe_is_read_to_its_end(store: LocalStore) -> None:
    source, target = os.pipe()
    os.write(target, b"through a pipe")
    os.close(target)
    with os.fdopen(source, "rb") as file:
        assert store.put("a", file).sha256 == hashlib.sha256(b"through a pipe").hexdigest()


def test_a_source_that_changes_meanwhile_is_hashed_as_it_landed(store: LocalStore, file: Path) -> None:
    """Whichever bytes those are: digest and object agree."""
    inside: list[int] = []

    def change(done: int) -> None:
        inside.append(done)
        with file.open("r+b") as other:  # before and behind what is copied
            other.write(b"x" * LARGE)

    info = upload_file(store, file, "a", progress=change)
    assert inside
    with store.get("a") as body:
        stored = body.read()
    assert stored not in {DATA, b"x" * LARGE}
    assert info.sha256 == hashlib.sha256(stored).hexdigest()


def test_a_source_that_grows_is_refused_where_it_is_too_long(store: LocalStore, file: Path) -> None:
    def grow(_: int) -> None:
        with file.open("ab") as other:
            other.write(b"more")

    with pytest.raises(UploadRejectedError) as raised:
        upload_file(store, file, "a", progress=grow)
    assert (raised.value.what, raised.value.expected) == ("size", LARGE)
    assert list(store.list()) == []


def test_a_full_disk_is_named(store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's copy stops; what the writing then says is what the caller is told."""
    for name in ("copy_file_range", "sendfile"):
        monkeypatch.setattr(os, name, unsupported, raising=False)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFullError):
        upload_file(store, file, "a")


def test_what_was_written_and_cannot_be_read_back_is_not_stored(
    store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails under the hash fails the upload, in the thread and without one."""

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "preadv", broken)
    small = file.with_name("small")
    small.write_bytes(b"small")
    for path in (file, small):
        with pytest.raises(StorageUnavailableError):
            upload_file(store, path, "a")
    assert list(store.list()) == []


def test_a_disk_that_fails_once_is_read_again(store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv, failures = os.preadv, iter([errno.EIO])

    def once(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if (number := next(failures, None)) is not None:
            raise OSError(number, "just now")
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", once)
    assert upload_file(store, file, "a").sha256 == SHA256


def test_a_file_that_was_cut_behind_the_writing_has_no_digest(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb+") as file, FileSha256(file.fileno()) as digest:
        file.write(b"bytes")
        file.flush()
        digest.grow(6)
        with pytest.raises(StorageUnavailableError, match="shorter"):
            digest.hexdigest()


def test_blocks_at_hand_and_blocks_in_the_file_make_one_digest(tmp_path: Path) -> None:
    """In any order, below and above where the thread begins; and the digest may be asked for in between."""
    wanted = hashlib.sha256()
    with (tmp_path / "a").open("wb+", buffering=0) as file, FileSha256(file.fileno()) as digest:
        for number in range(LARGE // BLOCK_SIZE):
            block = memoryview(bytearray([number % 251]) * BLOCK_SIZE)
            file.write(block)
            wanted.update(block)
            digest.grow(len(block), block if number % 3 else None)
            block[:] = bytes(len(block))  # as the caller may
            if number % 50 == 7:
                assert digest.hexdigest() == wanted.hexdigest()
        assert digest.hexdigest() == wanted.hexdigest()
        assert threads() != []
        digest.close()
        digest.close()


@pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))])
def test_a_caller_may_use_its_buffer_again(kind: Callable[[bytes], bytearray | memoryview], store: LocalStore) -> None:
    """As soon as `write` returns: what is stored and what is hashed are what was in it then."""
    wanted, buffer = hashlib.sha256(), kind(bytes(1_000_000))
    with store.upload("a") as upload:
        for number in range(LARGE // 1_000_000 + 10):
            buffer[:] = bytes([number]) * 1_000_000
            wanted.update(buffer)
            upload.write(buffer)  # type: ignore[arg-type]  # any buffer is taken
        info = upload.commit()
    assert info.sha256 == wanted.hexdigest()
    stored = hashlib.sha256()
    with store.get("a") as body:
        for block in body:
            stored.update(block)
    assert stored.hexdigest() == wanted.hexdigest()


def test_no_thread_outlives_an_upload(store: LocalStore) -> None:
    """Whether it is left, refused, or fails in the middle."""
    data = bytes(LARGE)
    with store.upload("left") as upload:
        upload.write(data)
        assert threads() != []
    assert threads() == []
    with pytest.raises(UploadRejectedError):
        store.put("refused", data, expected=Expected(size=LARGE, sha256="0" * 64))
    assert threads() == []

    def blocks() -> Iterator[bytes]:
        yield data
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put("failed", blocks())
    assert list(store.list()) == []


def test_a_body_is_read_into_a_buffer() -> None:
    """As far as it goes; and not past the range that was asked for."""
    store = MemoryStore()
    store.put("a", b"0123456789")
    buffer = buffer_of(7)
    with store.get("a") as body:
        assert fill(body, buffer[:7]) == 7
        assert bytes(buffer[:7]) == b"0123456"
        assert fill(body, buffer[:7]) == 3
        assert bytes(buffer[:7]) == b"7893456"
        assert fill(body, buffer[:7]) == 0
