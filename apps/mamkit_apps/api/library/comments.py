"""`/api/assets/…/comments`, `/api/comments/…`: what people say about assets."""

from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from litestar import Response, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Action, Principal
from mamkit.catalog import Asset, Comment
from mamkit.catalog.comments import MAX_COMMENT
from mamkit.catalog.markers import Marker, as_csv, as_edl, as_fcpxml, as_premiere
from mamkit_apps.api.access import Caller, asset_resource, require, scope_of
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.described import answers
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers"]

MAX_EXPORTED = 1000  # comments of one export: what an editor can work through, and a bounded answer
STANDARD_RATE = Fraction(25)  # frames per second of what has no picture
XML = "application/xml"

Content = Annotated[str, Field(min_length=1, max_length=MAX_COMMENT)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Format = Literal["csv", "edl", "fcpxml", "premiere"]


class Shape(Body):
    """Something drawn."""

    kind: Literal["line", "arrow", "rectangle", "ellipse", "freehand"]
    points: Annotated[list[tuple[Share, Share]], Field(min_length=1, max_length=500)]
    """As shares of the picture's width and height, from its upper left corner."""
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#ff0000"
    width: Annotated[float, Field(gt=0, le=0.1)] = 0.004
    """As a share of the picture's width."""


class Drawing(Body):
    """What is drawn over the picture."""

    shapes: Annotated[list[Shape], Field(min_length=1, max_length=50)]


class NewComment(Body):
    """A comment that is to be added."""

    content: Content
    start_seconds: Seconds | None = None
    """Null: about the asset as a whole."""
    stop_seconds: Seconds | None = None
    """Excluded; null: about a moment."""
    parent_id: UUID | None = None
    """The first comment of a thread that this is added to; then there are no times."""
    drawing: Drawing | None = None


class CommentChange(Body):
    """What a comment is to say instead."""

    content: Content
    drawing: Drawing | None = None


class CommentView(Body):
    """A comment."""

    id: UUID
    asset_id: UUID
    user_id: UUID
    author: str | None
    """The display name; null in the answer to a change."""
    parent_id: UUID | None
    start_seconds: float | None
    stop_seconds: float | None
    content: str
    drawing: dict[str, Any] | None
    resolved_at: datetime | None
    resolved_by: UUID | None
    edited_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, comment: Comment, author: str | None = None) -> Self:
        """Return the view of a row."""
        return cls(
            id=comment.id,
            asset_id=comment.asset_id,
            user_id=comment.user_id,
            author=author,
            parent_id=comment.parent_id,
            start_seconds=comment.timestamp_sec,
            stop_seconds=comment.end_sec,
            content=comment.content,
            drawing=comment.drawing,
            resolved_at=comment.resolved_at,
            resolved_by=comment.resolved_by,
            edited_at=comment.edited_at,
            created_at=comment.created_at,
        )


class CommentPage(Body):
    """Comments, the oldest first."""

    items: tuple[CommentView, ...]
    next: UUID | None
    """To be sent as `after` for the next page; null on the last."""


@get("/assets/{asset_id:uuid}/comments", tags=["comments"])
async def list_comments(
    asset_id: FromPath[UUID],
    principal: Caller,
    parts: Wired,
    after: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> CommentPage:
    """List the comments of an asset, the oldest first."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _allowed(session, principal, "comment.read", asset_id)
        found = await db.comments_of(session, asset_id, after=after, limit=limit)
    items = tuple(CommentView.of(*each) for each in found)
    return CommentPage(items=items, next=items[-1].id if len(items) == limit else None)


@post("/assets/{asset_id:uuid}/comments", tags=["comments"])
async def add(asset_id: FromPath[UUID], data: JSONBody[NewComment], principal: Caller, parts: Wired) -> CommentView:
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
            drawing=_plain(data.drawing),
        )
    return CommentView.of(comment)


@patch("/comments/{comment_id:uuid}", tags=["comments"])
async def change(
    comment_id: FromPath[UUID], data: JSONBody[CommentChange], principal: Caller, parts: Wired
) -> CommentView:
    """Replace text and drawing of a comment; its times stay."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.update", comment.asset_id, comment)
        return CommentView.of(
            await db.edit_comment(session, comment_id, content=data.content, drawing=_plain(data.drawing))
        )


@delete("/comments/{comment_id:uuid}", status_code=HTTPStatus.NO_CONTENT, tags=["comments"])
async def remove(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Delete a comment, and with the first of a thread all answers."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.delete", comment.asset_id, comment)
        await db.delete_comment(session, comment_id)
        await db.record(
            session, actor_id=principal.user_id, action="comment.deleted", subject=f"asset:{comment.asset_id}",
            detail={"comment": str(comment_id), "author": str(comment.user_id)},
        )  # fmt: skip


@put("/comments/{comment_id:uuid}/resolution", tags=["comments"])
async def resolve(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> CommentView:
    """Resolve a thread; whoever may comment may do so."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.create", comment.asset_id)
        return CommentView.of(await db.resolve_comment(session, comment_id, by=principal.user_id))


@delete("/comments/{comment_id:uuid}/resolution", status_code=HTTPStatus.OK, tags=["comments"])
async def reopen(comment_id: FromPath[UUID], principal: Caller, parts: Wired) -> CommentView:
    """Open a resolved thread again."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        comment = await db.comment_by_id(session, comment_id)
        await _allowed(session, principal, "comment.create", comment.asset_id)
        return CommentView.of(await db.resolve_comment(session, comment_id, by=None))


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
        version = await db.latest_version(session, asset_id)
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
    """Return the asset, if the principal may do something to its comments, or to one of them."""
    asset = await db.asset_by_id(session, asset_id)
    about = await asset_resource(session, asset)
    owner_id = None if comment is None else comment.user_id
    require(principal, action, replace(about, kind="comment", owner_id=owner_id))
    return asset


def _plain(drawing: Drawing | None) -> dict[str, Any] | None:
    return None if drawing is None else drawing.model_dump(mode="json")


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


handlers: list[HTTPRouteHandler] = [list_comments, add, change, remove, resolve, reopen, export]
"""Below `/api`."""
