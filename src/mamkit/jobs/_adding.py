"""What became of a job that was to be added where another may have its dedupe key."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._table import ACTIVE, jobs

try:
    from sqlalchemy import Connection, Insert, select
except ImportError as error:
    raise MissingExtraError("jobs", package="sqlalchemy") from error

__all__ = ["added"]


def added(connection: Connection, insert: Insert, row: Mapping[str, Any]) -> UUID:
    """Return the id of a row that was inserted, or of the active job that has its dedupe key."""
    holder = select(jobs.c.id).where(jobs.c.dedupe_key == row["dedupe_key"], ACTIVE)
    job_id: UUID | None = row["id"] if row["dedupe_key"] is None else connection.scalar(holder)
    while job_id is None:  # on PostgreSQL, the holder may have been finished since the insert was refused
        connection.execute(insert, row)
        job_id = connection.scalar(holder)
    return job_id
