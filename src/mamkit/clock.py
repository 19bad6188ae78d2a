"""The one injectable clock: every part that looks at the time takes a `Clock`."""

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "utc_now"]

Clock = Callable[[], datetime]
"""A callable that returns the present time as an aware `datetime` in UTC."""


def utc_now() -> datetime:
    """Return the present time of this machine, aware, in UTC."""
    return datetime.now(UTC)
