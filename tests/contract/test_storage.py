"""Every store keeps the contract."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.clock import utc_now
from mamkit.storage import (
    AsyncStore,
    CachedStore,
    Expected,
    LocalStore,
    MemoryStore,
    ObservedStore,
    Operation,
    PrefixStore,
    SignedRequest,
)
from mamkit.storage.s3 import S3Store
from mamkit.storage.s3._client import RESERVED
from mamkit.storage.s3._options import client_of
from mamkit.testing.storage import StorageContract
from tests.contract.from_a_loop import FromALoop, Loop
from tests.s3_servers import emptied, filer_of, options_for, store_on


class PlainSigner:
    """Signs without a secret, for what a store does around it."""

    def sign(
        self,
        method: str,
        key: str,
        *,
        content_type: str | None = None,
        expected: Expected | None = None,
        expires_in: timedelta,
    ) -> SignedRequest:
        headers = {} if content_type is None else {"content-type": content_type}
        size = "" if expected is None else f"?size={expected.size}"
        return SignedRequest(
            method=method, url=f"https://edge.test/{key}{size}", headers=headers, expires_at=utc_now() + expires_in
        )


class Files:
    """The files below a folder, as a web server sees them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str) -> bytes | None:
        path = self._root / key
        return path.read_bytes() if path.is_file() else None

    def write(self, key: str, data: bytes) -> None:
        path = self._root / key
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    def keys(self) -> set[str]:
        files = {str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file()}
        scratch = {name for name in files if name.startswith(".scratch/")}
        assert not scratch
        return {name for name in files if name != ".lock" and not name.startswith(".facts/")}


class Bucket:
    """A bucket through boto3's client."""

    def __init__(self, endpoint: str, name: str) -> None:
        self._client = client_of(options_for(endpoint))
        self._name = name

    def read(self, key: str) -> bytes | None:
        try:
            return bytes(self._client.get_object(Bucket=self._name, Key=key)["Body"].read())
        except self._client.exceptions.NoSuchKey:
            return None

    def write(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._name, Key=key, Body=data)

    def keys(self) -> set[str]:
        assert not self._client.list_multipart_uploads(Bucket=self._name).get("Uploads")
        found = self._client.list_objects_v2(Bucket=self._name).get("Contents", [])
        return {each["Key"] for each in found if not each["Key"].startswith(RESERVED)}


class Dictionary:
    """What a memory store holds, under a prefix."""

    def __init__(self, store: MemoryStore, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    def read(self, key: str) -> bytes | None:
        found = self._store._objects.get(self._prefix + key)
        return None if found is None else found[1]

    def write(self, key: str, data: bytes) -> None:
        other = MemoryStore()
        other.put(self._prefix + key, data)
        self._store._objects.update(other._objects)

    def keys(self) -> set[str]:
        found = {key for key in self._store._objects if key.startswith(self._prefix)}
        return {key.removeprefix(self._prefix) for key in found}


@pytest.fixture
def inner() -> MemoryStore:
    """The store within a wrapper."""
    return MemoryStore()


class TestMemoryStore(StorageContract):
    replaces_if_match = removes_if_match = retains = True

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def raw(self, store: MemoryStore) -> Dictionary:
        return Dictionary(store)


class TestLocalStore(StorageContract):
    replaces_if_match = removes_if_match = retains = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "objects", durable=False)

    @pytest.fixture
    def raw(self, tmp_path: Path) -> Files:
        return Files(tmp_path / "objects")


class TestDurableSigningLocalStore(StorageContract):
    replaces_if_match = removes_if_match = True
    signs_requests = signs_forms = signs_parts = retains = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path, signer=PlainSigner())

    @pytest.fixture
    def raw(self, tmp_path: Path) -> Files:
        return Files(tmp_path)


@pytest.fixture(scope="module")
def weed_bucket(weed: str) -> Iterator[S3Store]:
    with store_on(weed, "contract") as store:
        yield store


@pytest.fixture(scope="module")
def ceph_bucket(ceph: str) -> Iterator[S3Store]:
    with store_on(ceph, "contract") as store:
        yield store


class TestSeaweedFS(StorageContract):
    replaces_if_match = removes_if_match = True
    signs_requests = signs_forms = signs_parts = True
    lists_facts = False
    longest_segment = 255

    @pytest.fixture
    def store(self, weed_bucket: S3Store, weed: str) -> S3Store:
        return emptied(weed_bucket, filer_of(weed))

    @pytest.fixture
    def raw(self, store: S3Store, weed: str) -> Bucket:
        return Bucket(weed, store.bucket)


class TestCeph(StorageContract):
    replaces_if_match = True
    records_sha256 = False
    signs_requests = signs_forms = signs_parts = True
    lists_facts = False

    @pytest.fixture
    def store(self, ceph_bucket: S3Store) -> S3Store:
        return emptied(ceph_bucket)

    @pytest.fixture
    def raw(self, store: S3Store, ceph: str) -> Bucket:
        return Bucket(ceph, store.bucket)


class TestAsyncStore(StorageContract):
    """Each call from a loop, and streams in both directions through it."""

    replaces_if_match = removes_if_match = True

    @pytest.fixture
    def store(self, inner: MemoryStore) -> Iterator[FromALoop]:
        with closing(Loop()) as loop, closing(AsyncStore(inner, threads=4)) as store:
            yield FromALoop(store, loop)

    @pytest.fixture
    def raw(self, inner: MemoryStore) -> Dictionary:
        return Dictionary(inner)


class TestPrefixStore(StorageContract):
    replaces_if_match = removes_if_match = retains = True
    longest_key = 1024 - len("deep/er/")

    @pytest.fixture
    def store(self, inner: MemoryStore) -> Iterator[PrefixStore]:
        others = {"deep/e", "deep/er.mp4", "deep/es", "other"}
        for key in others:
            inner.put(key, b"not in here")
        yield PrefixStore(inner, "deep/er/")
        assert others <= {info.key for info in inner.list()}

    @pytest.fixture
    def raw(self, inner: MemoryStore) -> Dictionary:
        return Dictionary(inner, "deep/er/")


class TestObservedStore(StorageContract):
    replaces_if_match = removes_if_match = retains = True

    @pytest.fixture
    def store(self, inner: MemoryStore) -> Iterator[ObservedStore]:
        seen: list[Operation] = []
        yield ObservedStore(inner, seen.append)
        assert all(operation.seconds >= 0 for operation in seen)

    @pytest.fixture
    def raw(self, inner: MemoryStore) -> Dictionary:
        return Dictionary(inner)


class TestCachedStore(StorageContract):
    replaces_if_match = removes_if_match = retains = True

    @pytest.fixture
    def store(self, inner: MemoryStore, tmp_path: Path) -> CachedStore:
        cache = LocalStore(tmp_path, durable=False)
        return CachedStore(inner, cache, max_bytes=3_000_000, max_object=2_000_000)

    @pytest.fixture
    def raw(self, inner: MemoryStore) -> Dictionary:
        return Dictionary(inner)
