"""How `SqlQueue` hands jobs out: a look, which locks nothing, and statements that choose, lock and change.

Each kind is looked at for itself, by an index in which its jobs stand in order. So a claim costs the same however many
jobs of other kinds wait in front, for workers that have a card, say. Nor does it walk over those of its own kind that
are delayed or run: they come into that index when a claim, of whatever kind, finds that their time has come. The
statements are made once and kept, since that takes longer than to run them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._check import LEASE_RAN_OUT
from mamkit.jobs._clocks import SLACK
from mamkit.jobs._database import GIVEN_TIME, SERVER_TIME, Database
from mamkit.jobs._micros import micros
from mamkit.jobs._table import DELAYED, LEASED, READY, RUNNING, jobs, to_lease
from mamkit.jobs.models import Lease

try:
    from sqlalchemy import (
        BigInteger,
        ColumnElement,
        Connection,
        Integer,
        Row,
        Select,
        Text,
        Update,
        and_,
        bindparam,
        case,
        cast,
        func,
        literal,
        literal_column,
        null,
        select,
        true,
        union_all,
        update,
    )
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["Claim", "claim"]

URGENCY = (jobs.c.priority, jobs.c.run_at, jobs.c.sequence)  # in which order jobs are handed out
SPENT = jobs.c.attempts >= jobs.c.max_attempts
SET_RIGHT = 1000  # jobs of one claim that are let in; keeps SQLite's write lock short
SLACK_MICROS = micros(SLACK)
TERM = bindparam("term", type_=BigInteger)
KINDS_AT_ONCE = 20  # of one statement, which grows with them; SQLite takes 500 at most
STATEMENTS = 256  # a worker asks for the same few kinds again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a worker asks for, as `CanBatch.claim_many` describes it."""

    worker: str
    limit: int
    kinds: Sequence[str] | None
    lease: timedelta
    before: int | None


def claim(database: Database, asked: Claim) -> list[Lease]:
    """Give the most urgent jobs to a worker, most urgent first; those whose attempts are used up are dead.

    The most urgent ones are those of the look. Where others have taken them since, the next ones of the same kind come.

    Raises:
        QueueUnavailableError: The database gave an error, or stayed locked.
    """
    server = database.tells_time

    def given(**more: object) -> Mapping[str, object]:
        return {**database.given_time(), "before": asked.before, "term": micros(asked.lease), **more}

    def look(connection: Connection) -> tuple[list[str], set[int]]:
        """Return the kinds of the most urgent jobs, most urgent first, and which chores are to be done."""
        kinds = [*connection.scalars(_all_kinds())] if asked.kinds is None else [*dict.fromkeys(asked.kinds)]
        rows: list[Row[Any]] = []
        for start in range(0, len(kinds) or 1, KINDS_AT_ONCE):
            names = {f"kind{number}": kind for number, kind in enumerate(kinds[start : start + KINDS_AT_ONCE])}
            statement = _look(server, len(names), asked.before is not None)
            rows += connection.execute(statement, given(limit=asked.limit, **names))
        heads = sorted((row.priority, row.run_at, row.sequence, row.kind) for row in rows if row.chore is None)
        return [kind for *_, kind in heads], {row.chore for row in rows if row.chore is not None}

    kinds, chores = database.read(look)
    if not kinds and not chores:
        return []

    def take(connection: Connection, kind: str, limit: int) -> Sequence[Row[Any]]:
        statement = _take(server, asked.before is not None)
        return connection.execute(statement, given(kind0=kind, limit=limit, holder=asked.worker)).all()

    def change(connection: Connection) -> Sequence[Row[Any]]:
        for number in sorted(chores):
            connection.execute(_chores(server)[number], given())
        heads = look(connection)[0] if chores else kinds
        wanted = Counter(heads[: asked.limit])
        taken: Sequence[Row[Any]] = [row for kind, count in wanted.items() for row in take(connection, kind, count)]
        for kind in dict.fromkeys(heads):
            taken = taken or take(connection, kind, asked.limit)  # others were faster, but not for each kind perhaps
        return taken

    taken = database.write(change)
    return [to_lease(row) for row in sorted(taken, key=lambda row: (row.priority, row.run_at, row.sequence))]


def _now(server: bool) -> ColumnElement[int]:
    return SERVER_TIME if server else GIVEN_TIME


def _claimable(kind: ColumnElement[str], *, bounded: bool) -> ColumnElement[bool]:
    more_urgent = jobs.c.priority < bindparam("before", type_=Integer) if bounded else true()
    return and_(jobs.c.kind == kind, READY, more_urgent)


def _out_of_date(now: ColumnElement[int]) -> tuple[Select[tuple[UUID]], ...]:
    """Return the jobs that a claim is to set right: their time has come, or their clock has gone back since."""
    ahead = jobs.c.dated_at > now + SLACK_MICROS
    job = select(jobs.c.id)
    return (
        job.where(LEASED, jobs.c.lease_until <= now).order_by(jobs.c.lease_until),
        job.where(DELAYED, jobs.c.run_at <= now).order_by(jobs.c.run_at),
        # A lease that is longer than one of now could be; by the index of leases, in which those come last.
        job.where(RUNNING, jobs.c.lease_until > now + TERM + SLACK_MICROS, ahead),
        job.where(DELAYED, ahead),
    )


@lru_cache(STATEMENTS)
def _look(server: bool, kinds: int, bounded: bool) -> Select[tuple[int | None, str, int, int, int]]:
    columns = (jobs.c.kind, *URGENCY)
    heads = [
        select(cast(null(), Integer).label("chore"), *columns)
        .where(_claimable(bindparam(f"kind{number}", type_=Text), bounded=bounded))
        .order_by(*URGENCY)
        .limit(bindparam("limit", type_=Integer))
        for number in range(kinds)
    ]
    nothing = [literal("").label("kind"), *(literal(0).label(column.name) for column in URGENCY)]
    chores = [
        each.with_only_columns(literal_column(str(number), Integer).label("chore"), *nothing).limit(1)
        for number, each in enumerate(_out_of_date(_now(server)))
    ]
    found = union_all(*(select(each.subquery()) for each in (*chores, *heads))).subquery()
    return select(found.c.chore, found.c.kind, found.c.priority, found.c.run_at, found.c.sequence)


@cache
def _all_kinds() -> Select[tuple[str]]:
    """Every kind of which a job is ready, found by as many steps in the index and not by a walk through it."""
    first = select(func.min(jobs.c.kind).label("kind")).where(READY).cte("kinds", recursive=True)
    following = select(func.min(jobs.c.kind)).where(READY, jobs.c.kind > first.c.kind).scalar_subquery()
    every = first.union_all(select(following).where(first.c.kind.is_not(None)))
    return select(every.c.kind).where(every.c.kind.is_not(None))


@cache
def _chores(server: bool) -> tuple[Update, ...]:
    now = _now(server)

    def those(found: Select[tuple[UUID]]) -> Update:
        locked = found.limit(SET_RIGHT).with_for_update(skip_locked=True)
        return update(jobs).where(jobs.c.id.in_(select(locked.cte("locked").c.id)))

    overdue, due, leased, delayed = map(those, _out_of_date(now))
    gone_back = jobs.c.dated_at - now
    buried = {"state": "dead", "reason": LEASE_RAN_OUT, "finished_at": now}
    if_spent = {name: case((SPENT, value), else_=jobs.c[name]) for name, value in buried.items()}
    return (
        overdue.values({**if_spent, "dated_at": now}),
        due.values(dated_at=now),
        leased.values(lease_until=jobs.c.lease_until - gone_back, dated_at=now),
        delayed.values(run_at=jobs.c.run_at - gone_back, dated_at=now),
    )


@cache
def _take(server: bool, bounded: bool) -> Update:
    now = _now(server)
    most_urgent = (
        select(jobs.c.id)
        .where(_claimable(bindparam("kind0", type_=Text), bounded=bounded))
        .order_by(*URGENCY)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    taken = {
        "state": "running",
        "worker": bindparam("holder", type_=Text),
        "attempts": jobs.c.attempts + 1,
        "fence": jobs.c.fence + 1,
        "lease_until": now + TERM,
        "dated_at": now,
        "progress": None,
        "told_at": None,
    }
    # As a common table expression, which is read once: PostgreSQL may read what stands after IN again and again, and
    # lock other rows each time.
    chosen = jobs.c.id.in_(select(most_urgent.cte("most_urgent").c.id))
    return update(jobs).where(chosen).values(taken).returning(jobs)
