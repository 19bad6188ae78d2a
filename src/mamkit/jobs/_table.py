"""The table of `SqlQueue`, and its rows as values.

Moments are whole microseconds since 1970-01-01 UTC, so that they compare alike in every database.
"""

import json
from typing import Any
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._micros import moment
from mamkit.jobs.models import Job, JobEvent, Lease

try:
    from sqlalchemy import (
        BigInteger,
        Column,
        ColumnElement,
        Connection,
        Float,
        Index,
        Integer,
        MetaData,
        Row,
        Table,
        Text,
        Uuid,
        and_,
        false,
        func,
        inspect,
        or_,
        select,
        text,
        true,
    )
    from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = [
    "ACTIVE",
    "DELAYED",
    "FINISHED",
    "LEASED",
    "READY",
    "RUNNING",
    "held",
    "jobs",
    "make_table",
    "runnable",
    "to_event",
    "to_job",
    "to_lease",
]

SCHEMA_LOCK = 0x6D616D6B6974  # "mamkit"; the key of PostgreSQL's advisory lock while the table is made
MAX_FENCE = 2**63 - 1  # a 64-bit column; what a stranger shows may be larger

# Literal text and no bound values: a database uses a partial index only where it can prove its condition. No index
# holds both active and finished jobs, so that the work of a claim does not depend on how many were ever done.
RUNNING = text("state = 'running'")
ACTIVE = text("state IN ('waiting', 'running')")
FINISHED = text("finished_at IS NOT NULL")
# An active job waits for a moment (`run_at`, or the end of its lease) until a claim dates it later than that, which is
# to let it in: what is not ready stands in no claim's way, however much of it there is. One that says no date is of an
# older mamkit, and is let in when its time has come.
DELAYED = text("state = 'waiting' AND run_at > coalesce(dated_at, 0)")
LEASED = text("state = 'running' AND lease_until > coalesce(dated_at, 0)")
READY = text("(state = 'waiting' AND run_at <= dated_at OR state = 'running' AND lease_until <= dated_at)")

jobs = Table(
    "jobs",
    MetaData(),
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("priority", Integer, nullable=False),
    Column("dedupe_key", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("finished_at", BigInteger),
    Column("reason", Text),
    Column("progress", Float),
    Column("told_at", BigInteger),
    Column("traceparent", Text),
    Column("dated_at", BigInteger),  # when `run_at` or `lease_until` was set, or found to be over
    # By kind first: what other workers are to do is not walked over, however much of it waits.
    Index("jobs_ready", "kind", "priority", "run_at", "sequence", sqlite_where=READY, postgresql_where=READY),
    Index("jobs_by_lease", "lease_until", sqlite_where=RUNNING, postgresql_where=RUNNING),
    Index("jobs_by_delay", "run_at", sqlite_where=DELAYED, postgresql_where=DELAYED),
    Index("jobs_by_date", "dated_at", sqlite_where=DELAYED, postgresql_where=DELAYED),
    Index("jobs_by_dedupe_key", "dedupe_key", unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE),
    Index("jobs_by_end", "finished_at", sqlite_where=FINISHED, postgresql_where=FINISHED),
    Index("jobs_finished", "state", "sequence", sqlite_where=FINISHED, postgresql_where=FINISHED),
)

# Indexes of an older mamkit, by which a database might still choose to go.
REPLACED = {"jobs_by_urgency", "jobs_by_kind", "jobs_delayed"}


def make_table(connection: Connection) -> None:
    """Make what is missing of the table; in a transaction, which several processes may try at once."""
    if connection.dialect.name == "postgresql":  # its IF NOT EXISTS fails when two are at it at once
        connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
    if not inspect(connection).has_table(jobs.name):
        connection.execute(CreateTable(jobs, if_not_exists=True))
    present = {column["name"] for column in inspect(connection).get_columns(jobs.name)}
    for column in jobs.columns:
        if column.name not in present:  # the table is of an older mamkit
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {jobs.name} ADD COLUMN {definition}")
    indexed = {index["name"] for index in inspect(connection).get_indexes(jobs.name)}
    for index in sorted(jobs.indexes, key=lambda index: str(index.name)):
        if index.name not in indexed:
            connection.execute(CreateIndex(index, if_not_exists=True))
    for name in REPLACED & indexed:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")


def held(job_id: UUID, fence: int, worker: str | None = None) -> ColumnElement[bool]:
    """Return the condition that this is the newest fence of a running job, and of this worker if one is named.

    A replica that became the server without the last claims gives their fences again, to others.
    """
    if not 0 < fence <= MAX_FENCE:
        return false()
    mine = true() if worker is None else jobs.c.worker == worker
    return and_(jobs.c.id == job_id, jobs.c.fence == fence, RUNNING, mine)


def runnable(now: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that a job can be claimed, or buried because it was claimed too often."""
    is_over = or_(READY, and_(DELAYED, jobs.c.run_at <= now), and_(LEASED, jobs.c.lease_until <= now))
    return and_(ACTIVE, is_over)


def to_job(row: Row[Any]) -> Job:
    """Return a row of the table as a job."""
    return Job(
        id=row.id,
        kind=row.kind,
        payload=json.loads(row.payload),
        state=row.state,
        priority=row.priority,
        dedupe_key=row.dedupe_key,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        run_at=moment(row.run_at),
        created_at=moment(row.created_at),
        reason=row.reason,
        progress=_progress(row),
        traceparent=row.traceparent,
        worker=row.worker if row.state == "running" else None,
        lease_until=moment(row.lease_until) if row.state == "running" else None,
    )


def to_event(row: Row[Any]) -> JobEvent:
    """Return a row of the table, of a job that has ended or told how far it is, as what is told of it."""
    return JobEvent(
        job_id=row.id,
        kind=row.kind,
        dedupe_key=row.dedupe_key,
        state=row.state,
        progress=_progress(row),
        fence=row.fence,
        reason=row.reason,
        at=moment(row.told_at if row.state == "running" else row.finished_at),
    )


def to_lease(row: Row[Any]) -> Lease:
    """Return a row of the table, which must be running, as the lease of its holder."""
    return Lease(job=to_job(row), worker=row.worker, fence=row.fence, expires_at=moment(row.lease_until))


def _progress(row: Row[Any]) -> float:
    return 1.0 if row.state == "done" else row.progress or 0.0
