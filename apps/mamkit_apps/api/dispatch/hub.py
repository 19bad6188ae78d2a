"""One reader of events a process, for all who listen.

It numbers what was committed (see `mamkit.catalog.events`), reads what is new, keeps the newest thousand and wakes
everybody. A listener is nothing but a position: whoever is slow, or comes back, reads on from there, out of memory if
it is still there, else out of the database, a page at a time. So a slow reader costs no memory, and loses nothing.
"""

import asyncio
import json
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog import Catalog, CatalogUnavailableError
from mamkit.catalog.event_models import Event
from mamkit.catalog.events import events_after, events_state, number_events
from mamkit_apps.api.dispatch.watchers import SCOPE_CHANGES, Watcher, Watchers

__all__ = ["Hub", "Told", "message_of"]

log = logging.getLogger(__name__)

POLL = 0.5  # seconds until what another process has committed is noticed; this one's own is at once
CHECK = 5.0  # seconds between two looks whether those who listen still may
KEPT = 1000  # events in memory, some 500 bytes each
PAGE = 200  # events read at once
DELAY = 2.0  # seconds after an error

Planner = Callable[[AsyncSession, Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as it is sent."""

    position: int
    kind: str
    workspace_id: UUID
    asset_id: UUID | None
    version_id: str | None
    text: str
    """As JSON, in one line."""

    @classmethod
    def of(cls, event: Event) -> "Told":
        """Return the event of a row that has a position."""
        message = message_of(event)
        return cls(
            position=message["id"],
            kind=event.kind,
            workspace_id=event.workspace_id,
            asset_id=event.asset_id,
            version_id=event.data.get("version_id"),
            text=json.dumps(message, separators=(",", ":")),
        )


def message_of(event: Event) -> dict[str, Any]:
    """Return what is told of an event that has a position, as streams and webhooks send it."""
    return {
        "id": event.position,
        "type": event.kind,
        "timestamp": event.created_at.isoformat(),
        "workspace_id": str(event.workspace_id),
        "asset_id": None if event.asset_id is None else str(event.asset_id),
        "actor_id": None if event.actor_id is None else str(event.actor_id),
        "data": event.data,
    }


class Hub:
    """Reads events for all who listen.

    Args:
        catalog: Where they are.
        watchers: Who listens.
        plan: Done once for each batch of events, in the transaction that numbers them.
    """

    def __init__(self, catalog: Catalog, watchers: Watchers, plan: Planner) -> None:
        self._catalog = catalog
        self._watchers = watchers
        self._plan = plan
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._since = -1  # all events after this position are kept; below 0: nothing was read yet
        self._kick = asyncio.Event()
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self.position = 0
        self.purged = 0
        catalog.when_told(self._kick.set)

    async def start(self) -> None:
        """Find out how far the events are.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        async with self._catalog.read() as session:
            self.position, self.purged, _ = await events_state(session)
        self._since = self.position

    async def run(self) -> None:
        """Read, for as long as the application runs."""
        loop = asyncio.get_running_loop()
        checked = loop.time()
        waiting = False
        while True:
            try:
                await self.round()
                waiting = False
                if loop.time() - checked >= CHECK:
                    checked = loop.time()
                    if await self._watchers.check():
                        self._wake()
            except CatalogUnavailableError:
                if not waiting:
                    log.warning("events wait for the database")
                waiting = True
                await asyncio.sleep(DELAY)
            except Exception:  # the next round may do better, and the API must go on serving
                log.exception("reading events failed")
                await asyncio.sleep(DELAY)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._kick.wait()

    async def round(self) -> None:
        """Number what waits, read what is new, and wake whoever listens."""
        async with self._turn:
            await self._round()

    async def _round(self) -> None:
        self._kick.clear()
        async with self._catalog.read() as session:
            state = await events_state(session)
        self.purged = state.purged
        if state.pending:
            async with self._catalog.begin() as session:
                if events := await number_events(session):
                    await self._plan_apart(session, events)
                    self._kick.set()  # there may be more
        while await self._read():
            pass

    async def _plan_apart(self, session: AsyncSession, events: Sequence[Event]) -> None:
        """Plan in a savepoint: an event that cannot be planned would else keep all others from their positions."""
        try:
            async with session.begin_nested():
                await self._plan(session, events)
        except DBAPIError:
            raise  # the next round does all of it
        except Exception:
            log.exception("planning what follows from %d events failed", len(events))

    async def _read(self) -> bool:
        async with self._catalog.read() as session:
            events = await events_after(session, self.position, limit=PAGE)
        if not events:
            return False
        if any(event.kind in SCOPE_CHANGES for event in events):
            # Positions stand in the order of commits: whoever was shut out by one of these sees nothing after it.
            await self._watchers.check()
        for event in events:
            if len(self._kept) == KEPT:
                self._since = self._kept[0].position
            self._kept.append(Told.of(event))
        self.position = self._kept[-1].position
        self._wake()
        return len(events) == PAGE  # else these were all

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, seen: int, seconds: float) -> bool:
        """Wait until there are events after a position, or something else is new; return False if time ran out."""
        if self.position > seen:
            return True
        news = self._news
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()
                return True
        return False

    async def has_missed(self, seen: int) -> bool:
        """Return whether there were events after a position that are forgotten, or the position is none.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        if seen > self.position:
            await self.round()  # another process may be ahead by half a second
        return not self.purged <= seen <= self.position

    async def after(self, seen: int, watcher: Watcher) -> tuple[list[Told], int]:
        """Return the next events after a position that somebody sees, and up to where these are all.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        until = self.position
        if seen >= self._since:
            found = list(self._kept)[bisect_right(self._kept, seen, key=attrgetter("position")) :][:PAGE]
            seen_by = [told for told in found if watcher.sees(told.workspace_id, told.asset_id)]
            return seen_by, found[-1].position if found else until
        async with self._catalog.read(watcher.scope) as session:
            page = [Told.of(event) for event in await events_after(session, seen, limit=PAGE)]
        # What this process has not read yet may be of after they were shut out; see `_read`.
        known = [told for told in page if told.position <= until]
        return known, known[-1].position if known and len(page) == len(known) == PAGE else until

    def is_about(self, seen: int, version_id: UUID) -> bool:
        """Return whether an event after a position may be about a version's preview."""
        if seen < self._since:
            return True
        name = str(version_id)
        return any(told.version_id == name for told in self._kept if told.position > seen)
