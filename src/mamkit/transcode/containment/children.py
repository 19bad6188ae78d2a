"""A child process that is started before it is needed: its imports take a third of a second of a processor."""

import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from mamkit.transcode.containment._process import end_process, start_process
from mamkit.transcode.errors import ContainmentError

__all__ = ["COMMAND", "Children"]

COMMAND = (sys.executable, "-I", "-B", "-m", "mamkit.transcode.containment._child")
"""The program of the child process."""


class Children:
    """Keeps one child process ready; a context manager that ends it. To be used by one thread.

    Each does one piece of work and is gone: what a stranger's file did to it is gone with it. One that waits has opened
    nothing, and ends when this process does, or on Linux the thread that started it.

    Args:
        ahead: Whether one is started when the block is entered, and another when one is taken; else `prepare` does.
    """

    def __init__(self, *, ahead: bool = True) -> None:
        self._ahead = ahead
        self._ready: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._ahead:
            self.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Start a child unless one is ready; a system that starts none just now is asked again by `take`."""
        if self._ready is not None and self._ready.poll() is not None:
            self.close()
        if self._ready is None:
            with suppress(ContainmentError):
                self._ready = start_process(COMMAND)

    def take(self) -> "subprocess.Popen[bytes]":
        """Return a child, which is the caller's now, and start the next one where that is wanted.

        Raises:
            ContainmentError: The system starts no more processes.
        """
        self.prepare()
        taken, self._ready = self._ready, None
        if taken is None:
            taken = start_process(COMMAND)
        if self._ahead:
            self.prepare()
        return taken

    def close(self) -> None:
        """End the child that is ready; `take` and `prepare` start another."""
        if self._ready is not None:
            end_process(self._ready)
            self._ready = None
