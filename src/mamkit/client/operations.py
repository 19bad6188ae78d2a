"""What a client can ask for, as steps."""

from typing import Any
from uuid import UUID

from mamkit.client.models import Asset, PlaybackUrl, Preview, User, Version
from mamkit.client.steps import Credentials, Pause, Steps, api

__all__ = ["assets_page", "duplicates", "get_asset", "get_preview", "log_in", "me", "sign", "versions", "wait"]

LOOK_EVERY = 1.0  # seconds between two looks at a preview


def log_in(credentials: Credentials, email: str, password: str) -> Steps[None]:
    """Be somebody, until the session ends."""
    credentials.take((yield from api(credentials, "POST", "/auth/login", {"email": email, "password": password})))


def me(credentials: Credentials) -> Steps[User]:
    """Return who asks."""
    return User.read((yield from api(credentials, "GET", "/auth/me")))


def assets_page(
    credentials: Credentials, after: str | None, *, mine: bool, limit: int
) -> Steps[tuple[list[Asset], str | None]]:
    """Return a page of assets and where the next one begins; None on the last."""
    params = {"limit": str(limit), "mine": str(mine).lower()} | ({} if after is None else {"after": after})
    found = yield from api(credentials, "GET", "/api/assets", params=params)
    return [Asset.read(each) for each in found["items"]], found["next"]


def get_asset(credentials: Credentials, asset_id: UUID) -> Steps[Asset]:
    """Return an asset."""
    return Asset.read((yield from api(credentials, "GET", f"/api/assets/{asset_id}")))


def versions(credentials: Credentials, asset_id: UUID) -> Steps[list[Version]]:
    """Return the masters of an asset, newest first."""
    found = yield from api(credentials, "GET", f"/api/assets/{asset_id}/versions")
    return [Version.read(each) for each in found]


def duplicates(credentials: Credentials, sha256: str) -> Steps[list[Version]]:
    """Return the versions of this user's assets that have just these bytes."""
    found = yield from api(credentials, "GET", "/api/uploads/duplicates", params={"sha256": sha256})
    return [Version.read(each) for each in found]


def get_preview(credentials: Credentials, version_id: UUID) -> Steps[Preview]:
    """Return how far a preview is."""
    params = {"version_id": str(version_id)}
    return Preview.read((yield from api(credentials, "GET", "/api/preview/status", params=params)))


def wait(credentials: Credentials, version_id: UUID) -> Steps[Preview]:
    """Return a preview once it is ready or has failed."""
    while True:
        found = yield from get_preview(credentials, version_id)
        if found.status in {"ready", "failed"}:
            return found
        yield Pause(seconds=LOOK_EVERY)


def sign(credentials: Credentials, version_id: UUID, lifetime_seconds: int | None) -> Steps[PlaybackUrl]:
    """Return where to play a preview."""
    body: dict[str, Any] = {"version_id": str(version_id), "lifetime_seconds": lifetime_seconds}
    return PlaybackUrl.read((yield from api(credentials, "POST", "/api/sign-preview", body)))
