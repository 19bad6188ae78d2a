"""`/auth/api-keys`: keys for programs."""

from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from mamkit import catalog as db
from mamkit.auth import new_api_key
from mamkit.clock import utc_now
from mamkit_apps.api.accounts.schemas import ApiKeyMade, ApiKeyRequest, ApiKeyView
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]


@post("/")
async def make_key(data: JSONBody[ApiKeyRequest], owner: Owner, parts: Wired) -> ApiKeyMade:
    """Make a key that acts in the name of whoever asks, within its scopes; the answer shows it, once."""
    days = data.expires_in_days
    made = new_api_key(
        owner.user_id,
        name=data.name,
        scopes=data.scopes,
        expires_at=None if days is None else utc_now() + timedelta(days=days),
    )
    record = made.record
    async with parts.catalog.begin() as session:
        row = await db.add_api_key(
            session,
            key_id=record.id,
            user_id=record.user_id,
            name=record.name,
            digest=record.digest,
            scopes=record.scopes,
            expires_at=record.expires_at,
        )
        await db.record(
            session, actor_id=owner.user_id, action="api_key.added", subject=f"api_key:{record.id}",
            detail={"scopes": sorted(record.scopes)},
        )  # fmt: skip
    return ApiKeyMade(api_key=made.key, record=_view(row))


@get("/")
async def list_keys(owner: Owner, parts: Wired) -> list[ApiKeyView]:
    """List the keys of whoever asks, newest first."""
    async with parts.catalog.read() as session:
        return [_view(row) for row in await db.api_keys_of(session, owner.user_id)]


@delete("/{key_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def end_key(key_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """End a key of whoever asks, at once."""
    async with parts.catalog.begin() as session:
        if await db.delete_api_key(session, owner.user_id, key_id):
            subject = f"api_key:{key_id}"
            await db.record(session, actor_id=owner.user_id, action="api_key.removed", subject=subject)


def _view(row: db.ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )


routes = [Router("/auth/api-keys", route_handlers=[make_key, list_keys, end_key], tags=["accounts"])]
