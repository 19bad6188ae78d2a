"""Killed before any step of an import: it is gone on with, makes one version, and leaves nothing that is not found."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from mamkit.clock import utc_now
from mamkit.previews import find_orphans, remove_orphan
from tests.faults.deaths import Work, deaths
from tests.faults.dying import known
from tests.faults.importing import PART, ask_for, look, open_importer, work_off
from tests.faults.test_gc import template
from tests.servers.media_host import MediaHost, file, media_host

__all__ = ["template"]  # a fixture

EVERY = int(os.environ.get("MAMKIT_IMPORT_FAULTS", "11"))
"""Every how manieth step is tried; 1 tries all of them."""

BODY = b"\x00\x00\x00\x18ftypisom" + os.urandom(PART)
MOST = 150  # steps; an import of two parts has some sixty
LATER = timedelta(minutes=1)  # the lease of whoever was killed is over
MUCH_LATER = timedelta(days=8)


def test_killed_before_any_step_it_is_gone_on_with_and_leaves_nothing(
    template: tuple[Path, UUID], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """MAMKIT_IMPORT_FAULTS=1 tries every step; the short run every eleventh."""
    template_folder, user_id = template
    asked: dict[Path, UUID] = {}
    with media_host() as host:
        url = host.put("/film.mp4", file(BODY))

        def begin(folder: Path) -> Work:
            asked[folder] = ask_for(folder, user_id, url)
            return partial(work_off, folder)

        for folder in deaths(template_folder, tmp_path, begin, most=MOST, least=30, every=EVERY):
            asyncio.run(_gone_on_with(folder, asked[folder], host))
    figure(f"killed before {len(asked) - 1} steps")


async def _gone_on_with(folder: Path, import_id: UUID, host: MediaHost) -> None:
    """Another process goes on once the lease is over: one version, byte for byte, and nothing else for long."""
    host.asked.clear()
    async with open_importer(folder, ahead=LATER) as (importer, catalog, zones, _):
        before = await look(catalog, import_id)
        await importer.work_off()
        row = await look(catalog, import_id)
        assert (row.state, row.sealed, row.transfer) == ("done", None, None), row.failure
        [version] = await known(catalog, row.asset_id)
        assert row.version_id == version.id
        with zones.masters.get(version.master_key) as body:
            assert b"".join(body) == BODY
        if before.received:
            assert all("range" in headers for _, headers in host.asked), "what is here is not fetched again"
        # A crash between two steps may leave bytes that nothing refers to, which the janitor finds by their age.
        for orphan in [each async for each in find_orphans(catalog, zones, now=utc_now() + MUCH_LATER)]:
            assert orphan.zone == "staging"
            assert await remove_orphan(zones, orphan)
        left = [info.key for info in zones.staging.list() if not info.key.startswith("masters/")]
        assert left == []
