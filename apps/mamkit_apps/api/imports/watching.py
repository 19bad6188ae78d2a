"""What watched folders and watched buckets share: what is found is imported once, and then put away or left.

An import is the record that something was found: its origin names the thing in just this state, and the database lets
one origin be there once. So any number of processes may watch one place, and each may be killed at any moment.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Protocol
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, CatalogUnavailableError
from mamkit.catalog.import_models import Import, ImportKind
from mamkit.catalog.import_work import settle_origin
from mamkit.catalog.imports import add_import, imports_by_origin, unsettled_imports
from mamkit.storage import StorageUnavailableError
from mamkit_apps.api.imports.fetching import clean_name
from mamkit_apps.api.imports.transfer import in_thread

__all__ = ["DONE", "FAILED", "Found", "Inbox", "Watcher", "origin_of", "put_away_name", "reason_of"]

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=5)  # between two looks at a place
BATCH = 500  # things that are held against the catalog in one query
REMEMBERED = 100_000  # origins, some 10 MiB: of what was left where it is; beyond that the catalog is asked again
DONE = "done"
FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that is whole, and may be imported."""

    name: str
    """Within the place, with `/` between folders."""
    origin: str
    """Names it in the state in which it was found."""
    size: int
    """Bytes."""


class Inbox(Protocol):
    """A place where things are left for us. Methods are synchronous, and called by one thread at a time."""

    kind: ImportKind

    def look(self, known: Collection[str]) -> Sequence[Found]:
        """Return what is there and does not change any more; the next look may go on where this one ended.

        Args:
            known: Origins that need not be returned.
        """

    def put_away(self, row: Import, where: str, reason: str) -> None:
        """Move what an import has taken to `done` or `failed`, if it is still what it was; safe to repeat.

        Args:
            row: The import.
            where: `DONE` or `FAILED`.
            reason: To be left beside it; empty for none.
        """


class Watcher:
    """Imports what lies in a place.

    Args:
        catalog: Where imports are.
        inbox: The place.
        owner: E-mail address of the account whose imports these are.
        workspace_id: Where the assets will belong; None: its personal one.
        move: Whether what was imported is put away.
    """

    def __init__(self, catalog: Catalog, inbox: Inbox, *, owner: str, workspace_id: UUID | None, move: bool) -> None:
        self._catalog = catalog
        self._inbox = inbox
        self._owner = owner
        self._workspace_id = workspace_id
        self._move = move
        self._known: set[str] = set()
        self._trouble = ""

    async def run(self) -> None:
        """Watch, for as long as the application runs."""
        while True:
            try:
                await self.look()
                self._note("")
            except (OSError, CatalogUnavailableError, StorageUnavailableError) as error:
                self._note(f"{type(error).__name__}: {error}")
            except Exception:  # the next look may do better, and the API must go on serving
                log.exception("watching the %s failed", self._inbox.kind)
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def look(self) -> int:
        """Look once, and return how many imports were added."""
        if self._move:
            await self._settle()
        found = await in_thread(self._inbox.look, self._known)
        if not found:
            return 0
        async with self._catalog.read() as session:
            user = await db.user_by_email(session, self._owner)
        if user is None:
            raise OSError(f"there is no account of WATCH_OWNER, {self._owner}")
        return sum([await self._take(user.id, found[at : at + BATCH]) for at in range(0, len(found), BATCH)])

    async def _take(self, user_id: UUID, batch: Sequence[Found]) -> int:
        async with self._catalog.read() as session:
            known = await imports_by_origin(session, [each.origin for each in batch])
        added = 0
        for each in batch:
            if each.origin not in known:
                name = clean_name(each.name) or self._inbox.kind
                async with self._catalog.begin() as session:  # one each: a transaction holds up other writers
                    _, made = await add_import(
                        session, user_id=user_id, workspace_id=self._workspace_id or user_id, kind=self._inbox.kind,
                        source=each.name, title=PurePosixPath(name).stem, filename=name, origin=each.origin,
                        skip_known=True, size=each.size,
                    )  # fmt: skip
                added += made
        if not self._move:  # else it is put away, and may come again
            if len(self._known) > REMEMBERED:
                self._known.clear()
            self._known.update(each.origin for each in batch)
        return added

    async def _settle(self) -> None:
        """Put away what imports that are over have taken."""
        after: UUID | None = None
        while True:
            async with self._catalog.read() as session:
                rows = await unsettled_imports(session, self._inbox.kind, after=after)
            for row in rows:
                where, reason = (DONE, "") if row.state == "done" else (FAILED, reason_of(row))
                await in_thread(self._inbox.put_away, row, where, reason)
                async with self._catalog.begin() as session:
                    await settle_origin(session, row.id)
            if not rows:
                return
            after = rows[-1].id

    def _note(self, trouble: str) -> None:
        """Say once what is wrong, and once that it is not any more."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("the watched %s cannot be looked at: %s", self._inbox.kind, trouble)
            else:
                log.info("the watched %s can be looked at again", self._inbox.kind)


def origin_of(kind: ImportKind, name: str, *state: str | int) -> str:
    """Return what names a thing in a state."""
    return hashlib.sha256(json.dumps([kind, name, *state]).encode("utf-8", "surrogateescape")).hexdigest()


def put_away_name(row: Import) -> str:
    """Return what a thing is called where its own name is taken."""
    path = PurePosixPath(row.source)
    return str(path.with_name(f"{path.stem}.{row.id.hex}{path.suffix}"))


def reason_of(row: Import) -> str:
    """Return why an import has failed, as a text for whoever has left the file."""
    return f"{row.failure_code or row.state}: {row.failure or 'it was cancelled'}\n"
