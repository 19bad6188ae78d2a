"""Sessions in a SQL database: SQLite, PostgreSQL, or another that SQLAlchemy speaks to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from mamkit.auth._sql import MOMENT, aware, translated
from mamkit.auth.errors import SessionStoreError
from mamkit.auth.store import Session
from mamkit.errors import MissingExtraError

try:
    import sqlalchemy as sa
except ImportError as error:
    raise MissingExtraError("auth", package="sqlalchemy") from error

__all__ = ["SqlSessionStore", "sessions_table"]

_COLUMNS = [column.name for column in fields(Session)]
_TIMES = ("replaced_at", "expires_at", "revoked_at", "created_at")


def sessions_table(metadata: sa.MetaData, *, name: str = "sessions") -> sa.Table:
    """Declare the table of sessions in a program's own metadata, and return it.

    `user_id` refers to nothing, since the program's users may be kept anywhere.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False, index=True),
        sa.Column("jti", sa.Uuid, nullable=False, unique=True),
        sa.Column("family", sa.Uuid, nullable=False, index=True),
        sa.Column("refresh_token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("parent_jti", sa.Uuid),
        sa.Column("replaced_by_jti", sa.Uuid),
        sa.Column("replaced_at", MOMENT),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.Column("revoked_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
    )


class SqlSessionStore:
    """A `SessionStore` over one table, for any number of threads and processes.

    Every transaction that writes begins with a write. SQLite then takes its write lock before it has read anything, and
    waits for other writers as long as the engine's time-out says, instead of failing because what it read is stale.

    Args:
        engine: A synchronous engine whose transactions are atomic (not in AUTOCOMMIT mode); the caller disposes of it.
        table: What `sessions_table` returns, or a table with the same columns.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table

    def add(self, session: Session) -> None:
        """Keep the first link of a new family."""
        with self._transaction("add a session") as connection:
            connection.execute(sa.insert(self._table).values(**asdict(session)))

    def find(self, refresh_token_hash: str) -> Session | None:
        """Return the link with this hash, whatever its state."""
        query = sa.select(self._table).where(self._table.c.refresh_token_hash == refresh_token_hash)
        found = self._read(query)
        return found[0] if found else None

    def rotate(self, jti: UUID, successor: Session, *, at: datetime) -> bool:
        """Replace a live link by its successor, or return False."""
        replacing = (
            sa.update(self._table)
            .where(self._table.c.jti == jti, *self._is_live(at))
            .values(replaced_by_jti=successor.jti, replaced_at=at)
        )
        with self._transaction("rotate a session") as connection:
            if connection.execute(replacing).rowcount == 0:
                return False
            connection.execute(sa.insert(self._table).values(**asdict(successor)))
            return True

    def revoke_family(self, family: UUID, *, at: datetime) -> None:
        """Revoke every link of a family."""
        self._revoke(self._table.c.family == family, at)

    def revoke_user(self, user_id: UUID, *, at: datetime) -> None:
        """Revoke every link of a user."""
        self._revoke(self._table.c.user_id == user_id, at)

    def live(self, user_id: UUID, *, at: datetime) -> list[Session]:
        """Return the live links of a user, newest first."""
        columns = self._table.c
        query = sa.select(self._table).where(columns.user_id == user_id, *self._is_live(at))
        return self._read(query.order_by(columns.created_at.desc(), columns.id.desc()))

    def purge(self, *, before: datetime) -> int:
        """Forget the links that expired before this time, and return how many."""
        with self._transaction("purge sessions") as connection:
            return connection.execute(sa.delete(self._table).where(self._table.c.expires_at < before)).rowcount

    def _is_live(self, at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        columns = self._table.c
        return (columns.replaced_by_jti.is_(None), columns.revoked_at.is_(None), columns.expires_at > at)

    def _revoke(self, which: sa.ColumnElement[bool], at: datetime) -> None:
        revoking = sa.update(self._table).where(which, self._table.c.revoked_at.is_(None)).values(revoked_at=at)
        # Where readers do not block writers (PostgreSQL, READ COMMITTED), the statement waits for a rotation that holds
        # a link's row, yet does not see the successor inserted meanwhile; the next statement does.
        with self._transaction("revoke sessions") as connection:
            while connection.execute(revoking).rowcount:
                pass

    def _read(self, query: sa.Select[Any]) -> list[Session]:
        with translated(SessionStoreError, "read sessions"), self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [_session(row) for row in rows]

    @contextmanager
    def _transaction(self, operation: str) -> Iterator[sa.Connection]:
        with translated(SessionStoreError, operation), self._engine.begin() as connection:
            yield connection


def _session(row: sa.RowMapping) -> Session:
    values = {name: row[name] for name in _COLUMNS}
    for name in _TIMES:
        if values[name] is not None:
            values[name] = aware(values[name])
    return Session(**values)
