"""How mamkit talks to its database: SQLite for one machine, PostgreSQL for many.

SQLite lets one transaction write at a time. A transaction that reads first and writes later fails at once if another
has written in between; so those that may write say so when they begin (`BEGIN IMMEDIATE`), and wait for their turn.
Readers see the state in which they began and wait for nobody (write-ahead log).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple, Self, TypeVarTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session

from mamkit.catalog._asking import ask_at_once, wording_of
from mamkit.catalog.errors import CatalogUnavailableError, DatabaseUrlError, ReadOnlyError
from mamkit.catalog.questions import Question
from mamkit.catalog.scope import EVERYTHING, SETTINGS, Scope, criteria, narrow
from mamkit.clock import Clock, utc_now
from mamkit.errors import MissingExtraError

__all__ = ["Catalog", "now", "sync_engine"]

Columns = TypeVarTuple("Columns")

BUSY_TIMEOUT = 10.0  # seconds a writer waits for SQLite's write lock; our transactions hold it for milliseconds
_BEGIN = "mamkit_begin"  # execution option: the statement that begins a transaction
_BEGIN_WRITING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}
_BEGIN_READING = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}  # of one state


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
        self._kind = self._engine.dialect.name
        # SQLite's writers wait by asking again and again, in no order: with many of them, some would wait for ever. So
        # those of one catalog queue up here, and only the first of them asks.
        self._turn = asyncio.Lock() if self._kind == "sqlite" else None
        # Rows stay readable after their transaction.
        options: dict[str, Any] = {"expire_on_commit": False, "info": {"clock": clock}}
        self._clock = clock
        self._listeners: list[Callable[[], None]] = []
        self._writing = async_sessionmaker(self._engine, sync_session_class=_Session, **options)
        self._reading = async_sessionmaker(self._engine, sync_session_class=_ReadOnlySession, **options)

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
                async with self._writing(**self._begins(_BEGIN_WRITING, scope)) as session:
                    await self._start(session, scope)
                    yield session
                    if session.is_active:  # else a statement has failed, and the block has looked away
                        await session.commit()
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
            async with self._reading(**self._begins(_BEGIN_READING, scope)) as session:
                await self._start(session, scope)
                yield session
                await session.flush()  # complains of changes

    async def ask(
        self, question: Question[*Columns], /, scope: Scope | None = None, **given: object
    ) -> Sequence[tuple[*Columns]]:
        """Return the rows that a question finds, as `read` would, at the cost of one round trip.

        Args:
            question: Made once.
            scope: What it sees; None: everything.
            given: The question's parameters: ids, numbers, text, and times with their zone.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        if self._kind == "postgresql":
            wording = wording_of(question, scope, self._clock, self._engine.dialect)
            settings = None if scope is None else list(scope.settings(self._clock()).values())
            with suppress(self._engine.dialect.loaded_dbapi.Error), _translated():
                return await ask_at_once(self._engine.sync_engine, wording, given, settings)
        # SQLite, where a transaction costs nothing; or the connection was gone, or the statement refused, and a session
        # knows what to do about it.
        async with self.read(scope) as session:
            return (await session.execute(question.statement, given)).all()

    def _begins(self, begin: Mapping[str, str], scope: Scope | None) -> dict[str, Any]:
        """Return the arguments of a session whose transaction begins so, with the settings that the policies look at.

        They travel with the beginning: a statement of their own would cost every request a round trip.
        """
        statement = begin[self._kind]
        if scope is not None and self._kind == "postgresql":
            values = scope.settings(self._clock()).items()
            statement += "; SELECT " + ", ".join(
                f"set_config({_quoted(name)}, {_quoted(value)}, true)" for name, value in values
            )
        return {"execution_options": {_BEGIN: statement}}

    async def _start(self, session: AsyncSession, scope: Scope | None) -> None:
        """Let a session see its scope alone; on PostgreSQL begin its transaction, on a connection that is there."""
        if scope is not None:
            session.info["actor"] = scope.actor_id
            session.info["criteria"] = criteria(scope, self._clock)
        if self._kind == "sqlite":  # begins with the first statement
            return
        try:
            await session.connection()
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The server was restarted, or a proxy has dropped idle connections. Nothing was done yet, and the pool has
            # forgotten all of them: this one is new.
            await session.rollback()
            await session.connection()

    def when_told(self, listener: Callable[[], None]) -> None:
        """Call a function, which must be quick, after each transaction of this catalog that told of an event."""
        self._listeners.append(listener)

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
    return _beginning_explicitly(engine) if engine.dialect.name == "sqlite" else engine


def _async_engine(url: str) -> AsyncEngine:
    # Without isolation level the driver leaves BEGIN to the listener, and so it does when it is to commit by itself.
    parsed = _url(url, asynchronous=True)
    options = _options(parsed, isolation_level=None)
    if parsed.get_backend_name() == "postgresql":
        options |= {"isolation_level": "AUTOCOMMIT", "pool_pre_ping": False}  # `Catalog` asks again by itself
    engine = create_async_engine(parsed, **options)
    _beginning_explicitly(_prepared(engine.sync_engine))
    return engine


def _quoted(value: str) -> str:
    """Return a literal of PostgreSQL. What is quoted here are ids and times; it would be right of anything."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'" if "\\" not in value else f"E'{doubled.replace(chr(92), chr(92) * 2)}'"


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
    """Let a transaction begin as its execution options say; where they say nothing, as one that writes."""
    default = _BEGIN_WRITING[engine.dialect.name]

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, default))

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
