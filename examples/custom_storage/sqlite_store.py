"""A store of your own: objects as rows of an SQLite file. What it needs of mamkit is in `mamkit.storage.backend`."""

import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from mamkit.clock import utc_now
from mamkit.storage import (
    ByteRange,
    Expected,
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectReader,
    Upload,
)
from mamkit.storage.backend import (
    CheckedUpload,
    FileBody,
    carry,
    check_facts,
    check_key,
    check_match,
    check_prefix,
    feed,
    found_range,
)

__all__ = ["SqliteStore"]

_TABLE = """CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY COLLATE BINARY, data BLOB, sha256 TEXT, modified_at TEXT, content_type TEXT, metadata TEXT
) WITHOUT ROWID"""
_UPDATE = "UPDATE objects SET (key, data, sha256, modified_at, content_type, metadata) = (?, ?, ?, ?, ?, ?)"
_FACTS = "key, length(data), sha256, modified_at, content_type, metadata"


class SqliteStore:
    """Small objects in one file; each is in memory while it is written or read.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connected() as connection:
            connection.execute(_TABLE)

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        return self._find(key)[0]

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        """Open an object, or a run of its bytes."""
        info, data = self._find(key)
        return FileBody(io.BytesIO(data), info, found_range(byte_range, info.size))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`, a hundred at a time."""
        return self._list(check_prefix(prefix), after)

    def upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> AbstractContextManager[Upload]:
        """Begin to write an object block by block."""
        check_key(key)
        metadata = check_facts(content_type, metadata)

        def place(data: bytes, sha256: str) -> ObjectInfo:
            return self._place(key, data, sha256, content_type, metadata, if_absent=if_absent)

        return _SqliteUpload(key, expected, place)

    def put(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write a whole object."""
        upload = self.upload(key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent)
        return feed(upload, data)

    def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Copy an object of this store, or of another."""
        if origin is not None and origin is not self:
            return carry(origin, source, self, key, if_match=if_match, if_absent=if_absent)
        check_key(key)
        info, data = self._find(source)
        check_match(info, if_match)
        return self._place(key, data, info.sha256 or "", info.content_type, info.metadata, if_absent=if_absent)

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        check_key(key)
        with self._connected() as connection:
            connection.execute("DELETE FROM objects WHERE key = ?", (key,))

    def replace(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        if_match: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
    ) -> ObjectInfo:
        """Write a whole object in the place of just the one with this ETag."""
        check_key(key)
        metadata = check_facts(content_type, metadata)

        def place(data: bytes, sha256: str) -> ObjectInfo:
            row = _row(key, data, sha256, content_type, metadata)
            self._change(key, if_match, _UPDATE, *row)
            return _info((key, len(data), *row[2:]))

        return feed(_SqliteUpload(key, expected, place), data)

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag."""
        check_key(key)
        self._change(key, if_match, "DELETE FROM objects")

    def _change(self, key: str, if_match: str, statement: str, *values: object) -> None:
        """Change just the row of this key and ETag, in one statement, so that nobody comes in between."""
        with self._connected() as connection:
            done = connection.execute(f"{statement} WHERE key = ? AND sha256 = ?", (*values, key, if_match)).rowcount
        if not done:
            raise ObjectChangedError(key, expected=if_match, actual=self.head(key).etag)

    def _find(self, key: str) -> tuple[ObjectInfo, bytes]:
        check_key(key)
        with self._connected() as connection:
            row = connection.execute(f"SELECT {_FACTS}, data FROM objects WHERE key = ?", (key,)).fetchone()  # noqa: S608 - a constant
        if row is None:
            raise ObjectNotFoundError(key)
        return _info(row), row[-1]

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        query = f"SELECT {_FACTS} FROM objects WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT 100"  # noqa: S608 - a constant
        while True:
            with self._connected() as connection:
                rows = connection.execute(query, (after, len(prefix), prefix)).fetchall()
            for row in rows:
                yield _info(row)
            if not rows:
                return
            after = rows[-1][0]

    def _place(
        self, key: str, data: bytes, sha256: str, content_type: str, metadata: Mapping[str, str], *, if_absent: bool
    ) -> ObjectInfo:
        row = _row(key, data, sha256, content_type, metadata)
        verb = "INSERT" if if_absent else "INSERT OR REPLACE"
        try:
            with self._connected() as connection:
                connection.execute(f"{verb} INTO objects VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise ObjectExistsError(key) from error
        return _info((key, len(data), *row[2:]))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one statement, which is a transaction; any thread may ask."""
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            yield connection


class _SqliteUpload(CheckedUpload):
    def __init__(self, key: str, expected: Expected | None, place: Callable[[bytes, str], ObjectInfo]) -> None:
        super().__init__(key, expected)
        self._place = place
        self._data = bytearray()

    def _begin(self) -> None:
        self._data = bytearray()

    def _append(self, block: memoryview) -> None:
        self._data += block

    def _publish(self, sha256: str) -> ObjectInfo:
        return self._place(bytes(self._data), sha256)

    def _discard(self) -> None:
        self._data = bytearray()


def _row(key: str, data: bytes, sha256: str, content_type: str, metadata: Mapping[str, str]) -> tuple[Any, ...]:
    return key, data, sha256, utc_now().isoformat(), content_type, json.dumps(dict(metadata))


def _info(row: tuple[Any, ...]) -> ObjectInfo:
    key, size, sha256, modified_at, content_type, metadata, *_ = row
    return ObjectInfo(
        key=key,
        size=int(size),
        etag=sha256,
        modified_at=datetime.fromisoformat(modified_at),
        content_type=content_type,
        sha256=sha256,
        metadata=json.loads(metadata),
    )
