"""What a worker needs beside the queue: a heartbeat for the job in hand, and how long to wait after a failure."""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Self

from mamkit.jobs._check import check_duration
from mamkit.jobs.errors import QueueUnavailableError
from mamkit.jobs.models import Lease
from mamkit.jobs.protocol import Queue

__all__ = ["Heartbeat", "backoff"]

RENEWALS = 3  # in one duration of the lease: two may fail before the lease runs out
MAX_DOUBLINGS = 62  # beyond any cap; keeps the power of two a small number


class Heartbeat:
    """Renews a lease from a thread of its own while a `with` block works on the job.

    The first renewal comes at once, then one every third of `duration`. A queue that is unavailable is asked again;
    the lease is given up when no renewal succeeded for a whole `duration` on this machine's monotonic clock.
    Leaving the block ends the thread and neither finishes the job nor hands it back.

    Args:
        queue: Where the lease is from; used from the heartbeat's thread.
        lease: As `Queue.claim` returned it.
        duration: For how long each renewal extends the lease.
        on_lost: Called once from the heartbeat's thread, with the error that ended the lease, e.g. to kill the child
            process that does the work. `lost` is set before.

    Raises:
        InvalidJobError: `duration` is no `timedelta` of more than zero.
    """

    def __init__(
        self,
        queue: Queue,
        lease: Lease,
        *,
        duration: timedelta,
        on_lost: Callable[[Exception], None] | None = None,
    ) -> None:
        check_duration("duration", duration, positive=True)  # else the thread would fail, and nobody hear of it
        self.lost = Event()
        """Set once the lease is lost; long work looks at it, or waits on it."""
        self._queue = queue
        self._lease = lease
        self._duration = duration
        self._on_lost = on_lost
        self._stopped = Event()
        self._thread = Thread(target=self._beat, name=f"heartbeat of {lease.job.id}", daemon=True)

    @property
    def lease(self) -> Lease:
        """The lease as it was renewed last."""
        return self._lease

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        seconds = self._duration.total_seconds()
        ends = time.monotonic() + seconds
        while not self._stopped.is_set():
            asked = time.monotonic()  # the queue counts from some moment after this one
            try:
                self._lease = self._queue.renew(self._lease, by=self._duration)
                ends = asked + seconds
            except QueueUnavailableError as error:
                if time.monotonic() >= ends:
                    self._lose(error)
            except Exception as error:  # LeaseLostError, or a defect: in any case the lease is no longer renewed
                self._lose(error)
            self._stopped.wait(seconds / RENEWALS)

    def _lose(self, error: Exception) -> None:
        self._stopped.set()
        self.lost.set()
        if self._on_lost is not None:
            self._on_lost(error)


def backoff(
    attempt: int,
    *,
    base: timedelta = timedelta(seconds=1),
    cap: timedelta = timedelta(minutes=5),
    rng: random.Random | None = None,
) -> timedelta:
    """Return how long to wait after the failure of an attempt: exponential, with full jitter.

    The wait is evenly spread from 0 to `base * 2 ** (attempt - 1)`, at most to `cap`, so that jobs that failed together
    do not come back together ("full jitter", AWS Architecture Blog, Exponential Backoff And Jitter, 2015).

    Args:
        attempt: Which attempt failed; the first is 1.
        base: Upper end of the wait after the first attempt.
        cap: Upper end of any wait.
        rng: Source of the jitter; a seeded one makes the result repeatable.
    """
    doublings = min(max(attempt, 1) - 1, MAX_DOUBLINGS)
    jitter = (rng or random.SystemRandom()).random()
    return timedelta(seconds=min(cap.total_seconds(), base.total_seconds() * 2**doublings) * jitter)
