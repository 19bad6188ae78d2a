"""The whole contract, inherited: `pytest examples/custom_storage`."""

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlite_store import SqliteStore

from mamkit.testing.storage import StorageContract


class TestSqliteStore(StorageContract):
    """A store passes when all of this does."""

    replaces_if_match = removes_if_match = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        """Return an empty store."""
        return SqliteStore(tmp_path / "objects.db")

    @pytest.fixture
    def raw(self, tmp_path: Path) -> "Rows":
        """Return a way past the store."""
        return Rows(tmp_path / "objects.db")


class Rows:
    """The table, without the store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, key: str) -> bytes | None:
        """Return the bytes of a row."""
        rows = self._run("SELECT data FROM objects WHERE key = ?", key)
        return rows[0][0] if rows else None

    def write(self, key: str, data: bytes) -> None:
        """Put a row there."""
        facts = (hashlib.sha256(data).hexdigest(), datetime.now(UTC).isoformat(), "video/mp4", "{}")
        self._run("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", key, data, *facts)

    def keys(self) -> set[str]:
        """Return the keys of all rows."""
        return {key for (key,) in self._run("SELECT key FROM objects")}

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            return connection.execute(statement, values).fetchall()
