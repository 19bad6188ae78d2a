"""The tables of workspaces: who works together, and in which role."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base, one_of
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = ["Membership", "Workspace", "WorkspaceKind", "WorkspaceRole"]

WorkspaceKind = Literal["personal", "shared"]
WorkspaceRole = Literal["owner", "editor", "reviewer", "viewer"]


class Workspace(Base):
    """What assets belong to, and what people are members of."""

    __tablename__ = "workspaces"
    __table_args__ = (one_of("kind", "personal", "shared"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    """A personal one has the id of its user."""
    name: Mapped[str] = mapped_column(PlainText(200))
    kind: Mapped[WorkspaceKind] = mapped_column(String(16), default="shared")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Membership(Base):
    """That a user works in a workspace, and in which role."""

    __tablename__ = "memberships"
    __table_args__ = (one_of("role", "owner", "editor", "reviewer", "viewer"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[WorkspaceRole] = mapped_column(String(16))
    """In a personal workspace `owner`; what it allows there is bounded by the roles of the account."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
