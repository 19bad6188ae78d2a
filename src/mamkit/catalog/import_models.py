"""The table of imports: media that is brought in by us, and not uploaded by a client."""

from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base, one_of
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = ["Import", "ImportKind", "ImportState"]

ImportKind = Literal["url", "folder", "bucket"]
ImportState = Literal["waiting", "running", "storing", "done", "failed", "cancelled"]
"""`storing` is past the last moment at which it can be cancelled."""

_SHA256 = String(64)  # hexadecimal
_LEFT = text("transfer IS NOT NULL AND ended_at IS NOT NULL")
_UNSETTLED = text("origin IS NOT NULL AND ended_at IS NOT NULL")


class Import(Base):
    """One file that is brought in; `mamkit.catalog.imports` and `mamkit.catalog.import_work` say what happens to it."""

    __tablename__ = "imports"
    __table_args__ = (
        one_of("kind", *get_args(ImportKind)),
        one_of("state", *get_args(ImportState)),
        Index(None, "workspace_id", "id"),
        Index(None, "user_id", "state"),
        Index(None, "user_id", "sha256"),
        Index(None, "kind", "state", "due_at"),
        Index(None, "ended_at"),
        Index("ix_imports_left", "id", postgresql_where=_LEFT, sqlite_where=_LEFT),
        Index("ix_imports_unsettled", "kind", "id", postgresql_where=_UNSETTLED, sqlite_where=_UNSETTLED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """Whose import it is: the owner of the asset that it makes."""
    asset_id: Mapped[UUID]
    """The asset that it makes, or that gets a new version."""
    new_asset: Mapped[bool]
    kind: Mapped[ImportKind] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(PlainText(1024))
    """Where from, as it may be shown: of a URL its host alone, since all the rest may be a secret."""
    sealed: Mapped[str | None] = mapped_column(Text)
    """The URL, sealed; None once it is not needed any more."""
    origin: Mapped[str | None] = mapped_column(_SHA256, unique=True)
    """Names what is brought in, so that nobody else brings it in meanwhile; None: others may."""
    title: Mapped[str] = mapped_column(PlainText(500))
    filename: Mapped[str] = mapped_column(PlainText(255))
    skip_known: Mapped[bool]
    """Whether bytes that the user has already make no new version."""
    sha256: Mapped[str | None] = mapped_column(_SHA256)
    """Of the bytes, once all are here."""
    state: Mapped[ImportState] = mapped_column(String(16), default="waiting")
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes that are here."""
    size: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes of the whole, where that is known."""
    attempts: Mapped[int] = mapped_column(default=0)
    """That failed since it last got on."""
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    lease: Mapped[UUID | None]
    """Of the process that works on it."""
    lease_until: Mapped[datetime | None]
    transfer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What is needed to go on with it, or to remove what it left in the store."""
    failure_code: Mapped[str | None] = mapped_column(PlainText(100))
    failure: Mapped[str | None] = mapped_column(PlainText(500))
    """Why the last attempt failed; without addresses and secrets."""
    version_id: Mapped[UUID | None]
    """What became of it; it may be gone."""
    duplicate: Mapped[bool] = mapped_column(default=False)
    """Whether that version was there before."""
    told_at: Mapped[datetime | None]
    """When an event last told of its progress."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    """When somebody first worked on it."""
    ended_at: Mapped[datetime | None]
