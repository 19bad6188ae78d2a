"""What an operator wants of a worker, told by signals: stop, drain, pause."""

import logging
import select
import signal
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Orders"]

log = logging.getLogger(__name__)


class Orders:
    """Takes the signals of this process; a context manager of its main thread, which then sits in `wait`.

    The system may interrupt any thread with a signal, and a Python handler runs in the main thread alone, once that
    does anything. Where it slept in a lock, a signal that had come to another thread went unheard. So it sleeps in
    front of a socket, into which Python writes for each signal, whichever thread it came to (`signal.set_wakeup_fd`).

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
        self._heard, self._bell = socket.socketpair()
        self._heard.setblocking(False)
        self._bell.setblocking(False)
        self._before = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_drain)
        signal.signal(signal.SIGUSR2, self._on_pause)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._before)
        self._heard.close()
        self._bell.close()

    def wait(self) -> None:
        """Sleep until a signal has come, and has been handled, or `rouse` was called since."""
        select.select([self._heard], [], [])
        with suppress(BlockingIOError):
            while self._heard.recv(4096):
                pass

    def rouse(self) -> None:
        """Let `wait` return; for other threads."""
        with suppress(BlockingIOError):  # it is full: nothing is lost, since there is something to wake up to
            self._bell.send(b"\0")

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
