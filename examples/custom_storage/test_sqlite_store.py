"""The whole contract, inherited: `pytest examples/custom_storage`."""

from pathlib import Path

import pytest
from sqlite_store import SqliteStore

from mamkit.testing.storage import StorageContract


class TestSqliteStore(StorageContract):
    """A store passes when all of this does."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        """Return an empty store."""
        return SqliteStore(tmp_path / "objects.db")
