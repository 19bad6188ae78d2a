"""The press: what is done of a preview in the making becomes playlists, as often as that is of use."""

import asyncio
import time
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import Preview
from mamkit.catalog.leftovers import leave_behind
from mamkit.previews._generations import prefix_of
from mamkit.previews._growth import Growth
from mamkit.previews._publication import is_playable, tracks_of, write_playlists
from mamkit.storage import ObjectWriter

__all__ = ["Press"]


class Press:
    """Writes the playlists of previews.

    Args:
        previews: Where to.
        keep: For how long the objects of an earlier generation stay, whose URLs are still played.
    """

    def __init__(self, previews: ObjectWriter, keep: timedelta) -> None:
        self._previews = previews
        self._keep = keep

    async def publish(self, session: AsyncSession, preview: Preview, growth: Growth) -> None:
        """Write the playlists of all that is done; while a film grows, no more often than is of use.

        Args:
            session: Of `Catalog.begin`.
            preview: As it was read in this transaction, for update; its status follows.
            growth: What is known of it, which learns of parts that other processes have taken.

        Raises:
            PartsDisagreeError: The parts do not join.
        """
        if await db.count_finished(session, preview.version_id) != growth.known:  # other processes take reports, too
            done = await db.finished_parts(session, preview.version_id)
            growth.add(await db.parts_by_id(session, growth.missing(done)))
        if preview.status == "playable" and not growth.finished and not growth.is_due():
            growth.behind = True
            return
        if preview.serving and not growth.finished:
            return  # players have the generation before
        began = time.monotonic()
        tracks = tracks_of(growth.results)
        if not is_playable(growth.plan, tracks):
            return
        version = await db.version_by_id(session, preview.version_id)
        prefix = prefix_of(preview, version)
        await asyncio.to_thread(write_playlists, self._previews, prefix, growth.plan, tracks, finished=growth.finished)
        if version.preview_prefix != prefix:
            # New URLs lead to this generation from the commit on; whoever has an old one plays the old one to its end.
            await leave_behind(session, version.preview_prefix, asset_id=version.asset_id, keep=self._keep)
            version.preview_prefix, preview.serving = prefix, False
        await db.set_status(session, preview, "ready" if growth.finished else "playable")
        growth.published(began)
