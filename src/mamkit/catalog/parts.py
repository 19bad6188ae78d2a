"""The parts of previews: which worker's job each is, how far it is, and what came of it.

What changes a part locks the row of its preview first, as everything that changes a preview.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.errors import InvalidProgressError, PartNotFoundError
from mamkit.catalog.models import Preview, PreviewPart
from mamkit.catalog.previews import move_on, preview_of, tell_of, tell_progress

__all__ = [
    "assign_jobs",
    "count_finished",
    "finish_part",
    "finished_parts",
    "jobs_of",
    "open_parts",
    "part_of",
    "parts_by_id",
    "parts_of",
    "progress_of",
    "record_progress",
    "start_building",
]


async def parts_of(session: AsyncSession, version_id: UUID) -> list[PreviewPart]:
    """Return the parts of a preview by index; none before it has a plan."""
    query = select(PreviewPart).where(PreviewPart.version_id == version_id).order_by(PreviewPart.index)
    return list(await session.scalars(query))


async def start_building(
    session: AsyncSession, preview: Preview, *, plan: Mapping[str, Any], parts: Iterable[tuple[int, str]]
) -> None:
    """Give a preview its plan and its parts, all of them waiting; the parts of an earlier plan are forgotten.

    Safe to repeat: where the same plan is there already, nothing changes.

    Args:
        session: Of `Catalog.begin`.
        preview: Of which preview.
        plan: JSON values only.
        parts: Index and kind of each.

    Raises:
        PreviewStateError: The preview is being built by another plan.
    """
    preview = await preview_of(session, preview.version_id, for_update=True)
    if preview.status in {"building", "playable", "ready"} and preview.plan == dict(plan):
        return
    await move_on(session, preview, "building")
    preview.plan = dict(plan)
    await session.execute(delete(PreviewPart).where(PreviewPart.version_id == preview.version_id))
    rows = [
        {"version_id": preview.version_id, "index": index, "kind": kind, "updated_at": preview.updated_at}
        for index, kind in parts
    ]
    if rows:  # in one statement, and not as objects: a film of two hours has some hundreds
        await session.execute(insert(PreviewPart), rows)
    await session.flush()
    await tell_of(session, "preview.building", preview)


async def part_of(session: AsyncSession, version_id: UUID, index: int) -> PreviewPart:
    """Return one part of a preview.

    Raises:
        PartNotFoundError: The preview has no such part, or there is no such preview.
    """
    query = select(PreviewPart).where(PreviewPart.version_id == version_id, PreviewPart.index == index)
    part = await session.scalar(query)
    if part is None:
        raise PartNotFoundError(index)
    return part


async def open_parts(session: AsyncSession, version_id: UUID) -> dict[int, UUID | None]:
    """Return the parts of a preview that are not done, by index, each with the job that was to encode it last."""
    query = select(PreviewPart.index, PreviewPart.job_id).where(
        PreviewPart.version_id == version_id, PreviewPart.status != "done"
    )
    return dict((await session.execute(query.order_by(PreviewPart.index))).all())


async def finished_parts(session: AsyncSession, version_id: UUID) -> set[UUID]:
    """Return the ids of the parts of a preview that are done: rows that no longer change while the plan stands."""
    query = select(PreviewPart.id).where(PreviewPart.version_id == version_id, PreviewPart.status == "done")
    return set(await session.scalars(query))


async def count_finished(session: AsyncSession, version_id: UUID) -> int:
    """Return how many parts of a preview are done."""
    query = select(func.count()).where(PreviewPart.version_id == version_id, PreviewPart.status == "done")
    return await session.scalar(query) or 0


async def parts_by_id(session: AsyncSession, ids: Collection[UUID]) -> list[PreviewPart]:
    """Return parts, of whichever preview, in no order; those that are not there are left out."""
    return list(await session.scalars(select(PreviewPart).where(PreviewPart.id.in_(ids)))) if ids else []


async def progress_of(session: AsyncSession, version_id: UUID) -> dict[int, float]:
    """Return how far each part of a preview is, from 0 to 1, by its index; nothing before it has a plan."""
    query = select(PreviewPart.index, PreviewPart.progress).where(PreviewPart.version_id == version_id)
    return dict((await session.execute(query)).all())


async def assign_jobs(session: AsyncSession, version_id: UUID, jobs: Mapping[int, UUID]) -> None:
    """Note which job encodes each part; a part that is done is left as it is. The revision stays.

    Args:
        session: Of `Catalog.begin`.
        version_id: Of which preview.
        jobs: By the index of the part.
    """
    if not jobs:
        return
    one = (
        update(PreviewPart)
        .where(
            PreviewPart.version_id == version_id,
            PreviewPart.index == bindparam("of_index"),
            PreviewPart.status != "done",
        )
        .values(job_id=bindparam("to_job"))
    )
    connection = await session.connection()
    await connection.execute(one, [{"of_index": index, "to_job": job_id} for index, job_id in jobs.items()])


async def jobs_of(session: AsyncSession, version_id: UUID) -> list[UUID]:
    """Return the jobs that were to plan a preview and to encode its parts, the newest of each, by their ids.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        version_id: Of which version; there may be none.
    """
    plan = select(Preview.job_id).where(Preview.version_id == version_id, Preview.job_id.is_not(None))
    parts = select(PreviewPart.job_id).where(PreviewPart.version_id == version_id, PreviewPart.job_id.is_not(None))
    return sorted([*await session.scalars(plan), *await session.scalars(parts)])


async def finish_part(session: AsyncSession, preview: Preview, part: PreviewPart, result: Mapping[str, Any]) -> None:
    """Record what encoding a part made: it is done.

    Args:
        session: Of `Catalog.begin`.
        preview: As `preview_of` returned it in this transaction, for update.
        part: One of its parts, as `part_of` returned it in this transaction.
        result: What it made, JSON values only.
    """
    part.status, part.progress, part.result = "done", 1.0, dict(result)
    part.updated_at = preview.updated_at = now(session)
    preview.revision += 1
    await tell_progress(session, preview)


async def record_progress(session: AsyncSession, preview: Preview, progress: Mapping[int, float]) -> None:
    """Record how far parts are that run; those that are done by now stay so.

    Args:
        session: Of `Catalog.begin`.
        preview: As `preview_of` returned it in this transaction, for update.
        progress: From 0 to 1, by the index of the part; may shrink when another worker begins anew.

    Raises:
        InvalidProgressError: A number is out of bounds or none.
    """
    for share in progress.values():
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise InvalidProgressError(share)
    if not progress:
        return
    moment = now(session)
    one = (
        update(PreviewPart)
        .where(
            PreviewPart.version_id == preview.version_id,
            PreviewPart.index == bindparam("of_index"),
            PreviewPart.status != "done",
        )
        .values(status="running", progress=bindparam("so_far"), updated_at=moment)
    )
    connection = await session.connection()
    await connection.execute(one, [{"of_index": index, "so_far": share} for index, share in progress.items()])
    preview.updated_at = moment
    preview.revision += 1
    await tell_progress(session, preview)
