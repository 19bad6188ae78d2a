"""The bodies of requests and answers about comments."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from mamkit.catalog import Comment
from mamkit.catalog.comments import MAX_COMMENT
from mamkit_apps.api.bodies import Body

__all__ = [
    "CommentChange",
    "CommentPage",
    "CommentView",
    "Content",
    "Drawing",
    "NewComment",
    "Seconds",
    "plain",
]

Content = Annotated[str, Field(min_length=1, max_length=MAX_COMMENT)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


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
    user_id: UUID | None
    """Null: a guest's."""
    author: str
    """The display name, or the one that a guest gave."""
    guest: bool
    """Whether somebody wrote it who came by a share link."""
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
    def of(cls, comment: Comment, author: str) -> Self:
        """Return the view of a row."""
        return cls(
            id=comment.id,
            asset_id=comment.asset_id,
            user_id=comment.user_id,
            author=author,
            guest=comment.user_id is None,
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


def plain(drawing: Drawing | None) -> dict[str, Any] | None:
    """Return a drawing as the catalog keeps it."""
    return None if drawing is None else drawing.model_dump(mode="json")
