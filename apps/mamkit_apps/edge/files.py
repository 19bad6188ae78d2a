"""Files that are kept open between requests, so that the next one need not look for them."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mamkit.storage import ObjectBody

__all__ = ["OpenFiles"]

MOST = 256  # a quarter of the descriptors that a process usually has


@dataclass(slots=True, eq=False)
class _Open:
    body: ObjectBody
    fresh_until: float
    users: int = 0
    kept: bool = True


class OpenFiles:
    """Opened objects by key; the least recently used is closed first, and none while it is sent from.

    Args:
        seconds: How long an opened file is taken for what the store has.
        clock: Monotonic time, seconds.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._files: OrderedDict[str, _Open] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    @asynccontextmanager
    async def open(self, key: str, opener: Callable[[], Awaitable[ObjectBody]]) -> AsyncIterator[ObjectBody]:
        """Give an opened object, to be read by position only: others use it at the same time.

        Args:
            key: The object.
            opener: Opens it, if it is not open.
        """
        found = self._files.get(key)
        if found is None or found.fresh_until < self._clock():
            found = _Open(await opener(), self._clock() + self._seconds)
            self._drop(key)
            self._files[key] = found
            if len(self._files) > MOST:
                self._drop(next(iter(self._files)))
        else:
            self._files.move_to_end(key)
        found.users += 1
        try:
            yield found.body
        finally:
            found.users -= 1
            if not found.users and not found.kept:
                found.body.close()

    def close(self) -> None:
        """Close all that nobody uses; the others close when they are let go."""
        for key in list(self._files):
            self._drop(key)

    def _drop(self, key: str) -> None:
        found = self._files.pop(key, None)
        if found is not None:
            found.kept = False
            if not found.users:
                found.body.close()
