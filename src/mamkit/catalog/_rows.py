"""What the aggregates share: telling why a row was refused."""

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["add", "is_duplicate"]

_SQLITE_DUPLICATES = {"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}
_UNIQUE_VIOLATION = "23505"  # SQLSTATE, PostgreSQL documentation appendix A


async def add(session: AsyncSession, row: Any) -> None:
    """Insert a row at once, in a savepoint: if it is refused, the transaction goes on without it.

    Raises:
        IntegrityError: A constraint refused it.
    """
    async with session.begin_nested():
        session.add(row)


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether a primary key or a unique constraint refused a row, rather than a foreign key or a check."""
    cause: Any = error.orig
    return (
        getattr(cause, "sqlite_errorname", None) in _SQLITE_DUPLICATES
        or getattr(cause, "sqlstate", None) == _UNIQUE_VIOLATION
    )
