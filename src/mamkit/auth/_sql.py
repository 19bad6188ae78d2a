"""What the SQL stores share: one transaction a call, and errors that show no parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from mamkit.auth.errors import AuthError
from mamkit.errors import MissingExtraError

try:
    import sqlalchemy as sa
except ImportError as error:
    raise MissingExtraError("auth", package="sqlalchemy") from error

__all__ = ["MOMENT", "aware", "translated"]

MOMENT = sa.DateTime(timezone=True)


@contextmanager
def translated(failed: Callable[[str], AuthError], operation: str) -> Iterator[None]:
    """Turn what the database says into `failed(operation)`."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        # The driver's own error: SQLAlchemy's shows the parameters, hashes of tokens among them.
        raise failed(operation) from error.orig
    except sa.exc.TimeoutError as error:  # no connection of the pool came free
        raise failed(operation) from error


def aware(moment: datetime) -> datetime:
    """Return the moment in UTC: SQLite has no time zones, and gives back naive what was written in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
