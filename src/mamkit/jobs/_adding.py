"""What became of jobs that were to be added where others may have their dedupe keys."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._table import ACTIVE, jobs

try:
    from sqlalchemy import Connection, Insert, select
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["added"]

_AT_ONCE = 500  # keys of one statement; SQLite before 3.32 takes 999 parameters


def added(connection: Connection, insert: Insert, rows: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """Return the ids of rows that were inserted, or of the active jobs that have their dedupe keys."""
    keys = {row["dedupe_key"]: row for row in rows if row["dedupe_key"] is not None}
    holders: dict[str, UUID] = {}
    while missing := list(keys.keys() - holders.keys())[:_AT_ONCE]:
        found = select(jobs.c.dedupe_key, jobs.c.id).where(jobs.c.dedupe_key.in_(missing), ACTIVE)
        holders |= dict(connection.execute(found).all())
        # On PostgreSQL, a holder may have been finished since the insert was refused.
        if refused := [keys[key] for key in missing if key not in holders]:
            connection.execute(insert, refused)
    return [row["id"] if row["dedupe_key"] is None else holders[row["dedupe_key"]] for row in rows]
