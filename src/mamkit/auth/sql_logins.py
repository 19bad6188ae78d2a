"""Failed attempts and open logins in a SQL database, beside the sessions of `mamkit.auth.sql`."""

from dataclasses import asdict
from datetime import datetime

from mamkit.auth._sql import MOMENT, aware, translated
from mamkit.auth.errors import LoginStoreError
from mamkit.auth.flows import OpenFlow
from mamkit.auth.lockout import Attempts
from mamkit.errors import MissingExtraError

try:
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql, sqlite
except ImportError as error:
    raise MissingExtraError("auth", package="sqlalchemy") from error

__all__ = ["SqlAttemptStore", "SqlFlowStore", "attempts_table", "flows_table"]


def attempts_table(metadata: sa.MetaData, *, name: str = "login_attempts") -> sa.Table:
    """Declare the table of failed attempts in a program's own metadata, and return it."""
    return sa.Table(
        name,
        metadata,
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failed_at", MOMENT, nullable=False, index=True),
    )


def flows_table(metadata: sa.MetaData, *, name: str = "login_flows") -> sa.Table:
    """Declare the table of open logins in a program's own metadata, and return it."""
    return sa.Table(
        name,
        metadata,
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
    )


class SqlAttemptStore:
    """An `AttemptStore` over one table of SQLite or PostgreSQL, for any number of threads and processes.

    Args:
        engine: A synchronous engine whose transactions are atomic; the caller disposes of it.
        table: What `attempts_table` returns, or a table with the same columns.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table

    def get(self, key: str) -> Attempts | None:
        """Return what is counted for a key."""
        query = sa.select(self._table).where(self._table.c.key == key)
        with translated(LoginStoreError, "read attempts"), self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _attempts(row)

    def fail(self, key: str, *, at: datetime, forget_before: datetime) -> Attempts:
        """Count one more failure and return the new count, by one statement."""
        table = self._table
        counting = self._inserting(key, Attempts(failures=1, last_failed_at=at))
        again = sa.case((table.c.last_failed_at < forget_before, 1), else_=table.c.failures + 1)
        statement = counting.on_conflict_do_update(
            index_elements=[table.c.key], set_={"failures": again, "last_failed_at": at}
        ).returning(table.c.failures, table.c.last_failed_at)
        with translated(LoginStoreError, "count an attempt"), self._engine.begin() as connection:
            return _attempts(connection.execute(statement).mappings().one())

    def replace(self, key: str, attempts: Attempts, *, instead_of: Attempts | None) -> bool:
        """Count `attempts` for a key if what is counted is still `instead_of`, by one statement."""
        table = self._table
        statement: sa.Insert | sa.Update = self._inserting(key, attempts).on_conflict_do_nothing()
        if instead_of is not None:
            unchanged = [table.c[name] == value for name, value in asdict(instead_of).items()]
            statement = sa.update(table).where(table.c.key == key, *unchanged).values(**asdict(attempts))
        with translated(LoginStoreError, "count an attempt"), self._engine.begin() as connection:
            return connection.execute(statement.returning(table.c.key)).first() is not None

    def clear(self, key: str) -> None:
        """Forget what is counted for a key."""
        with translated(LoginStoreError, "clear attempts"), self._engine.begin() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.key == key))

    def purge(self, *, before: datetime) -> int:
        """Forget the keys whose last failure was before a time, and return how many."""
        forgetting = sa.delete(self._table).where(self._table.c.last_failed_at < before)
        with translated(LoginStoreError, "purge attempts"), self._engine.begin() as connection:
            return connection.execute(forgetting).rowcount

    def _inserting(self, key: str, attempts: Attempts) -> postgresql.Insert | sqlite.Insert:
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement: postgresql.Insert | sqlite.Insert = insert(self._table)
        return statement.values(key=key, **asdict(attempts))


class SqlFlowStore:
    """A `FlowStore` over one table of SQLite or PostgreSQL, for any number of threads and processes.

    Args:
        engine: As for `SqlAttemptStore`.
        table: What `flows_table` returns, or a table with the same columns.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table

    def put(self, flow: OpenFlow) -> None:
        """Keep a flow."""
        with translated(LoginStoreError, "keep a login"), self._engine.begin() as connection:
            connection.execute(sa.insert(self._table).values(**asdict(flow)))

    def take(self, digest: str) -> OpenFlow | None:
        """Remove a flow and return it, by one `DELETE … RETURNING`."""
        taking = sa.delete(self._table).where(self._table.c.digest == digest).returning(*self._table.c)
        with translated(LoginStoreError, "finish a login"), self._engine.begin() as connection:
            row = connection.execute(taking).mappings().first()
        if row is None:
            return None
        return OpenFlow(digest=row["digest"], kind=row["kind"], data=row["data"], expires_at=aware(row["expires_at"]))

    def purge(self, *, before: datetime) -> int:
        """Forget the flows that expired before a time, and return how many."""
        forgetting = sa.delete(self._table).where(self._table.c.expires_at < before)
        with translated(LoginStoreError, "purge logins"), self._engine.begin() as connection:
            return connection.execute(forgetting).rowcount


def _attempts(row: sa.RowMapping) -> Attempts:
    return Attempts(failures=row["failures"], last_failed_at=aware(row["last_failed_at"]))
