"""How far something is that takes long: one line on a terminal, and elsewhere a line now and then."""

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from mamkit_apps.terminal import bytes_text, duration_text, one_line

__all__ = ["Line", "Pace"]

REDRAWN = 0.25  # seconds between two looks at what there is to show
QUIET = 10.0  # seconds without a line where there is no terminal: what is done by then needs none
SELDOM = 60.0  # seconds between two further ones: a night in a log is some hundred lines
WINDOW = 20.0  # seconds over which a speed is measured, for a steady number
STILL = 5.0  # seconds without a byte after which that is said instead
TITLE = 12  # characters of a file's name that are shown, however narrow the terminal is


class Pace:
    """How fast a number grows, over the last seconds.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def take(self, done: int) -> None:
        """Take note of the number; where it has become less, for something was lost, begin anew."""
        now = self._clock()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or now - self._seen[-1][0] >= REDRAWN:
            self._seen.append((now, done))

    def rate(self, done: int) -> float:
        """Return what it grows by in a second; 0 while nothing is known."""
        now = self._clock()
        while len(self._seen) > 1 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()
        if not self._seen:
            return 0.0
        since, before = self._seen[0]
        passed = now - since
        return (done - before) / passed if passed >= 1 else 0.0


class Line:
    """Shows on standard error how far something is, while its block runs, and then takes that away.

    On a terminal it is one line, rewritten; a clock in it goes on while nothing is told, so that one sees that the
    command lives. Elsewhere it is a line after ten seconds and then one a minute.

    Args:
        title: What it is about; its start and end, where there is no room for more.
        stream: Where to; None is standard error.
        clock: Seconds that never go back.
    """

    def __init__(
        self, title: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title = one_line(title)
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._rewrites = self._stream.isatty()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="line", daemon=True)
        self._what, self._since = "", clock()
        self._done: int | float | None = None
        self._size: int | None = None
        self._moved = clock()
        self._pace = Pace(clock)
        self._width = 0  # characters that stand on the terminal
        self._next = clock() + QUIET

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Show nothing any more, so that others can write; safe to repeat."""
        self._over.set()
        self._thread.join()
        if self._width:
            with suppress(OSError, ValueError):
                self._write(f"\r{' ' * self._width}\r")
            self._width = 0

    def tell(self, what: str, done: float | None = None, size: int | None = None) -> None:
        """Show from now on that it is at something, and how far.

        Args:
            what: At what.
            done: Bytes of `size`, or without it, from 0 to 1.
            size: Bytes of the whole.
        """
        with self._lock:
            if what != self._what:
                self._what, self._since, self._pace = what, self._clock(), Pace(self._clock)
            if done != self._done:
                self._moved = self._clock()
            self._done, self._size = done, size
            if size is not None and done is not None:
                self._pace.take(int(done))

    def draw(self) -> None:
        """Show what was told last; where there is no terminal, if it is time to."""
        now = self._clock()
        with self._lock:
            text = self._text(now)
        if self._rewrites:
            room = shutil.get_terminal_size().columns - 1
            text = f"{_shortened(self._title, max(TITLE, room - len(text)))}{text}"[:room]
            self._write(f"\r{text.ljust(min(self._width, room))}")
            self._width = len(text)
        elif now >= self._next:
            self._next = now + SELDOM
            self._write(f"{self._title}{text}\n")

    def _text(self, now: float) -> str:
        parts = []
        if self._size is not None and self._done is not None:
            done, rate = int(self._done), self._pace.rate(int(self._done))
            parts.append(f"{bytes_text(done)} of {bytes_text(self._size)}")
            parts.append(f"{done * 100 // max(1, self._size)} %")
            if now - self._moved >= STILL:
                parts.append(f"nothing for {duration_text(now - self._moved)}")
            elif rate >= 1:
                parts += [f"{bytes_text(round(rate))}/s", f"{duration_text((self._size - done) / rate)} left"]
        else:
            if self._done is not None:
                parts.append(f"{int(self._done * 100)} %")
            parts.append(duration_text(now - self._since))
        return f": {self._what} {', '.join(parts)}"

    def _keep_drawing(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more: the work goes on
            while not self._over.wait(REDRAWN):
                if self._what:
                    self.draw()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _shortened(text: str, size: int) -> str:
    """Return a text, or its start and end: of a file's name, what is in the end tells more."""
    return text if len(text) <= size else f"{text[: size // 2 - 1]}…{text[size // 2 - size :]}"
