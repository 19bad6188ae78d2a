"""Removing assets for good: their objects first, their rows last, so that a crash in between leaves nothing behind.

An asset is condemned in the catalog before its first object goes, and from then on cannot be taken back. Whoever runs
`empty` afterwards finds it there and goes on; every step may be repeated.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Asset, Catalog, Version
from mamkit.catalog.leftovers import forget_leftover, leave_behind, leftovers_due, prefixes_of
from mamkit.clock import Clock, utc_now
from mamkit.previews._generations import LATE
from mamkit.storage import (
    ObjectNotFoundError,
    ObjectRetainedError,
    ObjectStore,
    RetainsObjects,
    Zones,
    metadata_key,
)

__all__ = ["Trash"]


class Trash:
    """Empties the trash of a catalog.

    Args:
        catalog: Says what lies in the trash.
        zones: From where objects are removed.
        kept_for: For how long assets lie in the trash before they are condemned; None: until somebody says so.
        clock: Tells whether a retention is over.
    """

    def __init__(
        self, catalog: Catalog, zones: Zones, *, kept_for: timedelta | None = None, clock: Clock = utc_now
    ) -> None:
        self._catalog = catalog
        self._zones = zones
        self._kept_for = kept_for
        self._clock = clock

    async def condemn(self, asset_id: UUID, *, actor_id: UUID | None = None) -> None:
        """Say that an asset of the trash is to be removed; `empty` does it. Safe to repeat.

        Args:
            asset_id: Which asset.
            actor_id: Who says so; None for the system itself.

        Raises:
            AssetNotFoundError: There is no such asset in the trash.
            ObjectRetainedError: A master of it is retained; nothing was removed.
        """
        async with self._catalog.read() as session:
            versions = await db.versions_of(session, asset_id)
        await asyncio.to_thread(self._refuse_retained, versions)
        async with self._catalog.begin() as session:
            await db.condemn_asset(session, asset_id)
            subject = f"asset:{asset_id}"
            await db.record(session, actor_id=actor_id, action="asset.purged", subject=subject)

    async def empty(self) -> int:
        """Remove what is condemned, and return how many assets are gone; objects that were left behind for a time, too.

        Assets that have lain in the trash for `kept_for` are condemned first, unless a master of theirs is retained.

        Raises:
            StorageError: A store did not remove an object; the asset stays condemned.
        """
        if self._kept_for is not None:
            async with self._catalog.read() as session:
                old = await db.old_trash(session, kept_for=self._kept_for)
            for asset in old:
                with suppress(ObjectRetainedError):
                    await self.condemn(asset.id)
        async with self._catalog.read() as session:
            condemned = await db.condemned_assets(session)
        for asset in condemned:
            await self._remove(asset)
        await self._sweep()
        return len(condemned)

    async def _sweep(self) -> None:
        """Remove the objects that nobody can have a use for by now."""
        async with self._catalog.read() as session:
            prefixes = await leftovers_due(session)
        for prefix in prefixes:
            await asyncio.to_thread(_remove_below, self._zones.previews, prefix)
            async with self._catalog.begin() as session:
                await forget_leftover(session, prefix)

    async def _remove(self, asset: Asset) -> None:
        async with self._catalog.read() as session:
            versions = await db.versions_of(session, asset.id)
            prefixes = await prefixes_of(session, asset.id)
        await asyncio.to_thread(self._remove_objects, asset, versions, prefixes)
        async with self._catalog.begin() as session:
            # A worker that was at it may not have heard yet, and write for a while.
            for prefix in prefixes:
                await leave_behind(session, prefix, asset_id=asset.id, keep=LATE)
            await db.forget_asset(session, asset.id)

    def _remove_objects(self, asset: Asset, versions: Iterable[Version], prefixes: Iterable[str]) -> None:
        for prefix in prefixes:
            _remove_below(self._zones.previews, prefix)
        for version in versions:
            self._zones.masters.delete(version.master_key)
            self._zones.masters.delete(metadata_key(version.master_key))
        self._zones.staging.delete(asset.staging_key)

    def _refuse_retained(self, versions: Iterable[Version]) -> None:
        masters = self._zones.masters
        if not isinstance(masters, RetainsObjects):
            return
        for version in versions:
            with suppress(ObjectNotFoundError):
                until = masters.retained_until(version.master_key)
                if until is not None and until > self._clock():
                    raise ObjectRetainedError(version.master_key, until)


def _remove_below(store: ObjectStore, prefix: str) -> None:
    for info in store.list(prefix):
        store.delete(info.key)
