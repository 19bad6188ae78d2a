"""`/api/assets/…/comments`, `/api/comments/…`: what people say about assets."""

from dataclasses import replace
from fractions import Fraction
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Action, Principal
from mamkit.catalog import Asset, Comment
from mamkit.catalog.comments import author_of
from mamkit.catalog.markers import Marker, as_csv, as_edl, as_fcpxml, as_premiere
from mamkit_apps.api.callers.access import Caller, asset_resource, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.comment_schemas import CommentChange, CommentPage, CommentView, NewComment, plain
from mamkit_apps.api.middleware.representation import check_match, tagged
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers"]

MAX_EXPORTED = 1000  # comments of one export: what an editor can work through, and a bounded answer
STANDARD_RATE = Fraction(25)  # frames per second of what has no picture
XML = "application/xml"

Format = Literal["csv", "edl", "fcpxml", "premiere"]


@get("/assets/{asset_id:uuid}/comments", tags=["comments"])
async def list_comments(
    *,
    asset_id: FromPath[UUID],
    principal: Caller,
    parts: Wired,
    parent: Annotated[UUID | None, QueryParameter(description="Only answers to this comment.")] = None,
    resolved: FromQuery[bool | None] = None,
    after: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> CommentPage:
    """List the comments of an asset, the oldest first: all, one's answers, or threads that are resolved or not."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _allowed(session, principal, "comment.read", asset_id)
        found = await db.comments_of(session, asset_id, parent_id=parent, resolved=resolved, after=after, limit=limit)
    items = tuple(CommentView.of(*each) for each in found)
    return CommentPage(items=items, next=items[-1].id if len(items) == limit else None)


@post("/assets/{asset_id:uuid}/comments", tags=["comments"])
async def add(
    asset_id: FromPath[UUID], data: JSONBody[NewComment], principal: Caller, parts: Wired
) -> Response[CommentView]:
    """Say something about a moment, a range or the whole of an asset, or answer in a thread."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _allowed(session, principal, "comment.create", asset_id)
        comment = await db.add_comment(
            session,
            asset_id=asset_id,
            user_id=principal.user_id,
            content=data.content,
            start=data.start_seconds,
            stop=data.stop_seconds,
            parent_id=data.parent_id,
            drawing=plain(data.drawing),
        )
        return tagged(await _view(session, comment))


@get("/comments/{comment_id:uuid}", tags=["comments"])
async def get_one(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[CommentView]:
    """Return one comment."""
    async with parts.catalog.read(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.read", comment.asset_id)
        return tagged(await _view(session, comment))


@patch("/comments/{comment_id:uuid}", tags=["comments"], opt=answers(412, 428, match=True))
async def change(
    comment_id: FromPath[UUID],
    data: JSONBody[CommentChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[CommentView]:
    """Replace text and drawing of a comment that is still as `If-Match` says; its times stay."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.update", comment.asset_id, comment)
        comment = await session.get_one(Comment, comment_id, with_for_update=True, populate_existing=True)
        check_match(request, await _view(session, comment))
        comment = await db.edit_comment(session, comment_id, content=data.content, drawing=plain(data.drawing))
        return tagged(await _view(session, comment))


@delete("/comments/{comment_id:uuid}", status_code=HTTPStatus.NO_CONTENT, tags=["comments"])
async def remove(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Delete a comment, and with the first of a thread all answers."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.delete", comment.asset_id, comment)
        await db.delete_comment(session, comment_id)
        await db.record(
            session, actor_id=principal.user_id, action="comment.deleted", subject=f"asset:{comment.asset_id}",
            detail={"comment": str(comment_id), "author": str(comment.user_id or "a guest")},
        )  # fmt: skip


@put("/comments/{comment_id:uuid}/resolution", tags=["comments"])
async def resolve(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> CommentView:
    """Resolve a thread; whoever may comment may do so."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.create", comment.asset_id)
        return await _view(session, await db.resolve_comment(session, comment_id, by=principal.user_id))


@delete("/comments/{comment_id:uuid}/resolution", status_code=HTTPStatus.OK, tags=["comments"])
async def reopen(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> CommentView:
    """Open a resolved thread again."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.create", comment.asset_id)
        return await _view(session, await db.resolve_comment(session, comment_id, by=None))


@get("/assets/{asset_id:uuid}/comments/export", tags=["comments"], opt=answers(texts=["text/csv", "text/plain", XML]))
async def export(
    asset_id: FromPath[UUID],
    principal: Caller,
    parts: Wired,
    format: FromQuery[Format] = "csv",  # noqa: A002
) -> Response[str]:
    """Return the comments that have a time, for a spreadsheet or an editing program: at most the first 1,000."""
    async with parts.catalog.read(scope_of(principal)) as session:
        asset = await _allowed(session, principal, "comment.read", asset_id)
        found = await db.comments_of(session, asset_id, limit=MAX_EXPORTED)
        version = await db.playing_version(session, asset)
    rate = _rate(None if version is None else version.facts)
    markers = sorted((_marker(*each) for each in found if each[0].timestamp_sec is not None), key=lambda m: m.start)
    length = Fraction(asset.duration_sec)
    match format:
        case "csv":
            text, kind, name = as_csv(markers, rate=rate), "text/csv", "csv"
        case "edl":
            text, kind, name = as_edl(markers, rate=rate, title=asset.title), "text/plain", "edl"
        case "fcpxml":
            text, kind, name = as_fcpxml(markers, rate=rate, title=asset.title, duration=length), XML, "fcpxml"
        case "premiere":
            text, kind, name = as_premiere(markers, rate=rate, title=asset.title, duration=length), XML, "xml"
    headers = {"content-disposition": f'attachment; filename="{asset_id}.{name}"'}
    return Response(text, media_type=kind, headers=headers)


async def _allowed(
    session: AsyncSession, principal: Principal, action: Action, asset_id: UUID, comment: Comment | None = None
) -> Asset:
    """Return the asset, if the principal may do something to its comments, or to one of them.

    What a guest said may be removed, and not changed, by whoever owns the asset.
    """
    asset = await db.asset_by_id(session, asset_id)
    about = await asset_resource(session, asset)
    owner_id = None if comment is None else comment.user_id
    if comment is not None and owner_id is None and action == "comment.delete":
        owner_id = asset.user_id
    require(principal, action, replace(about, kind="comment", owner_id=owner_id))
    return asset


async def _view(session: AsyncSession, comment: Comment) -> CommentView:
    return CommentView.of(comment, await author_of(session, comment))


def _marker(comment: Comment, author: str) -> Marker:
    return Marker(
        start=Fraction(comment.timestamp_sec or 0),
        stop=None if comment.end_sec is None else Fraction(comment.end_sec),
        author=author,
        text=comment.content,
        resolved=comment.resolved_at is not None,
    )


def _rate(facts: dict[str, Any] | None) -> Fraction:
    """Return the frame rate that a probe found."""
    streams = (facts or {}).get("video") or [{}]
    try:
        rate = Fraction(str(streams[0].get("frame_rate", STANDARD_RATE)))
    except (ValueError, ZeroDivisionError):
        return STANDARD_RATE
    return rate if 0 < rate <= 1000 else STANDARD_RATE


handlers: list[HTTPRouteHandler] = [list_comments, add, get_one, change, remove, resolve, reopen, export]
"""Below `/api`."""
