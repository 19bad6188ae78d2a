"""Moments and durations as whole microseconds, which every database and every script language can compare."""

from datetime import UTC, datetime, timedelta

__all__ = ["micros", "moment"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(value: datetime | timedelta) -> int:
    """Return a moment as microseconds since 1970-01-01 UTC, or a duration in microseconds."""
    duration = value - EPOCH if isinstance(value, datetime) else value
    return duration // MICROSECOND


def moment(value: int) -> datetime:
    """Return the moment of a number of microseconds since 1970-01-01 UTC."""
    return EPOCH + value * MICROSECOND
