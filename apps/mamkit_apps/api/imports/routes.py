"""`/api/imports`: media that we fetch from a URL, instead of a client that uploads it."""

import hashlib
import hmac
import json
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Principal, Resource, decide
from mamkit.catalog import imports as store
from mamkit.catalog.import_models import Import, ImportKind, ImportState
from mamkit.ids import uuid7
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Caller, allowed_asset, home_of, place_of, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.imports.fetching import clean_name, name_in
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.guard import AddressGuard
from mamkit_apps.logs import note
from mamkit_apps.sealed import IMPORTS

__all__ = ["routes"]

CONTEXT = b"mamkit import 1\0"  # keeps this use of a secret apart from any other


class NewImport(Body):
    """Something that is to be fetched."""

    url: Annotated[
        str, Field(min_length=8, max_length=2048, repr=False, examples=["https://media.example.com/film.mp4"])
    ]
    """http or https, at a public address, without user and password; redirects are followed. It is kept sealed, and for
    no longer than it is needed."""
    title: Annotated[str, Field(max_length=500)] = ""
    """Of the new asset; the file's name if it is empty."""
    filename: Annotated[str, Field(max_length=255)] = ""
    """Instead of the one that the URL has; what the host says comes first."""
    asset_id: UUID | None = None
    """An asset of which this is to be a new version; null makes a new asset."""
    workspace_id: UUID | None = None
    """Where the new asset will belong; null: the personal one of whoever asks."""
    skip_known: bool = False
    """Whether bytes that are in an asset of yours already make no new version: then that one is the result."""


class ImportView(Body):
    """An import."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    kind: ImportKind
    source: str
    """The host of a URL, or the name in the watched folder or bucket."""
    state: ImportState
    """`storing` is past the last moment at which it can be cancelled."""
    title: str
    filename: str
    received: int
    """Bytes."""
    size: int | None
    """Bytes of the whole; null where the source has not said."""
    attempts: int
    """That failed since it last got on."""
    next_at: datetime | None
    """When a failed attempt is made again; null where it does not wait for that."""
    failure_code: str | None
    """Why the last attempt failed, as a stable code."""
    failure: str | None
    asset_id: UUID | None
    """The asset that has the version, or will have it; null while a new one is not made yet."""
    version_id: UUID | None
    """Null until it is done."""
    duplicate: bool
    """Whether that version was there before."""
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Import) -> Self:
        """Return the view of a row."""
        same = cls.model_fields.keys() - {"asset_id", "next_at"}
        return cls(
            **{name: getattr(row, name) for name in same},
            asset_id=None if row.new_asset and row.version_id is None else row.asset_id,
            next_at=row.due_at if row.state == "waiting" and row.attempts else None,
        )


class ImportPage(Body):
    """Some of the imports of a workspace, newest first."""

    items: tuple[ImportView, ...]
    next: UUID | None
    """To be sent as `after` for the next page; null on the last."""


@post("/", opt=answers(200), status_code=HTTPStatus.CREATED)
async def begin(data: JSONBody[NewImport], principal: Caller, parts: Wired) -> Response[ImportView]:
    """Begin to fetch what is at a URL. While it is under way, asking for the same again answers 200 with the same."""
    AddressGuard(parts.settings.import_networks).check_url(data.url)
    workspace_id = await _place(data, principal, parts)
    import_id = uuid7()
    async with parts.catalog.begin() as session:
        row, made = await store.add_import(
            session,
            id=import_id,
            user_id=principal.user_id,
            workspace_id=workspace_id,
            kind="url",
            source=urlsplit(data.url).hostname or "",
            sealed=parts.vault.seal(data.url.encode(), where=IMPORTS.where(import_id)),
            origin=_origin(parts, principal, workspace_id, data),
            title=data.title,
            filename=clean_name(data.filename) or name_in(data.url),
            asset_id=data.asset_id,
            skip_known=data.skip_known,
        )
        if made:
            detail = {"source": row.source, "workspace": str(workspace_id)}
            await _record(session, principal, "import.created", row, detail)
    note(import_id=row.id)
    return Response(ImportView.of(row), status_code=HTTPStatus.CREATED if made else HTTPStatus.OK)


@get("/")
async def list_imports(
    *,
    principal: Caller,
    parts: Wired,
    workspace: FromQuery[UUID | None] = None,
    import_state: Annotated[ImportState | None, QueryParameter(name="state")] = None,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> ImportPage:
    """List the imports of a workspace, newest first: your own, and those of others whose assets you may change."""
    workspace_id = workspace or home_of(principal.user_id)
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        own = Resource(kind="asset", owner_id=principal.user_id, workspace_id=workspace_id)
        require(principal, "asset.update", own)
        everybody = decide(principal, "asset.update", Resource(kind="asset", workspace_id=workspace_id))
        found = await store.imports_in(
            session, workspace_id, user_id=None if everybody else principal.user_id, state=import_state, after=after,
            limit=limit,
        )  # fmt: skip
    items = tuple(ImportView.of(each) for each in found)
    return ImportPage(items=items, next=items[-1].id if len(items) == limit else None)


@get("/{import_id:uuid}")
async def get_one(import_id: FromPath[UUID], principal: Caller, parts: Wired) -> ImportView:
    """Say how far an import is, and what became of it."""
    async with parts.catalog.read(scope_of(principal)) as session:
        return ImportView.of(await _allowed(session, principal, import_id))


@post("/{import_id:uuid}/cancel", status_code=HTTPStatus.OK)
async def cancel(import_id: FromPath[UUID], principal: Caller, parts: Wired) -> ImportView:
    """Give up an import; 409 once its bytes are being made a version, or it is over."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        row = await _allowed(session, principal, import_id)
        goes_on = row.state != "cancelled"
        row = await store.cancel_import(session, import_id)
        if goes_on:
            await _record(session, principal, "import.cancelled", row, {})
    return ImportView.of(row)


async def _place(data: NewImport, principal: Principal, parts: Parts) -> UUID:
    """Return the workspace that an import is for.

    Raises:
        PermissionDeniedError: They may not add there.
        NotFoundError: There is no such asset or workspace.
    """
    if data.asset_id is None:
        return place_of(principal, data.workspace_id)
    async with parts.catalog.read(scope_of(principal)) as session:
        return (await allowed_asset(session, principal, "asset.update", data.asset_id)).workspace_id


def _origin(parts: Parts, principal: Principal, workspace_id: UUID, data: NewImport) -> str:
    """Return what names a URL that somebody brings to a place, and tells nobody who reads it what it is."""
    told = [str(each) for each in (principal.user_id, workspace_id, data.asset_id, data.url)]
    secret = parts.settings.secret("session_secret").get_secret_value().encode()
    return hmac.new(secret, CONTEXT + json.dumps(told).encode(), hashlib.sha256).hexdigest()


async def _allowed(session: AsyncSession, principal: Principal, import_id: UUID) -> Import:
    """Return an import of somebody's own, or of whose assets they may change all."""
    row = await store.import_by_id(session, import_id)
    owned = Resource(kind="asset", owner_id=row.user_id, workspace_id=row.workspace_id)
    require(principal, "asset.update", owned)
    note(import_id=row.id)
    return row


async def _record(
    session: AsyncSession, principal: Principal, action: str, row: Import, detail: dict[str, str]
) -> None:
    await db.record(session, actor_id=principal.user_id, action=action, subject=f"import:{row.id}", detail=detail)


routes = [Router("/api/imports", route_handlers=[begin, list_imports, get_one, cancel], tags=["imports"])]
