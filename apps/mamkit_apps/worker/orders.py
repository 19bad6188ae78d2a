"""What an operator wants of a worker, told by signals: stop, drain, pause."""

import logging
import signal
import threading
from datetime import timedelta
from types import FrameType

__all__ = ["Orders"]

log = logging.getLogger(__name__)


class Orders:
    """Takes the signals of this process; to be made in its main thread.

    SIGTERM and SIGINT let the job in hand go on for the grace period, and then end its child and hand it back; a second
    one does so at once. SIGUSR1 drains: the job in hand is finished, however long it takes, and no other is taken.
    SIGUSR2 pauses after the job in hand, and the next one goes on.

    Args:
        grace: How long a job may go on after SIGTERM.
    """

    def __init__(self, grace: timedelta) -> None:
        self.leaving = threading.Event()
        """No more jobs are to be taken, and the process is to end."""
        self.stop = threading.Event()
        """The job in hand is to be handed back now."""
        self._paused = False
        self._grace = grace
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_drain)
        signal.signal(signal.SIGUSR2, self._on_pause)

    @property
    def paused(self) -> bool:
        """Whether no jobs are to be taken for now."""
        return self._paused

    def _on_stop(self, number: int, _: FrameType | None) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        if self.leaving.is_set() or not self._grace:
            self.stop.set()
        else:
            timer = threading.Timer(self._grace.total_seconds(), self.stop.set)
            timer.daemon = True  # a job that ends earlier keeps nobody waiting
            timer.start()
        self.leaving.set()

    def _on_drain(self, _: int, __: FrameType | None) -> None:
        log.info("draining: the job in hand is the last one")
        self.leaving.set()

    def _on_pause(self, _: int, __: FrameType | None) -> None:
        self._paused = not self._paused
        log.info("paused" if self._paused else "going on")
