"""So much of something, of which several threads take shares: the memory of a machine, or the sessions of its card."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from mamkit.transcode import Cancellation

__all__ = ["Shares"]

_TICK = 0.2  # seconds between two looks whether to stop, of which nobody is told


class Shares:
    """So much of something: each takes a share while a block runs, as far as there is one, and others wait for theirs.

    Whoever wants more than there is gets it where nobody else has any: it would fit nowhere else, either. Nobody takes
    by waiting; who has waited asks again, as everybody does, and may be refused again.

    Args:
        total: How much there is, larger than zero; None: no bound.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._taken = 0
        self._waiting = 0
        self._change = Condition()

    @property
    def taken(self) -> int:
        """How much all have together."""
        with self._change:
            return self._taken

    @property
    def free(self) -> int | None:
        """How much nobody has; None without a bound."""
        with self._change:
            return None if self._total is None else max(0, self._total - self._taken)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a share."""
        with self._change:
            return self._waiting > 0

    @contextmanager
    def take(self, need: int, *, modestly: bool = False) -> Iterator[bool]:
        """Take a share while the block runs, and give whether there was one; without waiting.

        Args:
            need: How much, larger than zero.
            modestly: Whether to take none while somebody waits.
        """
        with self._change:
            given = self._fits(need) and not (modestly and self._waiting)
            if given:
                self._taken += need
        try:
            yield given
        finally:
            if given:
                with self._change:
                    self._taken -= need
                    self._change.notify_all()

    def wait(self, need: int, stop: Cancellation) -> None:
        """Wait until a share could be taken, or until `stop` is set; nobody passes by meanwhile.

        Args:
            need: How much, larger than zero.
            stop: Looked at from time to time.
        """
        with self._change:
            self._waiting += 1
            try:
                while not self._fits(need) and not stop.is_set():
                    self._change.wait(_TICK)
            finally:
                self._waiting -= 1
                self._change.notify_all()

    def pass_by(self, stop: Cancellation) -> None:
        """Return once nobody waits for a share, or `stop` is set."""
        with self._change:
            while self._waiting and not stop.is_set():
                self._change.wait(_TICK)

    def _fits(self, need: int) -> bool:
        return self._total is None or not self._taken or self._taken + need <= self._total
