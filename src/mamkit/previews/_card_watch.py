"""Whether anybody still has a card: parts that only a card can make must not wait for one that is gone."""

import time
from collections.abc import Callable
from datetime import timedelta

from mamkit.clock import utc_now
from mamkit.jobs import Job, Queue
from mamkit.previews.messages import is_for_card

__all__ = ["CardWatch"]

_MOST = 1000  # jobs that run at once, as far as is looked: one of a kind is enough


class CardWatch:
    """Looks from time to time whether jobs wait for cards that nobody has; to be used by one thread at a time.

    A sign of life is a job of the same kind that runs, or that somebody has just handed back for later.

    Args:
        queue: Where the jobs wait.
        patience: For how long there must be no sign of life, at all looks.
        clock: Seconds, monotonic.
    """

    def __init__(self, queue: Queue, patience: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._patience = patience.total_seconds()
        self._clock = clock
        self._silent: dict[str, float] = {}  # since when a kind has been without a sign of life
        self._seen: set[str] = set()  # kinds of which a job was looked at in this round
        self._running: frozenset[str] | None = None  # kinds of which a job runs in this round

    def begin(self) -> None:
        """Begin a round: what nobody waited for in the one before is forgotten."""
        self._silent = {kind: since for kind, since in self._silent.items() if kind in self._seen}
        self._seen, self._running = set(), None

    def is_in_vain(self, job: Job) -> bool:
        """Return whether a job waits for a card that nobody has, or is of those that cards were tried on in vain.

        Raises:
            QueueUnavailableError: The queue does not answer.
        """
        if not is_for_card(job.kind) or job.state != "waiting":
            return is_for_card(job.kind) and job.state == "dead"
        now = self._clock()
        self._seen.add(job.kind)
        if job.kind in self._at_work() or job.run_at > utc_now():
            self._silent[job.kind] = now
            return False
        return now - self._silent.setdefault(job.kind, now) >= self._patience

    def _at_work(self) -> frozenset[str]:
        if self._running is None:
            self._running = frozenset(job.kind for job in self._queue.list(state="running", limit=_MOST))
        return self._running
