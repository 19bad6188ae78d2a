"""The tables. Ids are UUIDs of version 7, times are aware and in UTC, sizes are bytes.

Rows are loaded whole and have no lazy relationships, so that they can be used after their session is closed.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal, get_args
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mamkit.catalog.types import PlainText, UTCDateTime
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = [
    "SESSIONS",
    "Asset",
    "AssetKind",
    "AssetStatus",
    "AssetTag",
    "AuditEvent",
    "Base",
    "Comment",
    "Leftover",
    "PartStatus",
    "Preview",
    "PreviewPart",
    "PreviewStatus",
    "Role",
    "Session",
    "User",
    "UserRole",
    "UserStatus",
    "Version",
    "one_of",
]

UserStatus = Literal["active", "disabled"]
PreviewStatus = Literal["queued", "building", "playable", "ready", "failed"]
AssetKind = Literal["unknown", "video", "audio", "image"]
AssetStatus = Literal["new", "queued", "building", "playable", "ready", "failed"]
PartStatus = Literal["waiting", "running", "done", "failed"]

_STATUS = String(16)
_SHA256 = String(64)  # hexadecimal
SORT_KEY = String(200).with_variant(String(200, collation="C"), "postgresql")  # by code points, on both databases
_KEY = PlainText(1024)  # the longest key that S3 takes, bytes


def one_of(column: str, *values: str) -> CheckConstraint:
    """Return the constraint that a column holds one of some values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Base(DeclarativeBase):
    """Base of the tables; constraints have names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: Uuid,
        datetime: UTCDateTime,
        str: PlainText,
        float: Double,
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON,
    }

    def __repr__(self) -> str:
        """Show the primary key alone: a row may hold secrets, and what is not loaded must not be asked for."""
        return f"<{type(self).__name__} {' '.join(map(str, inspect(self).identity or ('that is not stored yet',)))}>"


class User(Base):
    """Somebody with an account."""

    __tablename__ = "users"
    __table_args__ = (one_of("status", "active", "disabled"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str] = mapped_column(PlainText(254), unique=True)
    """Folded by `users.fold_email`."""
    display_name: Mapped[str] = mapped_column(PlainText(200))
    password_hash: Mapped[str | None] = mapped_column(Text)
    """None for those who log in elsewhere."""
    status: Mapped[UserStatus] = mapped_column(_STATUS, default="active")
    authz_version: Mapped[int] = mapped_column(default=1)
    """Grows whenever the user's rights change; access tokens with a smaller one are out of date."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Role(Base):
    """A named set of permissions."""

    __tablename__ = "roles"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(PlainText(64), unique=True)
    permissions: Mapped[list[str]]


class UserRole(Base):
    """A role that a user has."""

    __tablename__ = "user_roles"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True)


class Session(Base):
    """A link of a chain of refresh tokens. `mamkit.auth.sql` reads and writes this table, and says what it means."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    jti: Mapped[UUID] = mapped_column(unique=True)
    family: Mapped[UUID] = mapped_column(index=True)
    refresh_token_hash: Mapped[str] = mapped_column(_SHA256, unique=True)
    parent_jti: Mapped[UUID | None]
    replaced_by_jti: Mapped[UUID | None]
    replaced_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


SESSIONS = Base.metadata.tables["sessions"]
"""The same as a table, for `mamkit.auth.sql.SqlSessionStore`."""


class Asset(Base):
    """Something that a user uploaded, or is about to upload."""

    __tablename__ = "assets"
    __table_args__ = (
        Index(None, "workspace_id", "trashed", "id"),  # serves the pages of a workspace: by age,
        Index(None, "workspace_id", "trashed", "title_key", "id"),  # by title,
        Index(None, "workspace_id", "trashed", "duration_sec", "id"),  # by length
        one_of("kind", *get_args(AssetKind)),
        one_of("status", *get_args(AssetStatus)),
        Index(None, "user_id", "id"),  # … and those of one owner
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """Who uploaded it: its owner."""
    title: Mapped[str] = mapped_column(PlainText(500))
    staging_key: Mapped[str] = mapped_column(_KEY, unique=True)
    size: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes, as the client said."""
    sha256: Mapped[str | None] = mapped_column(_SHA256)
    """As the client said."""
    content_type: Mapped[str | None] = mapped_column(PlainText(255))
    original_name: Mapped[str | None] = mapped_column(PlainText(1024))
    description: Mapped[str] = mapped_column(PlainText(10_000), default="")
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the workspace notes of it: names and JSON values."""
    title_key: Mapped[str] = mapped_column(SORT_KEY)
    """The title as it is sorted."""
    kind: Mapped[AssetKind] = mapped_column(_STATUS, default="unknown")
    """This and the next five are of the version that plays: as its probe found it, and how its preview is."""
    status: Mapped[AssetStatus] = mapped_column(_STATUS, default="new")
    duration_sec: Mapped[float] = mapped_column(default=0.0)
    """0 where it is not known, as for the sizes."""
    width: Mapped[int] = mapped_column(default=0)
    """Pixels, as the picture is shown."""
    height: Mapped[int] = mapped_column(default=0)
    codec: Mapped[str] = mapped_column(PlainText(32), default="")
    """Of the picture, or of the sound where there is none; FFmpeg's name."""
    playing_number: Mapped[int | None]
    """Of the version that plays; None: the newest."""
    revision: Mapped[int] = mapped_column(default=1)
    """Grows with every change that somebody makes."""
    trashed: Mapped[bool] = mapped_column(default=False)
    trashed_at: Mapped[datetime | None]
    purging: Mapped[bool] = mapped_column(default=False)
    """Whether its objects are being removed: it comes back no more."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class AssetTag(Base):
    """A tag of an asset."""

    __tablename__ = "asset_tags"
    __table_args__ = (Index(None, "tag", "asset_id"),)

    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(PlainText(64), primary_key=True)


class Version(Base):
    """A master of an asset: what was promoted, as the store found it."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("asset_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    number: Mapped[int]
    """1, 2, 3 … within the asset."""
    master_key: Mapped[str] = mapped_column(_KEY, unique=True)
    preview_prefix: Mapped[str] = mapped_column(_KEY)
    facts: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    """What the probe found; None until then. (`metadata` itself is SQLAlchemy's.)"""
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(_SHA256)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Preview(Base):
    """How far the preview of a version is."""

    __tablename__ = "previews"
    __table_args__ = (
        one_of("status", "queued", "building", "playable", "ready", "failed"),
        Index(None, "status", "updated_at"),
    )

    version_id: Mapped[UUID] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[PreviewStatus] = mapped_column(_STATUS, default="queued")
    job_id: Mapped[UUID | None]
    """The job that makes the plan."""
    plan: Mapped[dict[str, Any] | None]
    generation: Mapped[int] = mapped_column(default=1, server_default="1")
    """How often it was begun from nothing."""
    prefix: Mapped[str | None] = mapped_column(_KEY)
    """Where this generation is made; None: where the version says. Once it plays, the version says the same."""
    serving: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether an earlier generation plays while this one is made; the version says where that lies."""
    by_processor: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether no card is to make it any more."""
    failure_code: Mapped[str | None] = mapped_column(PlainText(100))
    failure: Mapped[str | None]
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with every change of the preview or of one of its parts."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    playable_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    """When an event last told of its progress."""
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Leftover(Base):
    """Objects below a prefix that are to be removed later: whoever has a URL may still read them, or a worker write."""

    __tablename__ = "leftovers"

    prefix: Mapped[str] = mapped_column(_KEY, primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(index=True)
    """Whose; it may be gone."""
    remove_at: Mapped[datetime] = mapped_column(index=True)


class PreviewPart(Base):
    """A part of a preview's plan that one worker encodes."""

    __tablename__ = "parts"
    __table_args__ = (
        UniqueConstraint("version_id", "index"),
        one_of("status", "waiting", "running", "done", "failed"),
        CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("previews.version_id", ondelete="CASCADE"))
    index: Mapped[int]
    kind: Mapped[str] = mapped_column(PlainText(16))
    status: Mapped[PartStatus] = mapped_column(_STATUS, default="waiting")
    job_id: Mapped[UUID | None]
    progress: Mapped[float] = mapped_column(default=0.0)
    """From 0 to 1."""
    result: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class Comment(Base):
    """What somebody says about a moment of an asset, or answers to it."""

    __tablename__ = "comments"
    __table_args__ = (
        CheckConstraint("timestamp_sec >= 0", name="timestamp_sec"),
        CheckConstraint("end_sec > timestamp_sec", name="end_sec"),
        CheckConstraint("(user_id IS NULL) <> (guest_name IS NULL)", name="author"),
        Index(None, "asset_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    """None: a guest wrote it, by a share link."""
    guest_name: Mapped[str | None] = mapped_column(PlainText(200))
    """As the guest gave it; nobody has checked it."""
    share_link_id: Mapped[UUID | None] = mapped_column(ForeignKey("share_links.id", ondelete="SET NULL"), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("comments.id", ondelete="CASCADE"), index=True)
    """Which comment it answers to; None for the first of a thread."""
    timestamp_sec: Mapped[float | None]
    """Seconds from the start; None for the asset as a whole."""
    end_sec: Mapped[float | None]
    """Where what is meant ends, excluded; None for a moment."""
    content: Mapped[str]
    drawing: Mapped[dict[str, Any] | None]
    """What is drawn over the picture."""
    resolved_at: Mapped[datetime | None]
    """Of a thread, at its first comment."""
    resolved_by: Mapped[UUID | None]
    edited_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class AuditEvent(Base):
    """Something that somebody did. Rows are only ever added; they outlive the users they name."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "subject", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    actor_id: Mapped[UUID | None] = mapped_column(index=True)
    """None for the system itself."""
    action: Mapped[str] = mapped_column(PlainText(100))
    subject: Mapped[str] = mapped_column(PlainText(200))
    detail: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
