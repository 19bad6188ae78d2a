"""What a client can ask for, as steps."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from mamkit.client.models import Asset, Import, PlaybackUrl, Preview, User, Version
from mamkit.client.steps import Credentials, Pause, Progress, Steps, api
from mamkit.ids import uuid7

__all__ = [
    "assets_page",
    "cancel_import",
    "duplicates",
    "get_asset",
    "get_import",
    "get_preview",
    "import_url",
    "log_in",
    "me",
    "sign",
    "versions",
    "wait",
    "wait_for_import",
]

LOOK_EVERY = 1.0  # seconds between two looks at something that is waited for
SELDOM = 5.0  # seconds between two looks at what takes long: of a film of hours, the last few seconds matter to nobody
OFTEN = 30  # looks, after each so many of which there is a second more between two


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


def import_url(
    credentials: Credentials,
    url: str,
    *,
    title: str,
    asset_id: UUID | None,
    workspace_id: UUID | None,
    skip_known: bool,
) -> Steps[Import]:
    """Let the service fetch what is at a URL."""
    body: dict[str, Any] = {"url": url, "title": title, "skip_known": skip_known}
    body |= {"asset_id": asset_id and str(asset_id), "workspace_id": workspace_id and str(workspace_id)}
    return Import.read((yield from api(credentials, "POST", "/api/imports", body, key=uuid7().hex)))


def get_import(credentials: Credentials, import_id: UUID) -> Steps[Import]:
    """Return how far an import is."""
    return Import.read((yield from api(credentials, "GET", f"/api/imports/{import_id}")))


def cancel_import(credentials: Credentials, import_id: UUID) -> Steps[Import]:
    """Give an import up."""
    return Import.read((yield from api(credentials, "POST", f"/api/imports/{import_id}/cancel")))


def wait_for_import(credentials: Credentials, import_id: UUID, progress: Progress | None) -> Steps[Import]:
    """Return an import once it is over."""
    looks = 0
    while True:
        found = yield from get_import(credentials, import_id)
        if progress is not None and found.size is not None:
            progress(found.received, found.size)
        if found.is_over:
            return found
        yield _pause(looks := looks + 1)


def get_preview(credentials: Credentials, version_id: UUID) -> Steps[Preview]:
    """Return how far a preview is."""
    params = {"version_id": str(version_id)}
    return Preview.read((yield from api(credentials, "GET", "/api/preview/status", params=params)))


def wait(credentials: Credentials, version_id: UUID, progress: Callable[[Preview], object] | None) -> Steps[Preview]:
    """Return a preview once it is ready or has failed."""
    looks = 0
    while True:
        found = yield from get_preview(credentials, version_id)
        if progress is not None:
            progress(found)
        if found.status in {"ready", "failed"}:
            return found
        yield _pause(looks := looks + 1)


def _pause(looks: int) -> Pause:
    """Return the pause after so many looks, so that waiting for hours fills nobody's log."""
    return Pause(seconds=min(SELDOM, LOOK_EVERY + looks // OFTEN))


def sign(credentials: Credentials, version_id: UUID, lifetime_seconds: int | None) -> Steps[PlaybackUrl]:
    """Return where to play a preview."""
    body: dict[str, Any] = {"version_id": str(version_id), "lifetime_seconds": lifetime_seconds}
    return PlaybackUrl.read((yield from api(credentials, "POST", "/api/sign-preview", body)))
