"""A child process that is started before it is needed, or goes on to the next piece of work.

Its imports take a third of a second of a processor.
"""

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
        keep: Whether one that has done its work without a fault does the next, too, where that is on the same source
            under the same limits: it is confined to that source as it was, and ends when anything else is asked for.
    """

    def __init__(self, *, ahead: bool = True, keep: bool = False) -> None:
        self._ahead = ahead
        self._keep = keep
        self._ready: subprocess.Popen[bytes] | None = None
        self._used: tuple[subprocess.Popen[bytes], object] | None = None

    def __enter__(self) -> Self:
        if self._ahead:
            self.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def keeps(self) -> bool:
        """Whether children are to be given back."""
        return self._keep

    def prepare(self) -> None:
        """Start a child unless one is ready; a system that starts none just now is asked again by `take`."""
        if self._ready is not None and self._ready.poll() is not None:
            end_process(self._ready)
            self._ready = None
        if self._ready is None:
            with suppress(ContainmentError):
                self._ready = start_process(COMMAND)

    def take(self, bounds: object = None) -> "subprocess.Popen[bytes]":
        """Return a child, which is the caller's now, and start the next one where that is wanted.

        Args:
            bounds: What the work is confined to; a child that was given back is returned for what equals its own only.

        Raises:
            ContainmentError: The system starts no more processes.
        """
        if self._used is not None:
            (used, its_bounds), self._used = self._used, None
            if bounds is not None and its_bounds == bounds and used.poll() is None:
                return used
            end_process(used)
        self.prepare()
        taken, self._ready = self._ready, None
        if taken is None:
            taken = start_process(COMMAND)
        if self._ahead:
            self.prepare()
        return taken

    def give_back(self, child: "subprocess.Popen[bytes]", bounds: object) -> None:
        """Keep a child that has done its work without a fault for more of it.

        Args:
            child: As `take` returned it.
            bounds: What it is confined to.
        """
        if self._used is not None:
            end_process(self._used[0])
        self._used = child, bounds

    def close(self) -> None:
        """End the children that are ready; `take` and `prepare` start others."""
        if self._ready is not None:
            end_process(self._ready)
            self._ready = None
        if self._used is not None:
            end_process(self._used[0])
            self._used = None
