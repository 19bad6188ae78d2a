"""Films that a card has begun in a codec in which no processor can go on, when there is no such card any more."""

import asyncio
from contextlib import suppress
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, Preview
from mamkit.jobs import JobNotFoundError, Queue
from mamkit.previews._generations import begin_anew
from mamkit.previews.messages import bound_codecs

__all__ = ["begin_without_card", "is_bound", "waits_in_vain"]


def is_bound(preview: Preview) -> bool:
    """Return whether a card has to go on with what it began: in a codec in which no processor can."""
    return bool(bound_codecs((preview.plan or {}).get("devices", ())))


def waits_in_vain(preview: Preview) -> bool:
    """Return whether no card is to go on with a preview that is bound to one: it is about to begin anew."""
    return preview.by_processor and is_bound(preview) and preview.status in {"building", "playable"}


async def begin_without_card(catalog: Catalog, queue: Queue, version_id: UUID, generation: int) -> bool:
    """Let a preview begin anew, by processors alone; return whether that was done, so that its plan is to be made.

    Safe to repeat: what a crash leaves is told by `waits_in_vain`, until it has begun anew.

    Args:
        catalog: Has the preview.
        queue: Has its jobs.
        version_id: Of which version.
        generation: Which is to be given up; where that has happened before, nothing is done.

    Raises:
        QueueUnavailableError: The queue does not answer.
    """
    async with catalog.begin() as session:
        preview = await db.preview_of(session, version_id, for_update=True)
        if preview.generation != generation or preview.status not in {"building", "playable"}:
            return False
        preview.by_processor = True
        open_parts = await db.open_parts(session, version_id)
    # Outside of a transaction, as everything that is asked of the queue. First its jobs, or they would wait for ever
    # for somebody to find out that nobody wants them.
    for job_id in filter(None, open_parts.values()):
        with suppress(JobNotFoundError):
            await asyncio.to_thread(queue.cancel, job_id)
    async with catalog.begin() as session:
        preview = await db.preview_of(session, version_id, for_update=True)
        if preview.generation != generation or not waits_in_vain(preview):
            return False
        await begin_anew(session, preview)
    return True
