"""Threads that work on one thing, and the channels between them."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Channel", "Crew"]

T = TypeVar("T")


class _BrokenOffError(Exception):
    """Ends a thread of a crew of which another member has failed."""


class Channel(Generic[T]):
    """Hands things from one or more threads to another, few at a time: who is faster waits. Made by `Crew.channel`.

    Attributes:
        size: How many things it holds; whoever puts them there may change that.
    """

    def __init__(self, crew: "Crew", size: int, writers: int) -> None:
        self._crew = crew
        self.size = size
        self._writers = writers
        self._items: deque[T] = deque()

    def put(self, item: T) -> None:
        """Add a thing, as soon as there is room."""
        with self._crew.changed:
            self._crew.wait_until(lambda: len(self._items) < self.size)
            self._items.append(item)
            self._crew.changed.notify_all()

    def close(self) -> None:
        """Say that one writer is done."""
        with self._crew.changed:
            self._writers -= 1
            self._crew.changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield things until all writers are done."""
        while True:
            with self._crew.changed:
                self._crew.wait_until(lambda: bool(self._items) or self._writers <= 0)
                if not self._items:
                    return
                item = self._items.popleft()
                self._crew.changed.notify_all()
            yield item


class Crew:
    """Runs threads inside a `with` block, and leaves none behind.

    The first exception, in a thread or in the block, makes all others stop where they next touch a channel, and is
    raised from the block once they have ended.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        """Told whenever a channel or the crew has changed; one for all, since few threads do long work between."""
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._fail(error)
        for thread in self._threads:
            thread.join()
        if self._error is not None and self._error is not error:
            raise self._error

    def channel(self, size: int, *, writers: int = 1) -> Channel[T]:
        """Return a new channel that holds up to `size` things, and ends when `writers` have closed it."""
        return Channel(self, size, writers)

    def start(self, work: Callable[[], object]) -> None:
        """Run a function in a thread of its own."""
        thread = threading.Thread(target=self._run, args=(work,))
        self._threads.append(thread)
        thread.start()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait, with `changed` held, until something is so.

        Raises:
            _BrokenOffError: A member of the crew has failed.
        """
        self.changed.wait_for(lambda: self._error is not None or ready())
        if self._error is not None:
            raise _BrokenOffError

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self.changed:
            if self._error is None:
                self._error = error
            self.changed.notify_all()
