"""A clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class Clock:
    """A `mamkit.clock.Clock`."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by
