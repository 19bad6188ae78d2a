"""Finding what nobody will ask for again: what crashes, broken-off uploads and deletions leave in the stores.

Everything here is found by its key and its age, and held against the catalog. Nothing is taken for an orphan that is
younger than the age given, since objects are written before the rows that name them.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from mamkit.catalog import Catalog, Preview, Version
from mamkit.catalog.models import Leftover
from mamkit.storage import ObjectInfo, ObjectRetainedError, ObjectStore, Zones

__all__ = ["KEPT", "Orphan", "find_orphans", "remove_orphan"]

KEPT = timedelta(days=7)  # how long an upload waits to be promoted, and anything else for its row
BATCH = 500  # objects held against the catalog in one query; memory does not grow with their number

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MASTER = re.compile(rf"(masters/{_ID}/v[0-9]+/).+")
_PREVIEW = re.compile(rf"(previews/{_ID}/({_ID})(?:\.[0-9]+)?/).+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """An object that nothing refers to."""

    zone: Literal["staging", "masters", "previews"]
    key: str
    size: int
    """Bytes."""
    reason: str
    """In a few words."""


async def find_orphans(
    catalog: Catalog, zones: Zones, *, now: datetime, older_than: timedelta = KEPT
) -> AsyncIterator[Orphan]:
    """Yield the objects that nothing refers to; nothing is changed.

    Args:
        catalog: Says what is referred to.
        zones: Are looked through, one object after the other.
        now: The time; aware.
        older_than: What is younger is left alone, whatever it is. Less than an upload takes would be a mistake.

    Raises:
        StorageUnavailableError: A store does not answer.
        CatalogUnavailableError: The database does not answer.
    """
    before = now - older_than
    async for batch in _batches(zones.staging, "uploads/", before):
        for info in batch:
            yield Orphan(zone="staging", key=info.key, size=info.size, reason="was not promoted in time")
    async for batch in _batches(zones.masters, "masters/", before):
        folders = {match[1] for info in batch if (match := _MASTER.fullmatch(info.key))}
        known = await _known_masters(catalog, folders)
        for info in batch:
            match = _MASTER.fullmatch(info.key)
            if match is not None and match[1] not in known:
                yield Orphan(zone="masters", key=info.key, size=info.size, reason="no version has this master")
    async for batch in _batches(zones.previews, "previews/", before):
        versions = {UUID(match[2]) for info in batch if (match := _PREVIEW.fullmatch(info.key))}
        present = await _known_prefixes(catalog, versions)
        for info in batch:
            match = _PREVIEW.fullmatch(info.key)
            if match is not None and match[1] not in present:
                yield Orphan(zone="previews", key=info.key, size=info.size, reason="no version has this preview")


async def remove_orphan(zones: Zones, orphan: Orphan) -> bool:
    """Remove an object; return False if the store keeps it, since its retention has not ended.

    Raises:
        StorageUnavailableError: The store does not answer.
    """
    store: ObjectStore = getattr(zones, orphan.zone)
    try:
        await asyncio.to_thread(store.delete, orphan.key)
    except ObjectRetainedError:
        return False
    return True


async def _batches(store: ObjectStore, prefix: str, before: datetime) -> AsyncIterator[list[ObjectInfo]]:
    """Yield the objects that were last written before a time."""
    found: Iterator[ObjectInfo] = iter(store.list(prefix))
    while batch := await asyncio.to_thread(lambda: list(islice(found, BATCH))):
        yield [info for info in batch if info.modified_at < before]


async def _known_masters(catalog: Catalog, folders: set[str]) -> set[str]:
    """Return the folders of masters that versions have."""
    assets = {UUID(folder.split("/")[1]) for folder in folders}
    async with catalog.read() as session:
        keys = await session.scalars(select(Version.master_key).where(Version.asset_id.in_(assets)))
        return {key.rpartition("/")[0] + "/" for key in keys}


async def _known_prefixes(catalog: Catalog, ids: set[UUID]) -> set[str]:
    """Return where the previews of versions lie, are made, or stay for a time."""
    async with catalog.read() as session:
        played = await session.scalars(select(Version.preview_prefix).where(Version.id.in_(ids)))
        made = await session.scalars(select(Preview.prefix).where(Preview.version_id.in_(ids)))
        kept = await session.scalars(select(Leftover.prefix))
        return {prefix for prefix in (*played, *made, *kept) if prefix is not None}
