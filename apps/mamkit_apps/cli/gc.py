"""`mamkit gc`: remove what nothing refers to."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamkit_apps.cli._installation import DATA_DIR, installed

if TYPE_CHECKING:
    from mamkit.storage import ObjectStore, UnfinishedUpload
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option(
    "--older-than", type=click.IntRange(1, 3650), default=7, show_default=True,
    help="Days; what is younger is left alone: somebody may still be at it.",
)  # fmt: skip
@DATA_DIR
def gc(*, dry_run: bool, older_than: int, data_dir: Path | None) -> None:
    """Remove what nobody needs any more. That is unpromoted and unfinished uploads, unknown objects, old events.

    Prints one line for each object: zone, bytes (`-` where the store does not say), key and why. Events, deliveries of
    webhooks and notifications go once the API would forget them, too. Safe while the services run, and to repeat.
    """
    import asyncio

    asyncio.run(_collect(installed(data_dir), older_than=timedelta(days=older_than), dry_run=dry_run))


async def _collect(settings: "ServiceSettings", *, older_than: timedelta, dry_run: bool) -> None:
    import asyncio

    from mamkit.catalog import Catalog
    from mamkit.clock import utc_now
    from mamkit.previews import find_orphans, remove_orphan
    from mamkit_apps.wiring import forget_old
    from mamkit_apps.zones import open_zones

    zones = open_zones(settings)
    verb = "would remove" if dry_run else "removed"
    count = size = unfinished = 0
    async with Catalog(settings.database) as catalog:
        async for orphan in find_orphans(catalog, zones, now=utc_now(), older_than=older_than):
            done = dry_run or await remove_orphan(zones, orphan)
            kept = "" if done else " (retained; kept)"
            click.echo(f"{orphan.zone} {orphan.size} {orphan.key}: {orphan.reason}{kept}")
            if done:
                count, size = count + 1, size + orphan.size
        if not dry_run:
            rows = await forget_old(catalog, settings.event_lifetime)
            click.echo(f"forgot {rows} events, deliveries and notifications", err=True)
    for store, zone in {zones.staging: "staging", zones.masters: "masters", zones.previews: "previews"}.items():
        for upload in await asyncio.to_thread(_unfinished, store, older_than=older_than, dry_run=dry_run):
            click.echo(f"{zone} - {upload.key}: an upload of {upload.begun_at:%Y-%m-%d %H:%M} was not finished")
            unfinished += 1
    click.echo(f"{verb} {count} objects of {size} bytes and {unfinished} unfinished uploads", err=True)


def _unfinished(store: "ObjectStore", *, older_than: timedelta, dry_run: bool) -> "tuple[UnfinishedUpload, ...]":
    """Return, and remove unless it is dry, what was begun in a store and never became an object."""
    from mamkit.storage import RemovesUnfinished

    if not isinstance(store, RemovesUnfinished):  # a local store sees to it when it is opened
        return ()
    return tuple(store.unfinished(older_than=older_than)) if dry_run else store.remove_unfinished(older_than=older_than)


commands = [gc]
