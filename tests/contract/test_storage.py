"""Every store keeps the contract."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.clock import utc_now
from mamkit.storage import (
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
from mamkit.testing.storage import StorageContract
from tests.s3_servers import emptied, filer_of, store_on


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


class TestMemoryStore(StorageContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestLocalStore(StorageContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "objects", durable=False)


class TestDurableSigningLocalStore(StorageContract):
    signs_requests = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path, signer=PlainSigner())


@pytest.fixture(scope="module")
def weed_bucket(weed: str) -> Iterator[S3Store]:
    with store_on(weed, "contract") as store:
        yield store


@pytest.fixture(scope="module")
def ceph_bucket(ceph: str) -> Iterator[S3Store]:
    with store_on(ceph, "contract") as store:
        yield store


class TestSeaweedFS(StorageContract):
    signs_requests = True
    lists_facts = False
    longest_segment = 255

    @pytest.fixture
    def store(self, weed_bucket: S3Store, weed: str) -> S3Store:
        return emptied(weed_bucket, filer_of(weed))


class TestCeph(StorageContract):
    records_sha256 = False
    signs_requests = True
    lists_facts = False

    @pytest.fixture
    def store(self, ceph_bucket: S3Store) -> S3Store:
        return emptied(ceph_bucket)


class TestPrefixStore(StorageContract):
    longest_key = 1024 - len("deep/er/")

    @pytest.fixture
    def store(self) -> Iterator[PrefixStore]:
        inner = MemoryStore()
        for key in ("deep/e", "deep/er.mp4", "deep/es", "other"):
            inner.put(key, b"not in here")
        yield PrefixStore(inner, "deep/er/")
        assert {"deep/e", "deep/er.mp4", "deep/es", "other"} <= {info.key for info in inner.list()}


class TestObservedStore(StorageContract):
    @pytest.fixture
    def store(self) -> Iterator[ObservedStore]:
        seen: list[Operation] = []
        yield ObservedStore(MemoryStore(), seen.append)
        assert all(operation.seconds >= 0 for operation in seen)


class TestCachedStore(StorageContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> CachedStore:
        cache = LocalStore(tmp_path, durable=False)
        return CachedStore(MemoryStore(), cache, max_bytes=3_000_000, max_object=2_000_000)
