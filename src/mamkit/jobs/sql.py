"""A queue in a table of PostgreSQL or SQLite, for any number of processes.

Whatever changes a job is one `UPDATE` that checks state and fence, so that the database itself decides every race.
PostgreSQL's claim steps over rows that another claim has locked (`FOR UPDATE SKIP LOCKED`); on SQLite writers wait for
each other. An idle worker only reads: `claim` takes no lock before it has seen a runnable job.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from mamkit.clock import Clock
from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs._adding import added
from mamkit.jobs._check import (
    check_claim,
    check_duration,
    check_job,
    check_limit,
    check_progress,
    clip_reason,
)
from mamkit.jobs._claiming import Claim, claim
from mamkit.jobs._database import Database
from mamkit.jobs._micros import micros, moment
from mamkit.jobs._table import (
    ACTIVE,
    FINISHED,
    RUNNING,
    held,
    jobs,
    make_table,
    runnable,
    to_event,
    to_job,
    to_lease,
)
from mamkit.jobs._watching import TELL_APART, Memory, PollingWatch, Standing
from mamkit.jobs.errors import DedupeKeyTakenError, JobNotFoundError, LeaseLostError, UnsupportedDatabaseError
from mamkit.jobs.models import FinishedState, Job, JobState, Lease, NewJob, QueueDepth
from mamkit.jobs.protocol import Watch

try:
    from sqlalchemy import (
        BigInteger,
        ColumnElement,
        Connection,
        Engine,
        Row,
        and_,
        bindparam,
        case,
        delete,
        func,
        or_,
        select,
        true,
        union_all,
        update,
    )
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.exc import IntegrityError
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["SqlQueue"]

PAUSE = timedelta(seconds=0.5)  # between two looks of a watch: no job tells more often
PURGE_BATCH = 1000  # rows deleted in one transaction, so that a purge never holds SQLite's write lock for long


class SqlQueue:
    """A `Queue` in the table `jobs` of a database that other programs and threads may use at the same time.

    A claim costs the same however many jobs are finished, run, are delayed, or are of kinds that it does not ask for.

    Args:
        engine: A synchronous engine for PostgreSQL, or for SQLite 3.35 or later in a file. Whoever made it may have set
            it up as they like (events, pool, pragmas), except for PostgreSQL's autocommit.
        clock: Says what time it is for delays and leases. By default it is PostgreSQL's own clock, and for SQLite that
            of this machine, on which all users of the file must be.

    Raises:
        UnsupportedDatabaseError: The engine is for another database, or for an older SQLite.
    """

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        dialect = engine.dialect
        if dialect.name not in {"postgresql", "sqlite"} or not dialect.update_returning:
            raise UnsupportedDatabaseError(dialect.name)
        self._database = Database(engine, clock=clock)
        self._insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert

    def __repr__(self) -> str:
        return f"SqlQueue({self._database!r})"

    def create_schema(self) -> None:
        """Make the table, its columns and its indexes where they are missing; several processes may do so at once.

        Where nothing is missing, that asks for no right to make anything.
        """
        self._database.write(make_table)

    def enqueue(self, *new: NewJob) -> list[UUID]:
        """See `Queue.enqueue`."""
        payloads = [check_job(job) for job in new]
        rows = [
            {
                "id": uuid7(),
                "kind": job.kind,
                "payload": payload,
                "priority": job.priority,
                "dedupe_key": job.dedupe_key,
                "max_attempts": job.max_attempts,
                "delay": micros(job.delay),
                "traceparent": job.traceparent,
            }
            for job, payload in zip(new, payloads, strict=True)
        ]

        def add(connection: Connection) -> list[UUID]:
            now = self._database.now()
            insert = (
                self._insert(jobs)
                .values(created_at=now, run_at=now + bindparam("delay", type_=BigInteger), dated_at=now)
                .on_conflict_do_nothing(index_elements=[jobs.c.dedupe_key], index_where=ACTIVE)
            )
            connection.execute(insert, rows)
            return added(connection, insert, rows)

        return self._database.write(add) if rows else []

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """See `Queue.claim`."""
        return next(iter(self.claim_many(worker, 1, kinds=kinds, lease=lease, before=before)), None)

    def claim_many(
        self,
        worker: str,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        lease: timedelta,
        before: int | None = None,
    ) -> list[Lease]:
        """See `CanBatch.claim_many`."""
        check_claim(worker, limit, kinds=kinds, lease=lease, before=before)
        return claim(self._database, Claim(worker=worker, limit=limit, kinds=kinds, lease=lease, before=before))

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """See `Queue.renew`."""
        check_duration("by", by, positive=True)
        return to_lease(self._change(lease, lambda now: {"lease_until": now + micros(by), "dated_at": now}))

    def holds(self, job_id: UUID, fence: int) -> bool:
        """See `Queue.holds`."""
        wanted = select(jobs.c.id).where(held(job_id, fence))
        return self._database.read(lambda connection: connection.execute(wanted).one_or_none()) is not None

    def complete(self, lease: Lease) -> None:
        """See `Queue.complete`."""
        if self.complete_many([lease]):
            raise LeaseLostError(lease.job.id, lease.fence)

    def complete_many(self, leases: Sequence[Lease]) -> list[Lease]:
        """See `CanBatch.complete_many`."""

        def complete(connection: Connection) -> list[Lease]:
            done = {"state": "done", "finished_at": self._database.now(), "reason": None}
            ends = [
                (lease, update(jobs).where(held(lease.job.id, lease.fence, lease.worker)).values(done))
                for lease in leases
            ]
            return [lease for lease, end in ends if connection.execute(end).rowcount == 0]

        return self._database.write(complete) if leases else []

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        check_duration("delay", delay)
        spent = jobs.c.attempts >= jobs.c.max_attempts
        row = self._change(
            lease,
            lambda now: {
                "state": case((spent, "dead"), else_="waiting"),
                "run_at": case((spent, jobs.c.run_at), else_=now + micros(delay)),
                "dated_at": now,
                "finished_at": case((spent, now)),
                "reason": clip_reason(reason),
            },
        )
        return to_job(row).state

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        check_duration("delay", delay)
        told = {} if reason is None else {"reason": clip_reason(reason)}
        self._change(
            lease,
            lambda now: {
                "state": "waiting",
                "attempts": jobs.c.attempts - 1,
                "run_at": now + micros(delay) if delay else jobs.c.run_at,
                # What keeps its place waits for no clock, although that may have gone back behind it.
                "dated_at": now if delay else case((jobs.c.run_at > now, jobs.c.run_at), else_=now),
                **told,
            },
        )

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        self._change(lease, lambda now: {"state": "dead", "finished_at": now, "reason": clip_reason(reason)})

    def tell(self, lease: Lease, progress: float) -> bool:
        """See `CanTell.tell`."""
        check_progress(progress)

        def tell(connection: Connection) -> bool:
            mine, now = held(lease.job.id, lease.fence, lease.worker), self._database.now()
            apart = or_(jobs.c.told_at <= now - micros(TELL_APART), jobs.c.told_at > now)  # the clock has gone back
            due = and_(apart, jobs.c.progress < progress)
            told = update(jobs).where(mine, or_(jobs.c.told_at.is_(None), due)).values(progress=progress, told_at=now)
            if connection.execute(told.returning(jobs.c.id)).one_or_none() is not None:
                return True
            if connection.execute(select(jobs.c.id).where(mine)).one_or_none() is None:
                raise LeaseLostError(lease.job.id, lease.fence)
            return False

        return self._database.write(tell)

    def watch(self, *, jobs: Collection[UUID] | None = None, since: datetime | None = None) -> Watch:
        """See `CanTell.watch`. It asks twice a second while somebody waits.

        Of all jobs, one that was cancelled while it waited is told of if its transaction took less than ten seconds.
        While the clock is set back by more than that, one that begins and ends between two looks is not; a watch of
        named jobs misses none.
        """
        return PollingWatch(Memory(self._look, now=self._now, jobs=jobs, since=since), pause=PAUSE)

    def cancel(self, job_id: UUID) -> None:
        """See `Queue.cancel`."""

        def cancel(connection: Connection) -> None:
            active = update(jobs).where(jobs.c.id == job_id, ACTIVE)
            connection.execute(active.values(state="cancelled", finished_at=self._database.now()))
            if connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).one_or_none() is None:
                raise JobNotFoundError(job_id)

        self._database.write(cancel)

    def requeue(self, job_id: UUID) -> None:
        """See `Queue.requeue`."""

        def requeue(connection: Connection) -> None:
            given_up = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(["dead", "cancelled"]))
            now = self._database.now()
            waiting = {
                "state": "waiting",
                "attempts": 0,
                "run_at": now,
                "dated_at": now,
                "reason": None,
                "finished_at": None,
            }
            try:
                row = connection.execute(given_up.values(waiting).returning(jobs.c.id)).one_or_none()
            except IntegrityError as error:
                raise DedupeKeyTakenError(job_id) from error.orig
            if row is None:
                raise JobNotFoundError(job_id, "dead or cancelled job")

        self._database.write(requeue)

    def drop(self, job_id: UUID) -> None:
        """See `Queue.drop`."""
        finished = delete(jobs).where(jobs.c.id == job_id, FINISHED).returning(jobs.c.id)
        if self._database.write(lambda connection: connection.execute(finished).one_or_none()) is None:
            raise JobNotFoundError(job_id, "finished job")

    def get(self, job_id: UUID) -> Job:
        """See `Queue.get`."""
        wanted = select(jobs).where(jobs.c.id == job_id)
        row = self._database.read(lambda connection: connection.execute(wanted).one_or_none())
        if row is None:
            raise JobNotFoundError(job_id)
        return to_job(row)

    def list(self, *, state: JobState | None = None, limit: int = 100, before: UUID | None = None) -> list[Job]:
        """See `Queue.list`."""
        check_limit(limit)
        wanted = true() if state is None else jobs.c.state == state
        kept_apart = true() if state is None else ACTIVE if state in {"waiting", "running"} else FINISHED
        newest = select(jobs).where(wanted, kept_apart).order_by(jobs.c.sequence.desc()).limit(limit)

        def look(connection: Connection) -> Sequence[Row[Any]]:
            if before is None:
                return connection.execute(newest).all()
            sequence = connection.scalar(select(jobs.c.sequence).where(jobs.c.id == before))
            if sequence is None:
                raise JobNotFoundError(before)
            return connection.execute(newest.where(jobs.c.sequence < sequence)).all()

        return [to_job(row) for row in self._database.read(look)]

    def depth(self) -> QueueDepth:
        """See `Queue.depth`."""
        since = case((jobs.c.state == "waiting", jobs.c.run_at), else_=jobs.c.lease_until)

        def measure(connection: Connection) -> QueueDepth:
            by_state = select(jobs.c.state, func.count().label("total")).group_by(jobs.c.state)
            rows = connection.execute(union_all(by_state.where(ACTIVE), by_state.where(FINISHED)))
            counts = dict.fromkeys(get_args(JobState), 0) | {row.state: row.total for row in rows}
            oldest = connection.scalar(select(func.min(since)).where(runnable(self._database.now())))
            return QueueDepth(
                counts=counts,
                oldest_waiting=None if oldest is None else moment(oldest),
            )

        return self._database.read(measure)

    def purge(self, *, finished_before: datetime, states: Collection[FinishedState] = ("done", "cancelled")) -> int:
        """See `Queue.purge`."""
        old = (
            select(jobs.c.id)
            .where(jobs.c.state.in_(states), jobs.c.finished_at < micros(finished_before))
            .limit(PURGE_BATCH)
            .correlate(None)
        )
        batch = delete(jobs).where(jobs.c.id.in_(old)).returning(jobs.c.id)
        total = 0
        while gone := len(self._database.write(lambda connection: connection.execute(batch).all())):
            total += gone
        return total

    def _now(self) -> datetime:
        present = self._database.now()
        return moment(self._database.read(lambda connection: connection.execute(select(present)).scalar_one()))

    def _look(self, ids: Collection[UUID], since: datetime | None) -> Standing:
        wanted = [select(jobs).where(jobs.c.id.in_(ids))] if ids else []
        if since is not None:
            wanted += [select(jobs).where(RUNNING), select(jobs).where(FINISHED, jobs.c.finished_at >= micros(since))]
        rows = self._database.read(lambda connection: [row for each in wanted for row in connection.execute(each)])
        return Standing(
            events=[to_event(row) for row in rows if row.finished_at or (row.state == "running" and row.told_at)],
            running=[row.id for row in rows if row.state == "running"],
        )

    def _change(self, lease: Lease, values: Callable[[ColumnElement[int]], Mapping[str, object]]) -> Row[Any]:
        """Change the job of a lease to `values(now)` and return its row, unless the lease is lost."""

        def change(connection: Connection) -> Row[Any] | None:
            mine = update(jobs).where(held(lease.job.id, lease.fence, lease.worker))
            return connection.execute(mine.values(values(self._database.now())).returning(jobs)).one_or_none()

        row = self._database.write(change)
        if row is None:
            raise LeaseLostError(lease.job.id, lease.fence)
        return row
