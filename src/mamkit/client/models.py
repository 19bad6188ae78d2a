"""What the API answers, as values. Members that this version does not know are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

__all__ = ["Asset", "Import", "PlaybackUrl", "Preview", "User", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account."""

    id: UUID
    email: str
    display_name: str
    roles: tuple[str, ...]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "User":
        """Return the value of a document."""
        return cls(
            id=UUID(found["id"]),
            email=found["email"],
            display_name=found["display_name"],
            roles=tuple(found["roles"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Something that was uploaded, in all its versions."""

    id: UUID
    user_id: UUID
    """Its owner."""
    title: str
    created_at: datetime

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Asset":
        """Return the value of a document."""
        return cls(
            id=UUID(found["id"]),
            user_id=UUID(found["user_id"]),
            title=found["title"],
            created_at=datetime.fromisoformat(found["created_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A master of an asset."""

    id: UUID
    asset_id: UUID
    number: int
    """From 1."""
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal."""
    created_at: datetime

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Version":
        """Return the value of a document."""
        return cls(
            id=UUID(found["id"]),
            asset_id=UUID(found["asset_id"]),
            number=found["number"],
            size=found["size"],
            sha256=found["sha256"],
            created_at=datetime.fromisoformat(found["created_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Something that the service fetches by itself."""

    id: UUID
    state: Literal["waiting", "running", "storing", "done", "failed", "cancelled"]
    """`storing` is past the last moment at which it can be cancelled."""
    received: int
    """Bytes."""
    size: int | None
    """Bytes of the whole; None where the source has not said."""
    failure_code: str | None
    """Why the last attempt failed, as a stable code; None if none did."""
    failure: str | None
    asset_id: UUID | None
    """None while a new asset is not made yet."""
    version_id: UUID | None
    """None until it is done."""
    duplicate: bool
    """Whether that version was there before."""

    @property
    def is_over(self) -> bool:
        """Whether it does not change any more."""
        return self.state in {"done", "failed", "cancelled"}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Import":
        """Return the value of a document."""
        asset_id, version_id = (
            None if found[name] is None else UUID(found[name]) for name in ("asset_id", "version_id")
        )
        same = ("state", "received", "size", "failure_code", "failure", "duplicate")
        return cls(
            id=UUID(found["id"]), asset_id=asset_id, version_id=version_id, **{name: found[name] for name in same}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """How far the preview of a version is."""

    version_id: UUID
    status: Literal["queued", "building", "playable", "ready", "failed"]
    progress: float
    """From 0 to 1."""
    failure: str | None
    """Why it failed; None if it did not."""

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Preview":
        """Return the value of a document."""
        return cls(
            version_id=UUID(found["version_id"]),
            status=found["status"],
            progress=found["progress"],
            failure=found["failure"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackUrl:
    """Where a player finds a preview, until it expires."""

    url: str = field(repr=False)  # whoever has it can play
    expires_at: datetime

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "PlaybackUrl":
        """Return the value of a document."""
        return cls(url=found["url"], expires_at=datetime.fromisoformat(found["expires_at"]))
