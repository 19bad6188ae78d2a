"""The tables of share links, and what was done with each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = ["ShareLink", "ShareUse"]

_SHA256 = String(64)  # hexadecimal


class ShareLink(Base):
    """That whoever has a token sees an asset, a version of one, or a collection; exactly one of them."""

    __tablename__ = "share_links"
    __table_args__ = (
        CheckConstraint(
            "(asset_id IS NULL) <> (collection_id IS NULL) AND (version_id IS NULL OR asset_id IS NOT NULL)",
            name="shared",
        ),
        Index(None, "workspace_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    """Who made it."""
    asset_id: Mapped[UUID | None] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[UUID | None] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), index=True)
    """The only version that is shown; None: the one that the asset plays."""
    collection_id: Mapped[UUID | None] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(PlainText(200), default="")
    digest: Mapped[str] = mapped_column(_SHA256)
    """Of the token, which is kept nowhere; `mamkit.auth.share_tokens` makes both."""
    rights: Mapped[list[str]]
    """Beside looking: `comment`, `download`."""
    password_hash: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)
    """Grows with every change of it."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ShareUse(Base):
    """Something that somebody did by a share link. Rows are only ever added, and go with their link."""

    __tablename__ = "share_uses"
    __table_args__ = (Index(None, "link_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    link_id: Mapped[UUID] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(PlainText(100))
    address: Mapped[str] = mapped_column(PlainText(64))
    """Where from, as far as the service knew."""
    asset_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
