"""What the aggregates share: inserting a row that may be refused, and telling why it was."""

from typing import Any, TypeVar

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Base

__all__ = ["add", "is_duplicate"]

Row = TypeVar("Row", bound=Base)

_SQLITE_DUPLICATES = {"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}
_UNIQUE_VIOLATION = "23505"  # SQLSTATE, PostgreSQL documentation appendix A


async def add(session: AsyncSession, model: type[Row], **values: Any) -> Row:
    """Insert a row at once, in a savepoint, and return it: if it is refused, the transaction goes on without it.

    Raises:
        IntegrityError: A constraint refused it.
    """
    async with session.begin_nested():
        rows = await session.scalars(insert(model).returning(model), [values])
        return rows.one()


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether a primary key or a unique constraint refused a row, rather than a foreign key or a check."""
    cause: Any = error.orig
    return (
        getattr(cause, "sqlite_errorname", None) in _SQLITE_DUPLICATES
        or getattr(cause, "sqlstate", None) == _UNIQUE_VIOLATION
    )
