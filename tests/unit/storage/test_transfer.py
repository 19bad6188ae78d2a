"""Files go up and come down whole, verified, resumed and told of, from every store."""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from mamkit.clock import utc_now
from mamkit.storage import (
    ByteRange,
    CachedStore,
    Expected,
    HasLocalPath,
    LocalStore,
    MemoryStore,
    ObjectBody,
    ObjectChangedError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStore,
    ObservedStore,
    Operation,
    PrefixStore,
    StorageUnavailableError,
    UploadRejectedError,
    download_file,
    download_unverified,
    read_ahead,
    sha256_of,
    upload_file,
)
from mamkit.storage._buffers import fill
from mamkit.storage._files import mover
from mamkit.storage._wrapper import RenamedBody, StoreWrapper
from mamkit.storage.s3 import S3Options
from tests.s3_servers import store_on

DATA = array("I", range(5_120_000)).tobytes()  # 20 MB: several parts, each another
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["memory", "seaweedfs"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with store_on(request.getfixturevalue("weed"), "transfer", part_size=5 * 1024 * 1024, concurrency=1) as bucket:
        yield bucket


def test_a_file_goes_up_and_comes_down(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(DATA)
    up: list[int] = []
    down: list[int] = []
    info = upload_file(store, tmp_path / "film.mp4", "a/film.mp4", expected=Expected(sha256=SHA256), progress=up.append)
    assert (info.size, info.content_type) == (len(DATA), "video/mp4")
    found = download_file(store, "a/film.mp4", tmp_path / "back.mp4", part_size=3_000_000, progress=down.append)
    assert (found.sha256, found.info.etag) == (SHA256, info.etag)
    assert (tmp_path / "back.mp4").read_bytes() == DATA
    for told in (up, down):
        assert told == sorted(told)
        assert told[-1] == len(DATA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.mp4", "film.mp4"]


def test_an_empty_file_goes_up_and_comes_down(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert upload_file(store, tmp_path / "a", "empty").size == 0
    assert download_file(store, "empty", tmp_path / "b").sha256 == hashlib.sha256().hexdigest()
    assert (tmp_path / "b").read_bytes() == b""
    assert list(read_ahead(store, store.head("empty"))) == []


def test_what_is_not_expected_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(DATA)
    for expected in (Expected(size=1), Expected(sha256="0" * 64)):
        with pytest.raises(UploadRejectedError):
            upload_file(store, tmp_path / "film", "refused", expected=expected)
        with pytest.raises(ObjectNotFoundError):
            store.head("refused")
    store.put("taken", DATA)
    for expected in (Expected(size=1), Expected(sha256="0" * 64)):
        with pytest.raises(UploadRejectedError):
            download_file(store, "taken", tmp_path / "down", expected=expected)
    assert [path.name for path in tmp_path.iterdir()] == ["film"]


class Breaking(StoreWrapper):
    """Gives out a number of ranges, and then breaks."""

    def __init__(self, store: ObjectStore, ranges: int) -> None:
        super().__init__(store)
        self.left = ranges
        self.asked: list[int] = []

    def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
        self.left -= 1
        if self.left < 0:
            raise StorageUnavailableError(key, "the line is cut")
        self.asked.append(0 if byte_range is None else byte_range.start)
        return super().get(key, byte_range)


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    inner = MemoryStore()
    inner.put("film", DATA)
    with pytest.raises(StorageUnavailableError):
        download_file(Breaking(inner, 4), "film", tmp_path / "film", threads=1, part_size=1_000_000)
    assert not (tmp_path / "film").exists()
    rest = Breaking(inner, 1000)
    found = download_file(rest, "film", tmp_path / "film", threads=1, part_size=1_000_000)
    assert min(rest.asked) > 0
    assert found.sha256 == SHA256
    assert (tmp_path / "film").read_bytes() == DATA


def test_a_download_may_be_left_unverified(store: ObjectStore, tmp_path: Path) -> None:
    """It brings the bytes of one object, all of them, and what it is told of the object."""
    store.put("film", DATA)
    told: list[int] = []
    info = download_unverified(store, "film", tmp_path / "film", part_size=3_000_000, progress=told.append)
    assert info == store.head("film")
    assert (tmp_path / "film").read_bytes() == DATA
    assert told == sorted(told)
    assert told[-1] == len(DATA)
    with pytest.raises(UploadRejectedError):
        download_unverified(store, "film", tmp_path / "film", size=1)
    with pytest.raises(ObjectNotFoundError):
        download_unverified(store, "no film", tmp_path / "film")
    assert [path.name for path in tmp_path.iterdir()] == ["film"]


def test_an_unverified_download_does_not_trust_what_is_there(tmp_path: Path) -> None:
    """A crash may have left anything in the half, and nothing would tell."""
    store = MemoryStore()
    store.put("film", DATA)
    for download in (download_file, download_unverified):
        with pytest.raises(StorageUnavailableError):
            download(Breaking(store, 4), "film", tmp_path / "film", threads=1, part_size=1_000_000)
        [half] = tmp_path.iterdir()
        half.write_bytes(b"x" * half.stat().st_size)
        download_unverified(store, "film", tmp_path / "film")
        assert (tmp_path / "film").read_bytes() == DATA
        (tmp_path / "film").unlink()


def test_a_link_in_place_of_the_half_is_not_followed(tmp_path: Path) -> None:
    store = MemoryStore()
    store.put("film", DATA)
    with pytest.raises(StorageUnavailableError):
        download_file(Breaking(store, 4), "film", tmp_path / "film", threads=1, part_size=1_000_000)
    [half] = tmp_path.iterdir()
    half.unlink()
    (tmp_path / "other").write_bytes(b"somebody else's")
    half.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        download_file(store, "film", tmp_path / "film")
    assert (tmp_path / "other").read_bytes() == b"somebody else's"


def test_a_digest_is_of_one_object(tmp_path: Path) -> None:
    """The store is asked for ranges; one of another object ends it."""
    store = LocalStore(tmp_path)
    (tmp_path / "film.mp4").write_bytes(DATA)
    assert sha256_of(store, "film.mp4") == SHA256
    inner = MemoryStore()
    inner.put("film", DATA)

    class Forgetful(StoreWrapper):
        """Knows no digest, and has another object at the third range."""

        def __init__(self) -> None:
            super().__init__(inner)
            self.asked = 0

        def head(self, key: str) -> ObjectInfo:
            return replace(super().head(key), sha256=None)

        def get(self, key: str, byte_range: ByteRange | None = None) -> ObjectBody:
            self.asked += 1
            if self.asked == 3:
                inner.put("film", DATA[::-1])
            return super().get(key, byte_range)

    with pytest.raises(ObjectChangedError):
        sha256_of(Forgetful(), "film")
    assert sha256_of(Forgetful(), "film") == hashlib.sha256(DATA[::-1]).hexdigest()


def test_downloads_to_one_path_at_once_do_not_mix(tmp_path: Path) -> None:
    """The second leaves the half that is there to the first, and gathers its bytes in a file of its own."""
    store = MemoryStore()
    store.put("film", DATA)
    path = tmp_path / "film"
    inside: list[int] = []

    def again(done: int) -> None:
        if 0 < done < len(DATA) and not inside:
            inside.append(done)
            assert download_file(store, "film", path).sha256 == SHA256
            assert path.read_bytes() == DATA

    assert download_file(store, "film", path, threads=1, part_size=1_000_000, progress=again).sha256 == SHA256
    assert inside
    assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [path]


def test_what_somebody_else_wrote_to_the_half_is_refused(tmp_path: Path) -> None:
    """And goes, so that the next download begins anew."""
    store = MemoryStore()
    store.put("film", DATA)
    with pytest.raises(StorageUnavailableError):
        download_file(Breaking(store, 4), "film", tmp_path / "film", threads=1, part_size=1_000_000)
    [half] = tmp_path.iterdir()
    for foreign in (b"x" * len(DATA), DATA + b"x"):
        half.write_bytes(foreign)
        with pytest.raises(UploadRejectedError):
            download_file(store, "film", tmp_path / "film")
        assert list(tmp_path.iterdir()) == []
    assert download_file(store, "film", tmp_path / "film").sha256 == SHA256


def test_an_object_that_changes_meanwhile_is_not_mixed(tmp_path: Path) -> None:
    store = MemoryStore()
    info = store.put("film", DATA)
    blocks = read_ahead(store, info, threads=1, part_size=1_000_000)
    next(blocks)
    store.put("film", DATA[::-1])
    with pytest.raises(ObjectChangedError):
        list(blocks)


def test_an_observed_store_tells_what_was_asked() -> None:
    seen: list[Operation] = []
    store = ObservedStore(MemoryStore(), seen.append)
    store.put("a", b"bytes")
    with pytest.raises(ObjectNotFoundError):
        store.head("b")
    store.get("a").close()
    assert [(each.name, each.key, each.size, each.error) for each in seen] == [
        ("put", "a", 5, None),
        ("head", "b", None, "storage.not_found"),
        ("get", "a", 5, None),
    ]


def test_a_copy_between_observed_stores_is_the_copy_between_those_within(tmp_path: Path) -> None:
    stores = [LocalStore(tmp_path / name) for name in ("one", "two")]
    seen: list[Operation] = []
    one, two = (ObservedStore(store, seen.append) for store in stores)
    one.put("a", b"bytes")
    two.copy("a", "b", origin=one)
    assert isinstance(two, HasLocalPath)
    assert two.local_path("b").samefile(one.local_path("a"))  # a hard link: nothing was carried
    assert [(each.name, each.key) for each in seen] == [("put", "a"), ("copy", "b")]
    assert not isinstance(ObservedStore(MemoryStore(), seen.append), HasLocalPath)


def test_a_store_with_a_prefix_is_as_fast_as_the_one_within(tmp_path: Path) -> None:
    """Bodies read into buffers and let the kernel copy, and files are told; what the store within lacks is lacked."""
    inner = LocalStore(tmp_path / "objects", durable=False)
    within, memory = PrefixStore(inner, "in/"), PrefixStore(MemoryStore(), "in/")
    within.put("film", b"bytes")
    memory.put("film", b"bytes")
    files: object = within
    assert isinstance(files, HasLocalPath)
    assert not isinstance(memory, HasLocalPath)
    assert files.local_path("film") == inner.local_path("in/film")
    with pytest.raises(ObjectNotFoundError) as raised:
        files.local_path("none")
    assert raised.value.key == "none"
    with within.get("film") as body, (tmp_path / "copy").open("wb") as copy:
        assert (body.info.key, body.range) == ("film", ByteRange(0, 5))
        moved = mover(body)
        assert moved is not None
        assert moved(copy.fileno()) == 5
    assert (tmp_path / "copy").read_bytes() == b"bytes"
    with memory.get("film", ByteRange(1, 4)) as body:
        buffer = bytearray(9)
        assert fill(body, memoryview(buffer)) == 3
        assert buffer[:3] == b"yte"
    plain = RenamedBody(_OnlyBlocks(), within.head("film"))
    assert not {"readinto", "move_to", "fileno"} & set(dir(plain))
    assert plain.read() == b"bytes"


class _OnlyBlocks:
    """A body of a store that knows nothing faster."""

    info = ObjectInfo(key="film", size=5, etag="a", modified_at=utc_now())
    range = ByteRange(0, 5)

    def __iter__(self) -> Iterator[bytes]:
        yield b"bytes"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        return b"bytes"[: size if size >= 0 else None]

    def close(self) -> None:
        """Nothing is open."""


def test_a_cache_is_never_stale_and_never_too_full() -> None:
    seen: list[Operation] = []
    origin, cache = MemoryStore(), MemoryStore()
    store = CachedStore(ObservedStore(origin, seen.append), cache, max_bytes=100, max_object=50)
    for number in range(5):
        origin.put(f"{number}", bytes([number]) * 30)
    for _ in range(2):
        with store.get("0", ByteRange(10, 12)) as body:
            assert (body.read(), body.info.key) == (b"\0\0", "0")
    assert [each.name for each in seen].count("get") == 1
    origin.put("0", b"new")
    with store.get("0") as body:
        assert body.read() == b"new"
    for number in range(5):
        store.get(f"{number}").close()
        assert sum(info.size for info in cache.list()) <= 100
    origin.put("large", bytes(51))
    store.get("large").close()
    assert all(info.size != 51 for info in cache.list())


def test_the_secret_of_a_store_is_not_shown() -> None:
    options = S3Options(access_key="id", secret_key="very secret", session_token="hidden")
    assert "very secret" not in repr(options)
    assert "hidden" not in repr(options)
