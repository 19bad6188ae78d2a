"""How `SqlQueue` hands jobs out: one statement chooses, locks and changes them."""

from collections.abc import Sequence
from datetime import timedelta

from mamkit.errors import MissingExtraError
from mamkit.jobs._check import LEASE_RAN_OUT
from mamkit.jobs._micros import micros
from mamkit.jobs._table import jobs, overdue, runnable, to_lease
from mamkit.jobs.models import Lease

try:
    from sqlalchemy import ColumnElement, Connection, and_, not_, or_, select, true, update
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["is_any_there", "take", "wanted_jobs"]

URGENCY = (jobs.c.priority, jobs.c.run_at, jobs.c.sequence)  # in which order jobs are handed out
SPENT = jobs.c.attempts >= jobs.c.max_attempts


def wanted_jobs(kinds: Sequence[str] | None, before: int | None) -> ColumnElement[bool]:
    """Return the condition that a job is of these kinds, and more urgent than that; None for all."""
    return and_(
        true() if kinds is None else jobs.c.kind.in_(kinds),
        true() if before is None else jobs.c.priority < before,
    )


def is_any_there(connection: Connection, wanted: ColumnElement[bool], now: ColumnElement[int]) -> bool:
    """Return whether there is a job to take or to give up; locks nothing."""
    # In order, although any would do: it keeps PostgreSQL from walking the table in search of the first.
    seen = select(jobs.c.id).where(runnable(now), or_(wanted, SPENT)).order_by(*URGENCY)
    return connection.execute(seen.limit(1)).one_or_none() is not None


def take(
    connection: Connection,
    wanted: ColumnElement[bool],
    now: ColumnElement[int],
    *,
    worker: str,
    limit: int,
    lease: timedelta,
) -> list[Lease]:
    """Give the most urgent jobs to a worker, most urgent first; those whose attempts are used up are dead."""
    given_up = select(jobs.c.id).where(overdue(now), SPENT).with_for_update(skip_locked=True)
    connection.execute(
        update(jobs)
        .where(jobs.c.id.in_(given_up.correlate(None)))
        .values(state="dead", reason=LEASE_RAN_OUT, finished_at=now)
    )
    most_urgent = (
        select(jobs.c.id)
        .where(runnable(now), wanted, not_(SPENT))
        .order_by(*URGENCY)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    taken = {
        "state": "running",
        "worker": worker,
        "attempts": jobs.c.attempts + 1,
        "fence": jobs.c.fence + 1,
        "lease_until": now + micros(lease),
        "progress": None,
        "told_at": None,
    }
    # As a common table expression, which is read once: PostgreSQL may read what stands after IN again and again, and
    # lock other rows each time.
    chosen = jobs.c.id.in_(select(most_urgent.cte("most_urgent").c.id))
    rows = connection.execute(update(jobs).where(chosen).values(taken).returning(jobs)).all()
    return [to_lease(row) for row in sorted(rows, key=lambda row: (row.priority, row.run_at, row.sequence))]
