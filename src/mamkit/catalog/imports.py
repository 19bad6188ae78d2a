"""Imports, as whoever asks for them sees them: added, looked at, cancelled and forgotten.

An import is a row from the moment that somebody asks for it, and so survives every process; who works on it, and how,
is in `mamkit.catalog.import_work`.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._pages import check_limit
from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.errors import CatalogError, NotFoundError
from mamkit.catalog.events import tell
from mamkit.catalog.import_models import Import, ImportKind, ImportState
from mamkit.ids import uuid7

__all__ = [
    "MAX_UNFINISHED",
    "OVER",
    "ImportNotFoundError",
    "ImportStateError",
    "TooManyImportsError",
    "add_import",
    "cancel_import",
    "import_by_id",
    "imports_by_origin",
    "imports_in",
    "purge_imports",
    "tell_of_import",
    "unsettled_imports",
]

MAX_UNFINISHED = 100
"""Imports of URLs that one user may have under way: each may be as large as an upload."""

OVER: frozenset[ImportState] = frozenset({"done", "failed", "cancelled"})
"""The states that do not change any more."""


class ImportNotFoundError(NotFoundError):
    """There is no such import, or whoever asks sees nothing of it."""

    code = "catalog.import_not_found"
    kind = "import"


class TooManyImportsError(CatalogError):
    """A user has as many imports under way as they may."""

    code = "catalog.too_many_imports"

    def __init__(self) -> None:
        super().__init__(f"a user has at most {MAX_UNFINISHED} imports under way; wait for some, or cancel them")


class ImportStateError(CatalogError):
    """An import is in a state in which it cannot be cancelled."""

    code = "catalog.import_state"

    def __init__(self, state: str) -> None:
        super().__init__(f"the import is {state}, and cannot be cancelled any more")


async def add_import(
    session: AsyncSession,
    *,
    user_id: UUID,
    workspace_id: UUID,
    kind: ImportKind,
    source: str,
    title: str,
    filename: str,
    origin: str,
    asset_id: UUID | None = None,
    sealed: str | None = None,
    skip_known: bool = False,
    size: int | None = None,
    id: UUID | None = None,  # noqa: A002 - the name of the column
) -> tuple[Import, bool]:
    """Add an import, and return it and True; or that of the same origin which is there already, and False.

    Args:
        session: Of `Catalog.begin`, without a scope.
        user_id: Whose it is.
        workspace_id: Where the asset belongs, or will belong.
        kind: Where from.
        source: As it may be shown, at most 1024 characters.
        title: Of a new asset, at most 500 characters.
        filename: At most 255 characters; its extension is that of a new asset's files.
        origin: SHA-256 that names what is brought in, hexadecimal.
        asset_id: Which asset gets a new version; None makes a new one.
        sealed: The URL, sealed.
        skip_known: Whether bytes that the user has already make no new version.
        size: Bytes, where that is known.
        id: A new one if None.

    Raises:
        TooManyImportsError: The user has as many imports of URLs under way as they may.
        InvalidTextError: A text cannot be stored.
    """
    if kind == "url":
        count = select(func.count()).where(Import.user_id == user_id, Import.kind == "url", Import.state.not_in(OVER))
        if (await session.scalar(count) or 0) >= MAX_UNFINISHED:
            raise TooManyImportsError
    moment = now(session)
    try:
        added = await add(
            session,
            Import,
            id=id or uuid7(),
            user_id=user_id,
            workspace_id=workspace_id,
            asset_id=asset_id or uuid7(),
            new_asset=asset_id is None,
            kind=kind,
            source=source,
            sealed=sealed,
            origin=origin,
            title=title,
            filename=filename,
            skip_known=skip_known,
            size=size,
            due_at=moment,
            created_at=moment,
            updated_at=moment,
        )
    except IntegrityError as error:
        there = await session.scalar(select(Import).where(Import.origin == origin)) if is_duplicate(error) else None
        if there is None:
            raise
        return there, False
    await tell_of_import(session, "import.created", added)
    return added, True


async def import_by_id(session: AsyncSession, import_id: UUID, *, for_update: bool = False) -> Import:
    """Return an import.

    Raises:
        ImportNotFoundError: There is none with this id that the session sees.
    """
    row = await session.get(Import, import_id, with_for_update=for_update, populate_existing=for_update)
    if row is None:
        raise ImportNotFoundError(import_id)
    return row


async def imports_in(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    user_id: UUID | None = None,
    state: ImportState | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> Sequence[Import]:
    """Return a page of the imports of a workspace, newest first.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        workspace_id: Of which workspace.
        user_id: Only those of this user.
        state: Only those in this state.
        after: The id of the last import of the page before.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
    """
    check_limit(limit)
    query = select(Import).where(Import.workspace_id == workspace_id)
    for column, value in ((Import.user_id, user_id), (Import.state, state)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Import.id < after)
    return (await session.scalars(query.order_by(Import.id.desc()).limit(limit))).all()


async def imports_by_origin(session: AsyncSession, origins: Sequence[str]) -> dict[str, Import]:
    """Return the imports that hold some origins, by their origin."""
    rows = await session.scalars(select(Import).where(Import.origin.in_(origins)))
    return {row.origin: row for row in rows if row.origin is not None}


async def unsettled_imports(
    session: AsyncSession, kind: ImportKind, *, after: UUID | None = None, limit: int = 100
) -> Sequence[Import]:
    """Return imports that are over and whose file has not been put away yet, the oldest first."""
    query = select(Import).where(Import.kind == kind, Import.origin.is_not(None), Import.ended_at.is_not(None))
    if after is not None:
        query = query.where(Import.id > after)
    return (await session.scalars(query.order_by(Import.id).limit(limit))).all()


async def cancel_import(session: AsyncSession, import_id: UUID) -> Import:
    """End an import that is not over, and return it; one that was cancelled before stays as it is.

    Whoever works on it learns so when it next says how far it is.

    Raises:
        ImportNotFoundError: There is none with this id that the session sees.
        ImportStateError: Its bytes are being made a version, or it is over.
    """
    row = await import_by_id(session, import_id, for_update=True)
    if row.state == "cancelled":
        return row
    if row.state not in {"waiting", "running"}:
        raise ImportStateError(row.state)
    row.state, row.sealed = "cancelled", None  # whoever has the lease removes what is there, and writes no more
    if row.kind == "url":
        row.origin = None
    row.ended_at = row.updated_at = now(session)
    await session.flush()
    await tell_of_import(session, "import.cancelled", row)
    return row


async def purge_imports(session: AsyncSession, *, older_than: timedelta) -> int:
    """Forget imports that have been over for longer, and return how many.

    Those of files that were left where they are stay: they are how it is known that these were taken.
    """
    statement = delete(Import).where(
        Import.ended_at < now(session) - older_than, Import.origin.is_(None), Import.transfer.is_(None)
    )
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return result.rowcount if isinstance(result, CursorResult) else 0


async def tell_of_import(session: AsyncSession, kind: str, row: Import) -> None:
    """Tell of an event of an import; its asset is named once there is one."""
    data = {"import_id": str(row.id), "state": row.state, "received": row.received, "size": row.size}
    more = {"version_id": row.version_id, "failure_code": row.failure_code}
    data |= {name: str(value) for name, value in more.items() if value is not None}
    asset_id = None if row.new_asset and row.version_id is None else row.asset_id
    await tell(session, kind, row.workspace_id, asset_id, data)
