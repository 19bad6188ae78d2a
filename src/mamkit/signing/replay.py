"""Remembering what was accepted, so that it is accepted once."""

import heapq
from datetime import datetime
from threading import Lock
from typing import Protocol

from mamkit.clock import Clock, utc_now
from mamkit.signing.errors import WebhookError

__all__ = ["MemoryReplayGuard", "ReplayGuard", "ReplayGuardFullError"]


class ReplayGuard(Protocol):
    """Remembers names until they do not matter any more; to be used from several threads at once."""

    def remember(self, name: str, *, until: datetime) -> bool:
        """Return whether the name is new, and remember it until then."""


class ReplayGuardFullError(WebhookError):
    """A guard remembers as much as it may; the message must be sent anew later.

    Attributes:
        capacity: How many names it may remember.
    """

    code = "signing.replay_guard_full"

    def __init__(self, capacity: int) -> None:
        super().__init__(f"{capacity} messages were accepted within the tolerance; send this one again later")
        self.capacity = capacity


class MemoryReplayGuard:
    """A `ReplayGuard` of one process.

    Only what carries a good signature gets here, so whoever fills it holds the secret; it would rather refuse than
    forget.

    Args:
        capacity: How many names it remembers at most; one takes about 200 bytes.
        clock: Tells what does not matter any more.
    """

    def __init__(self, *, capacity: int = 100_000, clock: Clock = utc_now) -> None:
        self._capacity = capacity
        self._clock = clock
        self._lock = Lock()
        self._names: set[str] = set()
        self._ends: list[tuple[datetime, str]] = []

    def remember(self, name: str, *, until: datetime) -> bool:
        """Return whether the name is new, and remember it until then.

        Raises:
            ReplayGuardFullError: It is new, and there is no room.
        """
        with self._lock:
            now = self._clock()
            while self._ends and self._ends[0][0] < now:
                self._names.remove(heapq.heappop(self._ends)[1])
            if name in self._names:
                return False
            if len(self._names) >= self._capacity:
                raise ReplayGuardFullError(self._capacity)
            self._names.add(name)
            heapq.heappush(self._ends, (until, name))
            return True
