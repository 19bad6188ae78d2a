"""Comments: about a moment, a range or the whole of an asset, in threads that can be resolved."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._pages import check_limit
from mamkit.catalog.assets import asset_by_id
from mamkit.catalog.engine import now
from mamkit.catalog.events import tell
from mamkit.catalog.indexing import index
from mamkit.catalog.library_errors import (
    CommentNotFoundError,
    InvalidCommentError,
)
from mamkit.catalog.models import Asset, Comment, User

__all__ = [
    "MAX_COMMENT",
    "MAX_DRAWING",
    "MAX_NAME",
    "add_comment",
    "author_of",
    "comment_by_id",
    "comments_by_link",
    "comments_of",
    "delete_comment",
    "edit_comment",
    "resolve_comment",
]

MAX_COMMENT = 10_000
"""Most characters of a comment."""

MAX_NAME = 100
"""Most characters of a guest's name."""

MAX_DRAWING = 64 << 10
"""Most bytes of a drawing as JSON: some thousand points, and no way to fill the database."""

_LONGEST = 1e9  # seconds, some thirty years


async def add_comment(
    session: AsyncSession,
    *,
    asset_id: UUID,
    content: str,
    user_id: UUID | None = None,
    guest_name: str | None = None,
    share_link_id: UUID | None = None,
    start: float | None = None,
    stop: float | None = None,
    parent_id: UUID | None = None,
    drawing: Mapping[str, Any] | None = None,
) -> Comment:
    """Add a comment, and return it.

    Args:
        session: Of `Catalog.begin`.
        asset_id: About which asset; not one in the trash.
        content: 1 to `MAX_COMMENT` characters.
        user_id: Whose; they must be there. None: a guest's.
        guest_name: As a guest gives it, 1 to `MAX_NAME` characters; None: a user's.
        share_link_id: By which share link a guest came.
        start: Seconds; None for the asset as a whole.
        stop: Seconds, excluded; None for a moment.
        parent_id: The first comment of a thread that this is added to; the thread has the times.
        drawing: JSON values only; at most `MAX_DRAWING` bytes.

    Raises:
        AssetNotFoundError: There is no such asset that the session sees, or it lies in the trash.
        CommentNotFoundError: The asset has no such comment to answer to.
        InvalidCommentError: Text, times or drawing are out of bounds, an answer has times or is answered to, or it is
            not either a user's or a guest's with a name.
        InvalidTextError: The text cannot be stored.
    """
    _check(content, drawing)
    if (user_id is None) is (guest_name is None) or not 1 <= len((guest_name or "?").strip()) <= MAX_NAME:
        raise InvalidCommentError(f"a comment is a user's, or a guest's with a name of 1 to {MAX_NAME} characters")
    _check_times(start, stop, answers=parent_id is not None)
    asset = await asset_by_id(session, asset_id)
    if parent_id is not None:
        parent = await session.get(Comment, parent_id, with_for_update=True)  # it stays until the answer is there
        if parent is None or parent.asset_id != asset_id:
            raise CommentNotFoundError(parent_id)
        if parent.parent_id is not None:
            raise InvalidCommentError("answers are not answered to; add to the thread's first comment")
    comment = Comment(
        asset_id=asset_id,
        user_id=user_id,
        guest_name=guest_name,
        share_link_id=share_link_id,
        parent_id=parent_id,
        timestamp_sec=start,
        end_sec=stop,
        content=content,
        drawing=None if drawing is None else dict(drawing),
        created_at=now(session),
    )
    session.add(comment)
    await index(session, asset)
    await _tell(session, "comment.created", comment, asset)
    return comment


async def comment_by_id(session: AsyncSession, comment_id: UUID) -> Comment:
    """Return a comment.

    Raises:
        CommentNotFoundError: There is none with this id that the session sees.
    """
    comment = await session.get(Comment, comment_id)
    if comment is None:
        raise CommentNotFoundError(comment_id)
    return comment


async def author_of(session: AsyncSession, comment: Comment) -> str:
    """Return the display name of who wrote a comment: a user's, or the one that a guest gave."""
    if comment.guest_name is not None:
        return comment.guest_name
    return await session.scalar(select(User.display_name).where(User.id == comment.user_id)) or ""


async def comments_by_link(session: AsyncSession, share_link_id: UUID) -> int:
    """Return how many comments came by a share link, of those that the session sees."""
    return await session.scalar(select(func.count(Comment.id)).where(Comment.share_link_id == share_link_id)) or 0


async def comments_of(
    session: AsyncSession,
    asset_id: UUID,
    *,
    parent_id: UUID | None = None,
    resolved: bool | None = None,
    after: UUID | None = None,
    limit: int = 100,
) -> Sequence[tuple[Comment, str]]:
    """Return comments of an asset, the oldest first, each with the name of who wrote it, as `author_of` gives it.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        asset_id: Of which asset.
        parent_id: Only the answers to this one; None: all comments.
        resolved: Only the first comments of threads that are resolved, or that are not; None: that does not matter.
        after: The id of the last comment of the page before; it need not exist any more.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
    """
    check_limit(limit)
    name = func.coalesce(Comment.guest_name, User.display_name)
    query = select(Comment, name).join(User, User.id == Comment.user_id, isouter=True)
    if parent_id is not None:
        query = query.where(Comment.parent_id == parent_id)
    if resolved is not None:
        query = query.where(Comment.parent_id.is_(None), Comment.resolved_at.is_not(None) == resolved)
    query = query.where(Comment.asset_id == asset_id).order_by(Comment.id).limit(limit)
    if after is not None:
        query = query.where(Comment.id > after)
    return [(comment, name) for comment, name in await session.execute(query)]


async def edit_comment(
    session: AsyncSession, comment_id: UUID, *, content: str, drawing: Mapping[str, Any] | None = None
) -> Comment:
    """Replace text and drawing of a comment, and return it; its times stay.

    Raises:
        CommentNotFoundError: There is none with this id that the session sees.
        InvalidCommentError: Text or drawing are out of bounds.
        InvalidTextError: The text cannot be stored.
    """
    _check(content, drawing)
    comment = await comment_by_id(session, comment_id)
    comment.content, comment.drawing = content, None if drawing is None else dict(drawing)
    comment.edited_at = now(session)
    await _index_asset(session, comment.asset_id)
    await _tell(session, "comment.changed", comment)
    return comment


async def resolve_comment(session: AsyncSession, comment_id: UUID, *, by: UUID | None) -> Comment:
    """Resolve a thread, or open it again, and return its first comment; one that is so already stays as it is.

    Args:
        session: Of `Catalog.begin`.
        comment_id: The first comment of the thread.
        by: Who resolves it; None opens it again.

    Raises:
        CommentNotFoundError: There is none with this id that the session sees.
        InvalidCommentError: It is an answer.
    """
    comment = await comment_by_id(session, comment_id)
    if comment.parent_id is not None:
        raise InvalidCommentError("an answer is not resolved; the thread's first comment is")
    if (comment.resolved_at is None) is not (by is None):
        comment.resolved_by, comment.resolved_at = by, None if by is None else now(session)
        await session.flush()
        await _tell(session, "comment.reopened" if by is None else "comment.resolved", comment)
    return comment


async def delete_comment(session: AsyncSession, comment_id: UUID) -> None:
    """Delete a comment, and with the first of a thread all answers.

    Raises:
        CommentNotFoundError: There is none with this id that the session sees.
    """
    comment = await comment_by_id(session, comment_id)
    await session.delete(comment)
    await _index_asset(session, comment.asset_id)
    await _tell(session, "comment.deleted", comment)


async def _tell(session: AsyncSession, kind: str, comment: Comment, asset: Asset | None = None) -> None:
    asset = asset or await session.get(Asset, comment.asset_id)
    if asset is not None:
        parent = None if comment.parent_id is None else str(comment.parent_id)
        data = {"comment_id": str(comment.id), "parent_id": parent, "user_id": str(comment.user_id)}
        await tell(session, kind, asset.workspace_id, asset.id, data)


async def _index_asset(session: AsyncSession, asset_id: UUID) -> None:
    await session.flush()
    asset = await session.get(Asset, asset_id)
    if asset is not None:
        await index(session, asset)


def _check(content: str, drawing: Mapping[str, Any] | None) -> None:
    if not 1 <= len(content.strip()) <= len(content) <= MAX_COMMENT:
        raise InvalidCommentError(f"a comment has 1 to {MAX_COMMENT} characters, not {len(content)}, nor spaces alone")
    if drawing is not None:
        try:
            size = len(json.dumps(drawing, allow_nan=False).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidCommentError("a drawing holds JSON values only") from error
        if size > MAX_DRAWING:
            raise InvalidCommentError(f"a drawing of {size} bytes is too large; it has at most {MAX_DRAWING}")


def _check_times(start: float | None, stop: float | None, *, answers: bool) -> None:
    if answers and (start, stop) != (None, None):
        raise InvalidCommentError("an answer has no times of its own")
    if start is None and stop is not None:
        raise InvalidCommentError("a range needs a start")
    if start is not None and not (math.isfinite(start) and 0 <= start <= _LONGEST):
        raise InvalidCommentError(f"a comment cannot be about second {start}")
    if start is not None and stop is not None and not (math.isfinite(stop) and start < stop <= _LONGEST):
        raise InvalidCommentError(f"a range from second {start} cannot end at {stop}")
