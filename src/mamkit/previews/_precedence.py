"""Whose turn it is on one machine: a first picture, which somebody waits for, has the processors to itself.

Jobs are handed out by priority, and yet the part after the first would be begun beside it, by the next slot, and take
half of the processors. So while a film is on its way to its first picture, only what is as urgent is begun.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from mamkit.jobs import Job, Lease
from mamkit.previews._ordering import LATER
from mamkit.previews.messages import PLAN_JOB

__all__ = ["Precedence"]


class Precedence:
    """Which jobs several workers in one process may take.

    Args:
        at_once: How many parts may be made beside each other without one being slower for it; None: any number.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once
        self._held = 0
        self._first = 0
        self._lock = Lock()

    @property
    def insisted(self) -> bool:
        """Whether nothing is begun now but what is urgent."""
        return self._first > 0 and self._at_once is not None and self._held >= self._at_once

    @contextmanager
    def claim(self, ask: Callable[[int | None], Lease | None]) -> Iterator[Lease | None]:
        """Take a job whose turn it is, or none, and hold it while the block runs.

        Args:
            ask: Takes the most urgent job with a priority before that number, or any for None.
        """
        with self._lock:  # until it is known what that was, nobody else begins anything
            lease = ask(LATER if self.insisted else None)
            held, first = int(lease is not None), int(lease is not None and _leads_to_a_picture(lease.job))
            self._held += held
            self._first += first
        try:
            yield lease
        finally:
            with self._lock:
                self._held -= held
                self._first -= first


def _leads_to_a_picture(job: Job) -> bool:
    """Return whether a film can be played soon after this: its plan, or the part with its first picture."""
    part = job.payload.get("part")
    return job.kind == PLAN_JOB or (job.priority < LATER and isinstance(part, dict) and part.get("kind") == "video")
