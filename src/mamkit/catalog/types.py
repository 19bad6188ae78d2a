"""Column types that are strict about what they take, so that every database gives back what was put in."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import DateTime, Dialect, String, TypeDecorator

from mamkit.catalog.errors import InvalidTextError, NaiveDatetimeError

__all__ = ["PlainText", "UTCDateTime"]


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: aware on the way in, aware and in UTC on the way out, whatever the database makes of it.

    Raises, when a value is bound:
        NaiveDatetimeError: It has no time zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: D102, ARG002
        if value is None:
            return None
        if value.utcoffset() is None:
            raise NaiveDatetimeError
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: D102, ARG002
        if value is None:
            return None
        # SQLite has no time zones and gives back naive what was put in as UTC.
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text that PostgreSQL takes as well as SQLite, and no longer than its column.

    Raises, when a value is bound:
        InvalidTextError: It holds NUL or half a surrogate pair, both of which JSON can carry, or is too long.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: D102, ARG002
        if value is None:
            return None
        if "\0" in value:
            raise InvalidTextError("it holds the character NUL")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidTextError("it holds half a surrogate pair")
        length = cast("String", self.impl_instance).length
        if length is not None and len(value) > length:
            raise InvalidTextError(f"it has {len(value)} characters, of at most {length}")
        return value
