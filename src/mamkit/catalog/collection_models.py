"""The tables of collections: assets put together by hand or by a filter."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import SORT_KEY, Base
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = ["Collection", "CollectionItem"]


class Collection(Base):
    """Assets of a workspace that are looked at together."""

    __tablename__ = "collections"
    __table_args__ = (Index(None, "workspace_id", "parent_id", "position", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    """Who made it: its owner."""
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), index=True)
    """In which it lies; None: in no other."""
    position: Mapped[str] = mapped_column(SORT_KEY)
    """Where it stands among those that lie in the same: a key of `mamkit.catalog.order_keys`."""
    name: Mapped[str] = mapped_column(PlainText(200))
    filter: Mapped[dict[str, Any] | None]
    """What it shows, as `AssetFilter.as_json` writes it; None: what is put in by hand."""
    revision: Mapped[int] = mapped_column(default=1)
    """Grows with every change of the above."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class CollectionItem(Base):
    """That an asset was put into a collection, and where it stands there."""

    __tablename__ = "collection_items"
    __table_args__ = (Index(None, "collection_id", "position", "asset_id"),)

    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, index=True)
    position: Mapped[str] = mapped_column(SORT_KEY)
    added_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
