"""Hot objects in memory, within a bound of bytes that also counts what slow clients still hold."""

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mamkit.storage import ObjectInfo

__all__ = ["Entry", "ObjectCache", "compress"]

LARGEST_SHARE = 16  # an object takes at most this part of the bound, so that several can be read at once
LARGEST = 16 << 20  # bytes; a segment of a 2160p rendition has about 12 MiB
OVERHEAD = 2048  # bytes of an entry apart from its data
IN_USE = 10.0  # seconds since the last request: longer than one segment plays
PLAYLIST_SECONDS = 1  # a growing playlist is asked for about once a segment; half of the shortest one


@dataclass(slots=True, eq=False)
class Entry:
    """An object in memory."""

    info: ObjectInfo
    data: bytes = field(repr=False)
    compressed: bytes | None = field(default=None, repr=False)
    """The same in gzip, where that is worth it."""
    fresh_until: float = 0.0
    """Monotonic time."""
    used_at: float = 0.0
    """Monotonic time of the last request for it."""
    readers: int = 0
    """Answers under way that hold the data."""
    kept: bool = False
    """Whether the cache has it, apart from its readers."""
    head: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Headers that are the same in every answer."""
    growing: bool = False
    """Whether it is a playlist that may still change."""

    @property
    def cost(self) -> int:
        """Bytes that it takes."""
        return len(self.data) + len(self.compressed or b"") + OVERHEAD


@dataclass(slots=True, eq=False)
class _Load:
    """A fetch under way."""

    task: asyncio.Task[Entry]
    waiting: int = 0
    """Callers that get what it fetches."""


class ObjectCache:
    """The least recently used object goes first. For one event loop.

    Args:
        bound: Bytes for all objects, those included that are no longer kept and that clients still read.
        seconds: How long an object is taken for what the store has.
        clock: Monotonic time, seconds.
    """

    def __init__(self, bound: int, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._bound = bound
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._loading: dict[str, _Load] = {}
        self._pinned = 0
        self.used = 0
        """Bytes held."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def largest(self) -> int:
        """Size in bytes of the largest object that is cached."""
        return min(self._bound // LARGEST_SHARE, LARGEST)

    def find(self, key: str) -> Entry | None:
        """Return a fresh entry, or None."""
        entry = self._entries.get(key)
        now = self._clock()
        if entry is None or entry.fresh_until < now:
            return None
        entry.used_at = now
        self._entries.move_to_end(key)
        return entry

    def stale(self, key: str) -> Entry | None:
        """Return an entry even if it has to be held against the store."""
        return self._entries.get(key)

    def admits(self) -> bool:
        """Return whether there is room to read one more object of any size that is cached, whatever else is read."""
        return self._pinned + (len(self._loading) + 1) * self.largest <= self._bound

    def is_crowded(self) -> bool:
        """Return whether taking in one more object would drive out one that is in use.

        Where the operating system can send the object's file just as well, that is not worth it: whoever plays through
        a long film does not push out what many others look at.
        """
        if self.used + self.largest <= self._bound:
            return self.largest == 0
        oldest = next(iter(self._entries.values()), None)
        return oldest is None or oldest.readers > 0 or self._clock() - oldest.used_at < IN_USE

    async def hold(self, key: str, fetch: Callable[[str], Awaitable[Entry]]) -> Entry:
        """Return what `fetch` gets, asking once however many want it at this moment; the caller lets it go.

        A caller that is cancelled does not take the others' load along.
        """
        load = self._loading.get(key)
        if load is None:
            load = self._loading[key] = _Load(asyncio.ensure_future(self._fetch(key, fetch)))
            load.task.add_done_callback(_look_at)
        load.waiting += 1
        try:
            return await asyncio.shield(load.task)
        except asyncio.CancelledError:
            load.waiting -= 1
            if load.task.done() and not load.task.cancelled() and load.task.exception() is None:
                self.let_go(load.task.result())  # it was counted for this caller, who never saw it
            raise

    async def _fetch(self, key: str, fetch: Callable[[str], Awaitable[Entry]]) -> Entry:
        try:
            entry = await fetch(key)
        except BaseException:
            self.drop(key)
            raise
        else:
            self._keep(key, entry)
            # Before whoever waits goes on: what is neither loading nor held makes room for others in between.
            if waiting := self._loading[key].waiting:
                self.acquire(entry, waiting)
            return entry
        finally:
            del self._loading[key]

    def _keep(self, key: str, entry: Entry) -> None:
        entry.used_at = self._clock()
        entry.fresh_until = entry.used_at + (PLAYLIST_SECONDS if entry.growing else self._seconds)
        if self._entries.get(key) is entry:
            return
        self.drop(key)
        if entry.cost <= self._bound and self.reserve(entry.cost):
            entry.kept = True
            self._entries[key] = entry

    def drop(self, key: str) -> None:
        """Forget an object; its bytes count until its last reader has let it go."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.kept = False
            if not entry.readers:
                self.used -= entry.cost

    def reserve(self, size: int) -> bool:
        """Count bytes as held, dropping what nobody reads, least recently used first; False if there is no room."""
        if self._pinned + size > self._bound:
            return False
        for _ in range(len(self._entries)):
            if self.used + size <= self._bound:
                break
            key, entry = next(iter(self._entries.items()))
            if entry.readers:
                self._entries.move_to_end(key)
            else:
                self.drop(key)
        if self.used + size > self._bound:
            return False
        self.used += size
        return True

    def release(self, size: int) -> None:
        """Count bytes that were reserved as free again."""
        self.used -= size

    def acquire(self, entry: Entry, readers: int = 1) -> None:
        """Note that so many answers more hold an entry."""
        if not entry.readers:
            self._pinned += entry.cost
            if not entry.kept:  # it found no room, or was dropped since, and is held all the same
                self.used += entry.cost
        entry.readers += readers

    def let_go(self, entry: Entry) -> None:
        """Note that an answer holds an entry no longer."""
        entry.readers -= 1
        if not entry.readers:
            self._pinned -= entry.cost
            if not entry.kept:
                self.used -= entry.cost


def _look_at(task: asyncio.Task[Entry]) -> None:
    """Take notice of a load that failed when everybody who wanted it had gone."""
    if not task.cancelled():
        task.exception()


def compress(data: bytes) -> bytes | None:
    """Return data in gzip, the same every time, or None if that is not shorter."""
    packed = gzip.compress(data, compresslevel=6, mtime=0)
    return packed if len(packed) < len(data) else None
