"""How far previews are, part by part.

What changes a preview or one of its parts locks the preview's row first and lets its revision grow, so that changes
come one after the other, and whoever follows a preview sees by its revision alone that something is new.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.errors import (
    InvalidProgressError,
    PartNotFoundError,
    PreviewNotFoundError,
    PreviewStateError,
    VersionNotFoundError,
)
from mamkit.catalog.events import PROGRESS, tell
from mamkit.catalog.models import Asset, PartStatus, Preview, PreviewPart, PreviewStatus, Version

__all__ = [
    "assign_jobs",
    "create_preview",
    "finished_parts",
    "in_the_making",
    "open_parts",
    "part_of",
    "parts_by_id",
    "parts_of",
    "preview_of",
    "progress_of",
    "record_part",
    "revision_of",
    "set_status",
    "start_building",
    "unfinished_previews",
]

_TELL_EVERY = timedelta(seconds=1)  # more often than that nobody looks at a bar of progress

_NEXT: Mapping[PreviewStatus, frozenset[PreviewStatus]] = {
    "queued": frozenset({"building", "failed"}),
    "building": frozenset({"playable", "ready", "failed"}),
    "playable": frozenset({"ready", "failed"}),
    "ready": frozenset({"queued", "building"}),  # built anew
    "failed": frozenset({"queued", "building"}),  # tried again
}


async def create_preview(session: AsyncSession, version_id: UUID) -> Preview:
    """Add the preview of a version, queued, and return it; one that is there already is returned as it is.

    Raises:
        VersionNotFoundError: There is no such version.
    """
    moment = now(session)
    try:
        preview = await add(session, Preview, version_id=version_id, created_at=moment, updated_at=moment)
    except IntegrityError as error:
        if is_duplicate(error):
            return await preview_of(session, version_id)
        raise VersionNotFoundError(version_id) from error
    await _show(session, preview)
    await _tell(session, "preview.queued", preview)
    return preview


async def preview_of(session: AsyncSession, version_id: UUID, *, for_update: bool = False) -> Preview:
    """Return the preview of a version.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        version_id: Of which version.
        for_update: Let nobody else change it until the transaction ends.

    Raises:
        PreviewNotFoundError: It has none, or there is no such version.
    """
    preview = await session.get(Preview, version_id, with_for_update=for_update, populate_existing=for_update)
    if preview is None:
        raise PreviewNotFoundError(version_id)
    return preview


async def start_building(
    session: AsyncSession, preview: Preview, *, plan: Mapping[str, Any], parts: Iterable[tuple[int, str]]
) -> list[PreviewPart]:
    """Give a preview its plan and its parts, all of them waiting; the parts of an earlier plan are forgotten.

    Safe to repeat: where the same plan is there already, nothing changes.

    Args:
        session: Of `Catalog.begin`.
        preview: Of which preview.
        plan: JSON values only.
        parts: Index and kind of each.

    Returns:
        The parts by index.

    Raises:
        PreviewStateError: The preview is being built by another plan.
    """
    preview = await preview_of(session, preview.version_id, for_update=True)
    if preview.status in {"building", "playable", "ready"} and preview.plan == dict(plan):
        return await parts_of(session, preview.version_id)
    await _go(session, preview, "building")
    preview.plan = dict(plan)
    await session.execute(delete(PreviewPart).where(PreviewPart.version_id == preview.version_id))
    session.add_all(
        PreviewPart(version_id=preview.version_id, index=index, kind=kind, updated_at=preview.updated_at)
        for index, kind in parts
    )
    await session.flush()
    await _tell(session, "preview.building", preview)
    return await parts_of(session, preview.version_id)


async def set_status(
    session: AsyncSession,
    preview: Preview,
    status: PreviewStatus,
    *,
    failure_code: str | None = None,
    failure: str | None = None,
) -> Preview:
    """Move a preview on; to be in this state already changes nothing.

    Plan and parts are kept, whatever the state, so that a preview that failed can go on where it was.

    Args:
        session: Of `Catalog.begin`.
        preview: Which preview.
        status: queued → building → playable → ready; building → ready; all but `ready` → failed; from `ready` and
            `failed` back to queued or building.
        failure_code: Stable code of what went wrong; forgotten when the preview moves on.
        failure: The same in one sentence.

    Raises:
        PreviewStateError: There is no such way.
    """
    preview = await preview_of(session, preview.version_id, for_update=True)
    if preview.status != status:
        await _go(session, preview, status)
        preview.failure_code, preview.failure = failure_code, failure
        await session.flush()
        await _tell(session, f"preview.{status}", preview)
    return preview


async def parts_of(session: AsyncSession, version_id: UUID) -> list[PreviewPart]:
    """Return the parts of a preview by index; none before it has a plan."""
    query = select(PreviewPart).where(PreviewPart.version_id == version_id).order_by(PreviewPart.index)
    return list(await session.scalars(query))


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


async def parts_by_id(session: AsyncSession, ids: Collection[UUID]) -> list[PreviewPart]:
    """Return parts, of whichever preview, in no order; those that are not there are left out."""
    return list(await session.scalars(select(PreviewPart).where(PreviewPart.id.in_(ids)))) if ids else []


async def in_the_making(session: AsyncSession, version_id: UUID) -> int:
    """Return how many previews of the same user are neither ready nor failed, that of this version among them.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        version_id: Of one of the user's versions.
    """
    owner = select(Asset.user_id).join(Version, Version.asset_id == Asset.id).where(Version.id == version_id)
    query = (
        select(func.count())
        .select_from(Preview)
        .join(Version, Version.id == Preview.version_id)
        .join(Asset, Asset.id == Version.asset_id)
        .where(Asset.user_id == owner.scalar_subquery(), Preview.status.in_(["queued", "building", "playable"]))
    )
    return await session.scalar(query) or 0


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


async def progress_of(session: AsyncSession, version_id: UUID) -> dict[int, float]:
    """Return how far each part of a preview is, from 0 to 1, by its index; nothing before it has a plan."""
    query = select(PreviewPart.index, PreviewPart.progress).where(PreviewPart.version_id == version_id)
    return dict((await session.execute(query)).all())


async def revision_of(session: AsyncSession, version_id: UUID) -> int:
    """Return the revision of a preview, which grows with every change of it or of one of its parts.

    Raises:
        PreviewNotFoundError: It has none, or there is no such version.
    """
    revision = await session.scalar(select(Preview.revision).where(Preview.version_id == version_id))
    if revision is None:
        raise PreviewNotFoundError(version_id)
    return revision


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


async def record_part(
    session: AsyncSession,
    version_id: UUID,
    index: int,
    *,
    status: PartStatus | None = None,
    progress: float | None = None,
    result: Mapping[str, Any] | None = None,
    job_id: UUID | None = None,
) -> PreviewPart:
    """Record what is known of a part, and return it. What is None stays as it is, and a part that is done stays so.

    Args:
        session: Of `Catalog.begin`.
        version_id: Of which preview.
        index: Of the part.
        status: Its state.
        progress: From 0 to 1; may shrink when another worker begins anew.
        result: What encoding it made, JSON values only.
        job_id: The job that encodes it.

    Raises:
        PreviewNotFoundError: There is no such preview.
        PartNotFoundError: It has no such part.
        InvalidProgressError: `progress` is out of bounds or no number.
    """
    if progress is not None and not (math.isfinite(progress) and 0 <= progress <= 1):
        raise InvalidProgressError(progress)
    preview = await preview_of(session, version_id, for_update=True)
    part = await part_of(session, version_id, index)
    if part.status == "done":
        return part
    given = {"status": status, "progress": progress, "result": result and dict(result), "job_id": job_id}
    new = {name: value for name, value in given.items() if value is not None and value != getattr(part, name)}
    if new:
        for name, value in new.items():
            setattr(part, name, value)
        part.updated_at = preview.updated_at = now(session)
        preview.revision += 1
        await session.flush()
        if preview.told_at is None or preview.updated_at - preview.told_at >= _TELL_EVERY:
            preview.told_at = preview.updated_at
            await _tell(session, PROGRESS, preview)
    return part


async def unfinished_previews(
    session: AsyncSession, *, quiet_for: timedelta = timedelta(0), limit: int = 1000
) -> list[Preview]:
    """Return previews that are neither ready nor failed, those first that have not changed for longest.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        quiet_for: Only those that have not changed for so long.
        limit: At most so many.
    """
    query = select(Preview).where(
        Preview.status.in_(["queued", "building", "playable"]), Preview.updated_at <= now(session) - quiet_for
    )
    return list(await session.scalars(query.order_by(Preview.updated_at).limit(limit)))


async def _go(session: AsyncSession, preview: Preview, status: PreviewStatus) -> None:
    """Move a locked preview on, with the times that follow from it."""
    if status not in _NEXT[preview.status]:
        raise PreviewStateError(preview.version_id, status=preview.status, wanted=status)
    moment = now(session)
    if status in {"queued", "building"}:
        preview.playable_at = preview.ready_at = preview.failure_code = preview.failure = None
    elif status in {"playable", "ready"}:
        preview.playable_at = preview.playable_at or moment
    if status == "ready":
        preview.ready_at = moment
    preview.status = status
    preview.revision += 1
    preview.updated_at = moment
    await _show(session, preview)


async def _show(session: AsyncSession, preview: Preview) -> None:
    """Let the asset show the state of the preview, if it is that of the version that plays."""
    newest = select(func.max(Version.number)).where(Version.asset_id == Asset.id).scalar_subquery()
    version = select(Version).where(Version.id == preview.version_id)
    number, asset_id = (
        version.with_only_columns(column).scalar_subquery() for column in (Version.number, Version.asset_id)
    )
    await session.execute(
        update(Asset)
        .where(Asset.id == asset_id, func.coalesce(Asset.playing_number, newest) == number)
        .values(status=preview.status)
    )


async def _tell(session: AsyncSession, kind: str, preview: Preview) -> None:
    place = select(Asset.workspace_id, Asset.id).join(Version, Version.asset_id == Asset.id)
    found = (await session.execute(place.where(Version.id == preview.version_id))).one_or_none()
    if found is not None:
        data = {"version_id": str(preview.version_id), "status": preview.status, "revision": preview.revision}
        if preview.failure_code is not None:
            data |= {"failure_code": preview.failure_code}
        await tell(session, kind, *found, data)
