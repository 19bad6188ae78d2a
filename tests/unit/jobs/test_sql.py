"""What is particular to `SqlQueue`; what every queue does is in tests/contract/test_jobs.py."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, create_mock_engine, event

from mamkit.jobs import QueueUnavailableError, UnsupportedDatabaseError, _database
from mamkit.jobs._table import jobs
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import new_job
from tests.servers.postgres import Postgres

LEASE = timedelta(seconds=30)
INDEXES = ("jobs_ready", "jobs_by_lease", "jobs_by_delay", "jobs_by_date")  # none of them holds a finished job


def begin_with(statement: str) -> Callable[[str], Engine]:
    """Return a maker of engines that take over SQLite's transactions by events, as SQLAlchemy's documentation shows."""

    def make(url: str) -> Engine:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def connect(connection: sqlite3.Connection, _: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(statement)

        return engine

    return make


def write_ahead(url: str) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")

    return engine


ENGINES: dict[str, Callable[[str], Engine]] = {
    "default": create_engine,
    "autocommit": lambda url: create_engine(url, isolation_level="AUTOCOMMIT"),
    "without a pool": lambda url: create_engine(url, poolclass=NullPool),
    "without a time-out": lambda url: create_engine(url, connect_args={"timeout": 0}),
    "write-ahead log": write_ahead,
    "begin deferred": begin_with("BEGIN"),
    "begin immediate": begin_with("BEGIN IMMEDIATE"),
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture(params=ENGINES)
def any_engine(request: pytest.FixtureRequest, url: str) -> Iterator[Engine]:
    engine = ENGINES[request.param](url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def queue(engine: Engine) -> SqlQueue:
    queue = SqlQueue(engine)
    queue.create_schema()
    return queue


def test_threads_share_an_engine_however_it_was_made(any_engine: Engine) -> None:
    """Nothing fails as locked, nothing is done twice, nothing is left."""
    queue = SqlQueue(any_engine)
    queue.create_schema()
    start = Barrier(4)

    def work(number: int) -> list[object]:
        start.wait()
        done: list[object] = []
        for _ in range(8):
            queue.enqueue(new_job(), new_job(dedupe_key="one"))
            if (lease := queue.claim(f"worker-{number}", lease=LEASE)) is not None:
                queue.complete(queue.renew(lease, by=LEASE))
                done.append(lease.job.id)
        while (lease := queue.claim(f"worker-{number}", lease=LEASE)) is not None:
            queue.complete(lease)
            done.append(lease.job.id)
        return done

    with ThreadPoolExecutor(4) as threads:
        done = [job_id for ids in threads.map(work, range(4)) for job_id in ids]
    assert len(done) == len(set(done)) >= 4 * 8
    assert queue.depth().counts == {"waiting": 0, "running": 0, "done": len(done), "dead": 0, "cancelled": 0}


def test_a_batch_is_added_in_few_statements(any_engine: Engine) -> None:
    """A film of two hours has four hundred parts, and a server may be a millisecond away."""
    queue = SqlQueue(any_engine)
    queue.create_schema()
    statements: list[str] = []
    event.listen(any_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    queue.enqueue(*(new_job(dedupe_key=f"k{number}") for number in range(400)))
    assert len(statements) <= 4, statements


def test_jobs_are_added_all_or_none_however_the_engine_was_made(any_engine: Engine) -> None:
    """The second row fails in the database itself."""
    queue = SqlQueue(any_engine)
    queue.create_schema()
    with any_engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER break BEFORE INSERT ON jobs WHEN new.kind = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(QueueUnavailableError):
        queue.enqueue(new_job(), new_job(kind="bad"))
    assert queue.list() == []


def test_the_schema_may_be_made_by_many_at_once(url: str) -> None:
    engines = [create_engine(url) for _ in range(6)]
    start = Barrier(len(engines))

    def create(engine: Engine) -> None:
        start.wait()
        SqlQueue(engine).create_schema()

    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(create, engines))
    SqlQueue(engines[0]).enqueue(new_job())
    for engine in engines:
        engine.dispose()


def test_making_the_schema_again_keeps_the_jobs(queue: SqlQueue) -> None:
    [job_id] = queue.enqueue(new_job())
    queue.create_schema()
    assert queue.get(job_id).state == "waiting"


def test_a_role_that_may_make_nothing_uses_a_schema_that_is_there(postgres: Postgres) -> None:
    url = postgres.new_database()
    owner = create_engine(url)
    SqlQueue(owner).create_schema()
    with owner.begin() as connection:
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # PostgreSQL 14 lets everybody
        connection.exec_driver_sql("CREATE ROLE clerk LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO clerk")
        connection.exec_driver_sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk")
    clerk = create_engine(url, connect_args={"options": "-c role=clerk"})
    queue = SqlQueue(clerk)
    queue.create_schema()
    [job_id] = queue.enqueue(new_job())
    assert queue.get(job_id).state == "waiting"
    for engine in (owner, clerk):
        engine.dispose()


def test_the_clock_of_sqlite_is_that_of_this_machine(queue: SqlQueue) -> None:
    before = datetime.now(UTC)
    [job_id] = queue.enqueue(new_job())
    assert before <= queue.get(job_id).created_at <= datetime.now(UTC)


def test_claims_walk_an_index_that_holds_no_finished_job(queue: SqlQueue, engine: Engine) -> None:
    """Their cost depends neither on what was ever done nor on sorting what waits."""
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, parameters: Any, _context: object, _many: object) -> None:
        statements.append((statement, parameters))

    queue.enqueue(new_job())
    statements.clear()
    queue.claim("worker", kinds=["test"], lease=LEASE)
    queries = [(text, values) for text, values in statements if "jobs" in text]
    assert len(queries) == 2  # look, take
    with engine.connect() as connection:
        for text, values in queries:
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            # The row that was chosen is then found by its id, which is unique.
            steps = [step for step in plan if " jobs" in step and "sqlite_autoindex_jobs_1 (id=?)" not in step]
            assert steps
            assert all(step.startswith("SEARCH jobs USING") for step in steps), plan
            assert all(any(f"INDEX {name} (" in step for name in INDEXES) for step in steps), plan
            assert not any("TEMP B-TREE" in step for step in plan), plan


def test_an_idle_worker_does_not_wait_for_writers(url: str) -> None:
    """A claim that finds nothing takes no write lock: here it is taken, and would be waited for in vain."""
    impatient = create_engine(url, connect_args={"timeout": 0})
    idle = SqlQueue(impatient)
    idle.create_schema()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert idle.claim("worker", lease=LEASE) is None
        assert idle.depth().counts["waiting"] == 0
    writer.close()
    impatient.dispose()


def test_a_lock_that_is_never_freed_makes_the_queue_unavailable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database, "PATIENCE", 0.1)
    impatient = create_engine(url, connect_args={"timeout": 0})
    queue = SqlQueue(impatient)
    queue.create_schema()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueUnavailableError) as caught:
            queue.enqueue(new_job())
    writer.close()
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert len(queue.enqueue(new_job())) == 1
    impatient.dispose()


def test_a_pool_without_a_free_connection_makes_the_queue_unavailable(url: str) -> None:
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    queue = SqlQueue(engine)
    queue.create_schema()
    with engine.connect(), pytest.raises(QueueUnavailableError):
        queue.depth()
    engine.dispose()


def test_an_error_of_the_database_shows_no_payload(engine: Engine) -> None:
    """SQLAlchemy's own error holds the parameters of the statement: it is not in the chain that is printed."""
    with pytest.raises(QueueUnavailableError, match="create_schema") as caught:
        SqlQueue(engine).enqueue(new_job(payload={"password": "hunter2"}))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)
    assert caught.value.__suppress_context__


def test_only_a_lock_is_waited_for(engine: Engine) -> None:
    """What fails for another reason fails at once: here, the one statement is sent once."""
    sent: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    with pytest.raises(QueueUnavailableError):
        SqlQueue(engine).depth()
    assert len(sent) == 1


def test_a_file_that_is_no_database_makes_the_queue_unavailable(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "jobs.db").write_bytes(b"not a database, " * 100)
    with pytest.raises(QueueUnavailableError):
        SqlQueue(engine).create_schema()


def test_another_database_is_refused() -> None:
    engine: Any = create_mock_engine("mysql+mysqldb://", lambda *_: None)
    with pytest.raises(UnsupportedDatabaseError) as caught:
        SqlQueue(engine)
    assert caught.value.dialect == "mysql"


def test_an_old_sqlite_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy says so of SQLite before 3.35, which has no RETURNING."""
    monkeypatch.setattr(engine.dialect, "update_returning", False)
    with pytest.raises(UnsupportedDatabaseError):
        SqlQueue(engine)


# The server's own clock


@pytest.mark.parametrize("which", ["sqlite", "postgresql"])
def test_a_clock_of_the_database_that_goes_back_delays_no_job_by_as_much(
    which: str, url: str, request: pytest.FixtureRequest
) -> None:
    """Set back by an hour, seen from what was written before: the clock itself cannot be moved here."""
    database = url if which == "sqlite" else request.getfixturevalue("postgres").new_database()
    engine = create_engine(database)
    queue = SqlQueue(engine)
    queue.create_schema()
    short, hour = timedelta(seconds=0.2), 3600 * 1_000_000
    dead, waiting, delayed = queue.enqueue(new_job(priority=-1), new_job(), new_job(delay=short, priority=1))
    assert queue.claim("dead", lease=short) is not None
    with engine.begin() as connection:
        moments = (jobs.c.run_at, jobs.c.dated_at, jobs.c.lease_until)
        connection.execute(jobs.update().values({each.name: each + hour for each in moments}))
    lease = queue.claim("worker", lease=LEASE, before=0)  # as others claim, whose leases are longer
    assert lease is None
    found: list[UUID] = []
    deadline = time.monotonic() + 30
    while len(found) < 3:
        assert time.monotonic() < deadline
        lease = queue.claim("worker", lease=short)
        found += [lease.job.id] if lease is not None else []
        if lease is not None:
            queue.complete(lease)
    assert found[0] == waiting
    assert set(found) == {dead, waiting, delayed}
    engine.dispose()


def test_an_index_of_an_older_mamkit_is_replaced(queue: SqlQueue, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE INDEX jobs_by_urgency ON jobs (priority) WHERE state IN ('waiting', 'running')"
        )
        for name in ("jobs_ready", "jobs_by_delay", "jobs_by_date"):
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN dated_at")
    queue.create_schema()
    with engine.begin() as connection:
        names = {row.name for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert "jobs_by_urgency" not in names
    assert set(INDEXES) <= names


def test_rows_of_an_older_mamkit_are_handed_out(queue: SqlQueue, engine: Engine) -> None:
    """They do not say when they were set."""
    queue.enqueue(new_job(), new_job(delay=LEASE), new_job())
    held = queue.claim("older", lease=timedelta(microseconds=1))
    assert held is not None
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET dated_at = NULL")
    leases = queue.claim_many("worker", 10, lease=LEASE)
    assert [lease.fence for lease in leases] == [2, 1]
