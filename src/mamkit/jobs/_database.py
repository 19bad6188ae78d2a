"""How `SqlQueue` talks to its database: transactions that wait for others instead of failing, and the time.

A transaction that writes must begin by writing. SQLite then takes its write lock first and waits for it, whatever kind
of `BEGIN` the engine sends; had the transaction read before, it would fail at once instead (SQLITE_BUSY_SNAPSHOT).
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from mamkit.clock import Clock, utc_now
from mamkit.errors import MissingExtraError
from mamkit.jobs._micros import micros
from mamkit.jobs.errors import QueueUnavailableError

try:
    from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, bindparam, literal, literal_column
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["GIVEN_TIME", "SERVER_TIME", "Database"]

T = TypeVar("T")

PATIENCE = 10.0  # seconds for which a locked database is asked again, on top of the driver's own time-out
PAUSE = 0.02  # seconds between two tries
SQLITE_LOCKED = {5, 6}  # primary result codes SQLITE_BUSY and SQLITE_LOCKED
POSTGRESQL_ROLLED_BACK = {"40001", "40P01"}  # serialization_failure and deadlock_detected: safe to run again

SERVER_TIME: ColumnElement[int] = literal_column(
    "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)", BigInteger
)
GIVEN_TIME: ColumnElement[int] = bindparam("now", type_=BigInteger)


class Database:
    """An engine, used so that it does not matter how its maker set up its transactions."""

    def __init__(self, engine: Engine, *, clock: Clock | None) -> None:
        self._engine = engine
        self._clock = clock

    def __repr__(self) -> str:
        return repr(self._engine.url.render_as_string(hide_password=True))

    def now(self) -> ColumnElement[int]:
        """Return the present time as an expression, in microseconds; to be asked for once the write lock is held."""
        return SERVER_TIME if self.tells_time else literal(self.given_time()["now"], BigInteger)

    @property
    def tells_time(self) -> bool:
        """Whether the time is the server's own (`SERVER_TIME`) and not given (`GIVEN_TIME`)."""
        return self._clock is None and self._engine.dialect.name == "postgresql"

    def given_time(self) -> dict[str, int]:
        """Return the value of `GIVEN_TIME`, to be asked for once the write lock is held; none where it is not used."""
        return {} if self.tells_time else {"now": micros((self._clock or utc_now)())}

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads.

        Raises:
            QueueUnavailableError: The database gave an error, or stayed locked.
        """
        return self._run(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, once all that it wrote is committed; it may be called again after a rollback.

        Raises:
            QueueUnavailableError: The database gave an error, or stayed locked.
        """

        def locked(connection: Connection) -> T:
            # The driver begins a transaction late or, with autocommit, never; events of the engine may have begun one.
            if connection.dialect.name == "sqlite" and not _driver(connection).in_transaction:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            return work(connection)

        return self._run(locked)

    def _run(self, work: Callable[[Connection], T]) -> T:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except PoolTimeoutError as error:
                raise QueueUnavailableError("no connection to the queue's database came free in time") from error
            except DBAPIError as error:
                if not _rolled_back_for_others(error) or time.monotonic() > deadline:
                    # Chained to the driver's error, because SQLAlchemy's own shows the parameters, payloads among them.
                    raise QueueUnavailableError(
                        f"the queue's database gave {type(error.orig).__name__}; see that it runs, has a "
                        "connection to spare and is not locked, and that create_schema() was called"
                    ) from error.orig
            time.sleep(PAUSE)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _rolled_back_for_others(error: DBAPIError) -> bool:
    """Return whether the database undid a transaction for its neighbours' sake, so that it may be run again."""
    sqlite_code = getattr(error.orig, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in SQLITE_LOCKED  # the low byte is the primary code
    return getattr(error.orig, "sqlstate", None) in POSTGRESQL_ROLLED_BACK
