"""What tells one generation of a preview from the next; see `Publisher.rebuild`."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import Preview, Version
from mamkit.catalog.leftovers import leave_behind
from mamkit.previews.messages import PartJob
from mamkit.storage import preview_prefix

__all__ = ["LATE", "begin_anew", "is_of", "name_of", "prefix_of"]

LATE = timedelta(hours=1)  # for which a worker may go on writing what nobody wants; a part takes no longer


def prefix_of(preview: Preview, version: Version) -> str:
    """Return where a preview is made."""
    return preview.prefix or version.preview_prefix


def name_of(preview: Preview) -> str:
    """Return what the dedupe keys of a preview's jobs hold: those of two generations are not the same."""
    return str(preview.version_id) if preview.generation == 1 else f"{preview.version_id}.{preview.generation}"


def is_of(job: PartJob, preview: Preview) -> bool:
    """Return whether a job is of a preview's newest generation, and not of one that was given up."""
    return preview.prefix in {None, job.prefix}


async def begin_anew(session: AsyncSession, preview: Preview) -> None:
    """Let the next generation of a preview begin, and what was never played of this one be removed."""
    version = await db.version_by_id(session, preview.version_id)
    if preview.prefix not in {None, version.preview_prefix}:
        await leave_behind(session, preview.prefix or "", asset_id=version.asset_id, keep=LATE)
    generation = preview.generation + 1
    prefix = preview_prefix(version.asset_id, version.id, generation=generation)
    await db.begin_anew(session, preview, prefix=prefix)
