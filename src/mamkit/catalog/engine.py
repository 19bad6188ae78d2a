"""How mamkit talks to its database: SQLite for one machine, PostgreSQL for many.

SQLite lets one transaction write at a time. A transaction that reads first and writes later fails at once if another
has written in between; so those that may write say so when they begin (`BEGIN IMMEDIATE`), and wait for their turn.
Readers see the state in which they began and wait for nobody (write-ahead log).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session

from mamkit.catalog.errors import CatalogUnavailableError, DatabaseUrlError, ReadOnlyError
from mamkit.catalog.scope import EVERYTHING, SETTINGS, Scope, criteria, narrow
from mamkit.clock import Clock, utc_now
from mamkit.errors import MissingExtraError

__all__ = ["Catalog", "now", "sync_engine"]

BUSY_TIMEOUT = 10.0  # seconds a writer waits for SQLite's write lock; our transactions hold it for milliseconds
_READ_ONLY = "mamkit_read_only"  # execution option that `_beginning_explicitly` looks at
_READS_SQLITE = {_READ_ONLY: True}
_READS_POSTGRESQL = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}  # one state, as on SQLite


class _Drivers(NamedTuple):
    """How a kind of database is reached: SQLAlchemy's names, the package, and the extra that brings it."""

    synchronous: str
    asynchronous: str
    package: str
    extra: str


_DRIVERS = {
    "sqlite": _Drivers("sqlite+pysqlite", "sqlite+aiosqlite", "aiosqlite", "catalog"),
    "postgresql": _Drivers("postgresql+psycopg", "postgresql+psycopg", "psycopg", "postgres"),
}
_DRIVERS["postgres"] = _DRIVERS["postgresql"]  # as many hosts spell it


class Catalog:
    """A database of assets, their versions and previews, and their users.

    Nothing is connected before the first use. The tables must be there: `upgrade(url)` makes them. A catalog belongs to
    one event loop.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; a driver named in it is ignored.
        clock: What `created_at` and the like are taken from.

    Raises:
        DatabaseUrlError: The URL is malformed, of another kind of database, or of an SQLite database in memory, which
            several connections could not share.
        MissingExtraError: The driver is not installed.
    """

    def __init__(self, url: str, *, clock: Clock = utc_now) -> None:
        self._engine = _async_engine(url)
        on_sqlite = self._engine.dialect.name == "sqlite"
        # SQLite's writers wait by asking again and again, in no order: with many of them, some would wait for ever. So
        # those of one catalog queue up here, and only the first of them asks.
        self._turn = asyncio.Lock() if on_sqlite else None
        readers = self._engine.execution_options(**(_READS_SQLITE if on_sqlite else _READS_POSTGRESQL))
        # Rows stay readable after their transaction.
        options: dict[str, Any] = {"expire_on_commit": False, "info": {"clock": clock}}
        self._clock = clock
        self._listeners: list[Callable[[], None]] = []
        self._writing = async_sessionmaker(self._engine, sync_session_class=_Session, **options)
        self._reading = async_sessionmaker(readers, sync_session_class=_ReadOnlySession, **options)

    def __repr__(self) -> str:
        return f"Catalog({self._engine.url.render_as_string(hide_password=True)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def begin(self, scope: Scope | None = None) -> AsyncIterator[AsyncSession]:
        """Open a session in one transaction: committed at the end of the block, rolled back if an error leaves it.

        Keep the block short, and open no second one within it: on SQLite other writers wait for its end.

        Args:
            scope: What the session sees; None: everything.

        Raises:
            CatalogUnavailableError: The database does not answer, or other writers kept it busy for 10 s.
        """
        async with self._write_turn():
            with _translated():
                async with self._writing() as session, session.begin():
                    await self._narrow(session, scope)
                    yield session
        if "told" in session.info:
            for listener in self._listeners:
                listener()

    @asynccontextmanager
    async def read(self, scope: Scope | None = None) -> AsyncIterator[AsyncSession]:
        """Open a session that reads; it holds up no writer, and nothing is kept of what the block does.

        Args:
            scope: What the session sees; None: everything.

        Raises:
            CatalogUnavailableError: The database does not answer.
            ReadOnlyError: A row was to be added, changed or deleted in the block.
        """
        with _translated():
            async with self._reading() as session:
                await self._narrow(session, scope)
                yield session
                await session.flush()  # complains of changes

    def when_told(self, listener: Callable[[], None]) -> None:
        """Call a function, which must be quick, after each transaction of this catalog that told of an event."""
        self._listeners.append(listener)

    async def _narrow(self, session: AsyncSession, scope: Scope | None) -> None:
        """Let a session see its scope alone, until its transaction ends."""
        if scope is None:
            return
        moment = self._clock()
        session.info["actor"] = scope.actor_id
        session.info["criteria"] = criteria(scope, moment)
        if self._turn is None:  # the policies of PostgreSQL look at these settings
            settings = (sa.func.set_config(name, value, True) for name, value in scope.settings(moment).items())
            await session.execute(sa.select(*settings))

    @asynccontextmanager
    async def _write_turn(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        try:
            async with asyncio.timeout(BUSY_TIMEOUT):
                await self._turn.acquire()
        except TimeoutError as error:
            raise CatalogUnavailableError from error
        try:
            yield
        finally:
            self._turn.release()

    async def close(self) -> None:
        """Close the connections; the catalog can be used again, and then opens new ones."""
        await self._engine.dispose()


def now(session: AsyncSession) -> datetime:
    """Return the time by the clock of the session's catalog; by this machine's where the session has no catalog."""
    clock: Clock = session.info.get("clock", utc_now)
    return clock()


def sync_engine(url: str) -> sa.Engine:
    """Return a synchronous engine for the same database, for stores and queues that bring their own statements.

    Transactions begin as the driver begins them: on SQLite with the first statement that writes, so that this statement
    should be the transaction's first. The caller disposes of the engine.

    Args:
        url: As for `Catalog`, with its errors.
    """
    parsed = _url(url, asynchronous=False)
    return _prepared(sa.create_engine(parsed, **_options(parsed)))


def migration_engine(url: str, *, patience: float) -> sa.Engine:
    """Return a synchronous engine on which tables can be rebuilt.

    Every transaction holds SQLite's write lock from its start, waiting `patience` seconds for it, and foreign keys are
    not enforced while it lasts.
    """
    parsed = _url(url, asynchronous=False)
    options = _options(parsed, isolation_level=None, timeout=patience)
    engine = _prepared(sa.create_engine(parsed, **options), foreign_keys=False)
    return _beginning_explicitly(engine)


def _async_engine(url: str) -> AsyncEngine:
    # Without isolation level the driver leaves BEGIN to the listener.
    parsed = _url(url, asynchronous=True)
    engine = create_async_engine(parsed, **_options(parsed, isolation_level=None))
    _beginning_explicitly(_prepared(engine.sync_engine))
    return engine


def _url(url: str, *, asynchronous: bool) -> sa.URL:
    """Return the URL with our driver in it."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseUrlError("it is malformed") from None  # the cause could show a piece of it
    kind = parsed.get_backend_name()
    if kind not in _DRIVERS:
        raise DatabaseUrlError(f"{kind} is not supported")
    drivers = _DRIVERS[kind]
    if kind == "sqlite" and (parsed.database in {None, "", ":memory:"} or parsed.query.get("mode") == "memory"):
        raise DatabaseUrlError("an SQLite database must be a file")
    try:
        import_module(drivers.package)
    except ImportError as error:
        raise MissingExtraError(drivers.extra, package=drivers.package) from error
    return parsed.set(drivername=drivers.asynchronous if asynchronous else drivers.synchronous)


def _options(url: sa.URL, **sqlite_arguments: Any) -> dict[str, Any]:
    # Parameters are hidden from error messages: there are hashes and addresses among them.
    if url.get_backend_name() == "sqlite":
        return {"hide_parameters": True, "connect_args": {"timeout": BUSY_TIMEOUT, **sqlite_arguments}}
    given = url.query.get("options", "")
    return {
        "hide_parameters": True,
        "pool_pre_ping": True,  # servers restart, and proxies drop idle connections
        # Our own connections see everything unless a scope says otherwise; the policies show nothing to any other.
        "connect_args": {"options": f"{given} -c {SETTINGS[0]}={EVERYTHING}".strip()},
    }


def _prepared(engine: sa.Engine, *, foreign_keys: bool = True) -> sa.Engine:
    """Let every new SQLite connection be set up."""
    if engine.dialect.name != "sqlite":
        return engine

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        # It is refused while somebody writes in the old mode or switches to the new one. The mode is kept in the file,
        # so that a later connection's attempt serves this one too.
        with suppress(engine.dialect.loaded_dbapi.OperationalError):
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")  # with WAL: a power cut may undo the last commits, never corrupt
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    return engine


def _beginning_explicitly(engine: sa.Engine) -> sa.Engine:
    """Let every SQLite transaction take the write lock when it begins, or say that it only reads."""
    if engine.dialect.name != "sqlite":
        return engine

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


class _Session(Session):
    """A session that may have a scope."""


class _ReadOnlySession(_Session):
    """A session that refuses to write, rather than losing what was written."""

    def flush(self, objects: Any = None) -> None:
        if self.new or self.dirty or self.deleted:
            raise ReadOnlyError
        super().flush(objects)


sa.event.listen(_Session, "do_orm_execute", narrow, propagate=True)


@sa.event.listens_for(_ReadOnlySession, "do_orm_execute")
def _refuse_to_write(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise ReadOnlyError


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        raise CatalogUnavailableError from error
