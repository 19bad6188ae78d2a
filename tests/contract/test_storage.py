"""Every store keeps the contract."""

from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.clock import utc_now
from mamkit.storage import Expected, LocalStore, MemoryStore, SignedRequest
from mamkit.testing.storage import StorageContract


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
