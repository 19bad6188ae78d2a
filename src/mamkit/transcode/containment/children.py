"""Child processes that are started before they are needed, or go on to the next piece of work on their film.

Their imports take a third of a second of a processor.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Timer
from types import TracebackType
from typing import Self

from mamkit.transcode.containment._process import end_process, start_process
from mamkit.transcode.errors import ContainmentError

__all__ = ["COMMAND", "Children"]

COMMAND = (sys.executable, "-I", "-B", "-m", "mamkit.transcode.containment._child")
"""The program of the child process."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """A child that has opened a file, and waits for more work on it."""

    process: "subprocess.Popen[bytes]"
    bounds: object
    ends: Timer | None


class Children:
    """Child processes that wait for work; a context manager that ends them. Safe to share between threads.

    One that is ready has opened nothing. One that is kept has done a piece of work without a fault, and does more of it
    on the same source under the same limits only: it stays confined to that source, and what a stranger's file did to
    it is gone with it before another file is opened. All end when this process does.

    Args:
        ahead: Whether one is started when the block is entered, and another when one is taken; else `prepare` does.
        keep: How many children are kept at most; of more, the one that has waited longest ends.
        idle: For how long a child is kept for more work; None: until it is in the way, or `close`.
    """

    def __init__(self, *, ahead: bool = True, keep: int = 0, idle: timedelta | None = None) -> None:
        self._ahead = ahead
        self._most = keep
        self._idle = idle
        self._lock = Lock()
        self._ready: list[subprocess.Popen[bytes]] = []
        self._kept: list[_Kept] = []  # the one that has waited longest is the first
        self._at_work: set[subprocess.Popen[bytes]] = set()
        # On Linux a child ends with the thread that started it, which must not be one of those that share this.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="children")

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
        return self._most > 0

    def prepare(self, count: int = 1) -> None:
        """See that there are so many children, at work or waiting for it.

        A system that starts none just now is asked again by `take`.
        """
        with self._lock:
            for gone in [child for child in self._ready if child.poll() is not None]:
                self._ready.remove(gone)
                end_process(gone)
            with suppress(ContainmentError):
                while len(self._ready) + len(self._kept) + self._count_at_work() < count:
                    self._ready.append(self._start())

    def take(self, bounds: object = None) -> "subprocess.Popen[bytes]":
        """Return a child, which is the caller's now, and start the next one where that is wanted.

        Args:
            bounds: What the work is confined to; a child that was given back is returned for what equals its own only.

        Raises:
            ContainmentError: The system starts no more processes.
        """
        with self._lock:
            taken = self._take_kept(bounds) if bounds is not None else None
            if taken is None and self._most and len(self._kept) == self._most:
                self._end(self._kept[0])  # the place is wanted for what is taken now
            while taken is None and self._ready:
                taken = self._ready.pop(0)
                if taken.poll() is not None:
                    end_process(taken)
                    taken = None
            if taken is None:
                taken = self._start()
            self._at_work.add(taken)
            wanted = self._count_at_work() + 1
        if self._ahead:
            self.prepare(wanted)
        return taken

    def give_back(self, child: "subprocess.Popen[bytes]", bounds: object) -> None:
        """Keep a child that has done its work without a fault for more of it.

        Args:
            child: As `take` returned it.
            bounds: What it is confined to.
        """
        ends = None if self._idle is None else Timer(self._idle.total_seconds(), self._expire, [child])
        with self._lock:
            self._at_work.discard(child)
            self._kept.append(_Kept(child, bounds, ends))
            if ends is not None:
                ends.daemon = True
                ends.start()
        self.keep_at_most(self._most)

    def keep_at_most(self, count: int) -> None:
        """End those that were kept longest until there are no more than so many."""
        with self._lock:
            while len(self._kept) > count:
                self._end(self._kept[0])

    def close(self) -> None:
        """End the children that wait; `take` and `prepare` start others."""
        self.keep_at_most(0)
        with self._lock:
            for child in self._ready:
                end_process(child)
            self._ready.clear()

    def _count_at_work(self) -> int:
        self._at_work = {child for child in self._at_work if child.returncode is None}  # who ends one does not say so
        return len(self._at_work)

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._starter.submit(start_process, COMMAND).result()

    def _take_kept(self, bounds: object) -> "subprocess.Popen[bytes] | None":
        for kept in [kept for kept in self._kept if kept.bounds == bounds]:
            if kept.process.poll() is None:
                self._forget(kept)
                return kept.process
            self._end(kept)
        return None

    def _forget(self, kept: _Kept) -> None:
        self._kept.remove(kept)
        if kept.ends is not None:
            kept.ends.cancel()

    def _end(self, kept: _Kept) -> None:
        self._forget(kept)
        end_process(kept.process)

    def _expire(self, child: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            for kept in [kept for kept in self._kept if kept.process is child]:
                self._end(kept)
