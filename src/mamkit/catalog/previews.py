"""How far previews are, part by part.

What changes a preview or one of its parts locks the preview's row first and lets its revision grow, so that changes
come one after the other, and whoever follows a preview sees by its revision alone that something is new.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.errors import (
    PreviewNotFoundError,
    PreviewStateError,
    VersionNotFoundError,
)
from mamkit.catalog.events import PROGRESS, tell
from mamkit.catalog.models import Asset, Preview, PreviewPart, PreviewStatus, Version

__all__ = [
    "begin_anew",
    "create_preview",
    "in_the_making",
    "preview_of",
    "revision_of",
    "set_status",
    "tell_of",
    "tell_progress",
    "unfinished_previews",
]

_TELL_EVERY = timedelta(seconds=1)


_NEXT: Mapping[PreviewStatus, frozenset[PreviewStatus]] = {
    "queued": frozenset({"building", "failed"}),
    "building": frozenset({"playable", "ready", "failed", "queued"}),  # the last where no card is left that could go on
    "playable": frozenset({"ready", "failed", "queued"}),
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
    await tell_of(session, "preview.queued", preview)
    return preview


async def preview_of(session: AsyncSession, version_id: UUID, *, for_update: bool = False) -> Preview:
    """Return the preview of a version.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        version_id: Of which version.
        for_update: Let nobody else change it until the transaction ends. Where it is held already, nothing is asked.

    Raises:
        PreviewNotFoundError: It has none, or there is no such version.
    """
    held: set[UUID] = session.info.setdefault("held_previews", set())
    locks = for_update and version_id not in held
    preview = await session.get(Preview, version_id, with_for_update=locks, populate_existing=locks)
    if preview is None:
        raise PreviewNotFoundError(version_id)
    if for_update:
        held.add(version_id)
    return preview


async def begin_anew(session: AsyncSession, preview: Preview, *, prefix: str) -> Preview:
    """Let a preview begin from nothing, as its next generation; one that plays goes on playing meanwhile.

    Args:
        session: Of `Catalog.begin`.
        preview: Which preview; it has begun.
        prefix: Where the new generation will lie; the version is told once it plays.

    Raises:
        PreviewStateError: It has not begun.
    """
    preview = await preview_of(session, preview.version_id, for_update=True)
    preview.serving = preview.serving or preview.status == "ready"
    await move_on(session, preview, "queued")
    preview.generation += 1
    preview.prefix, preview.plan, preview.job_id = prefix, None, None
    await session.execute(delete(PreviewPart).where(PreviewPart.version_id == preview.version_id))
    await session.flush()
    await tell_of(session, "preview.queued", preview)
    return preview


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
            `failed` back to queued or building, and from `building` and `playable` to queued.
        failure_code: Stable code of what went wrong; forgotten when the preview moves on.
        failure: The same in one sentence.

    Raises:
        PreviewStateError: There is no such way.
    """
    preview = await preview_of(session, preview.version_id, for_update=True)
    if preview.status != status:
        await move_on(session, preview, status)
        preview.failure_code, preview.failure = failure_code, failure
        await session.flush()
        await tell_of(session, f"preview.{status}", preview)
    return preview


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


async def revision_of(session: AsyncSession, version_id: UUID) -> int:
    """Return the revision of a preview, which grows with every change of it or of one of its parts.

    Raises:
        PreviewNotFoundError: It has none, or there is no such version.
    """
    revision = await session.scalar(select(Preview.revision).where(Preview.version_id == version_id))
    if revision is None:
        raise PreviewNotFoundError(version_id)
    return revision


async def unfinished_previews(
    session: AsyncSession, *, quiet_for: timedelta = timedelta(0), after: UUID | None = None, limit: int = 1000
) -> list[Preview]:
    """Return previews that are neither ready nor failed, those of the oldest versions first.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        quiet_for: Only those that have not changed for so long.
        after: Only those of versions behind this one, the last of the page before.
        limit: At most so many.
    """
    query = select(Preview).where(
        Preview.status.in_(["queued", "building", "playable"]),
        Preview.updated_at <= now(session) - quiet_for,
        true() if after is None else Preview.version_id > after,
    )
    return list(await session.scalars(query.order_by(Preview.version_id).limit(limit)))


async def move_on(session: AsyncSession, preview: Preview, status: PreviewStatus) -> None:
    """Move a preview on that is locked, with the times that follow from it.

    Raises:
        PreviewStateError: There is no such way.
    """
    if status not in _NEXT[preview.status]:
        raise PreviewStateError(preview.version_id, status=preview.status, wanted=status)
    moment = now(session)
    if status in {"queued", "building"}:
        preview.failure_code = preview.failure = None
        if not preview.serving:
            preview.playable_at = preview.ready_at = None
    elif status in {"playable", "ready"}:
        preview.playable_at = preview.playable_at or moment
    if status == "ready":
        preview.ready_at = moment
    preview.status = status
    preview.revision += 1
    preview.updated_at = moment
    with session.no_autoflush:  # what the caller changes of it, too, is one statement
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
        .values(status="ready" if preview.serving else preview.status)
    )


async def tell_progress(session: AsyncSession, preview: Preview) -> None:
    """Write how far a preview is, and tell it once a second at most: more often nobody looks."""
    tells = preview.told_at is None or preview.updated_at - preview.told_at >= _TELL_EVERY
    if tells:
        preview.told_at = preview.updated_at
    await session.flush()
    if tells:
        await tell_of(session, PROGRESS, preview)


async def tell_of(session: AsyncSession, kind: str, preview: Preview) -> None:
    """Tell of an event of a preview; of one whose asset is gone there is nobody to tell."""
    place = select(Asset.workspace_id, Asset.id).join(Version, Version.asset_id == Asset.id)
    found = (await session.execute(place.where(Version.id == preview.version_id))).one_or_none()
    if found is not None:
        data = {"version_id": str(preview.version_id), "status": preview.status, "revision": preview.revision}
        if preview.failure_code is not None:
            data |= {"failure_code": preview.failure_code}
        await tell(session, kind, *found, data)
