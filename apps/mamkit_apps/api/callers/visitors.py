"""Who comes by a share link: no user, and let into what is shared alone.

A token of a link is none of a login: no route but those below `/api/shared` takes it. The link is looked up with each
request, so that it ends at once when it is revoked. What a visitor reads is read in a session whose scope is the single
asset that the link was found to show, so that a query that asks for more gets nothing.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from mamkit.auth import (
    PermissionDeniedError,
    SealedValueError,
    ShareEndedError,
    SharePasswordError,
    TokenInvalidError,
    check_share_token,
    parse_share_token,
)
from mamkit.catalog import Asset, Scope, ShareLink, Version, VersionNotFoundError
from mamkit.catalog import share_links as links
from mamkit.catalog.assets import playing_version, version_by_id
from mamkit.clock import utc_now
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.callers.bearer import bearer_of
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.logs import note

__all__ = [
    "PASS",
    "Guest",
    "Visitor",
    "only",
    "open_link",
    "provide_visitor",
    "seal_pass",
    "shown_asset",
    "shown_version",
]

PASS = "share-pass"  # noqa: S105 - the name of a header
PASS_LIFETIME = timedelta(hours=12)  # a day's work; the link itself is looked up with each request


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Somebody who came by a link, and gave its password if it has one."""

    link: ShareLink
    address: str

    def require(self, right: links.Right) -> None:
        """Return if the link allows something beside looking.

        Raises:
            PermissionDeniedError: It does not.
        """
        if right not in self.link.rights:
            raise PermissionDeniedError(f"share.{right}", "this link is not for that")


Visitor = NamedDependency[Guest]
"""Who came by a share link, given to a handler by `provide_visitor`."""


async def open_link(request: Request[Any, Any, Any], parts: Parts) -> ShareLink:
    """Return the link whose token a request shows, whatever its password.

    Raises:
        TokenInvalidError: There is no token, or no such link.
        ShareEndedError: It was revoked, or its time has passed.
    """
    token = bearer_of(request.headers.get("authorization", ""))
    if not token:
        raise TokenInvalidError("this needs a share link: send its token as 'Authorization: Bearer …'")
    link_id = parse_share_token(token)
    async with parts.catalog.read() as session:
        link = await links.find_share_link(session, link_id)
    check_share_token(None if link is None else link.digest, token)
    if link is None or not links.is_open(link, at=utc_now()):
        raise ShareEndedError
    parts.good_keys.add(token)
    note(share_link_id=link.id)
    return link


async def provide_visitor(request: Request[Any, Any, Any], parts: Wired, address: Address) -> Guest:
    """Return who sent a request by a share link.

    Raises:
        TokenError: There is no such link, it has ended, or its password was not given of late.
    """
    link = await open_link(request, parts)
    if link.password_hash is not None and not _passes(parts, link, request.headers.get(PASS, "")):
        raise SharePasswordError
    return Guest(link=link, address=address)


def seal_pass(parts: Parts, link: ShareLink) -> tuple[str, datetime]:
    """Return what shows that somebody has given the password of a link, and until when it does.

    It names the password that was given: another one puts it out of date.
    """
    until = utc_now().replace(microsecond=0) + PASS_LIFETIME
    said = json.dumps([int(until.timestamp()), _password_name(link)]).encode()
    return parts.vault.seal(said, where=_where(link)), until


def _passes(parts: Parts, link: ShareLink, shown: str) -> bool:
    try:
        until, name = json.loads(parts.vault.open(shown, where=_where(link)))
    except SealedValueError:
        return False
    return utc_now() < datetime.fromtimestamp(until, UTC) and name == _password_name(link)


def _password_name(link: ShareLink) -> str:
    return hashlib.sha256((link.password_hash or "").encode()).hexdigest()


def _where(link: ShareLink) -> str:
    return f"share-pass:{link.id}"


def only(asset_id: UUID) -> Scope:
    """Return the scope of whoever was found to be shown one asset."""
    return Scope(assets=frozenset({asset_id}))


async def shown_asset(parts: Parts, guest: Guest, asset_id: UUID, *, action: str) -> Asset:
    """Return an asset that a visitor is shown, and note that they asked for it.

    Args:
        parts: Of the API.
        guest: Who asks.
        asset_id: What for.
        action: To be noted of the link, e.g. `looked`.

    Raises:
        AssetNotFoundError: The link shows no such asset.
    """
    note(asset_id=asset_id)
    async with parts.catalog.begin() as session:
        asset = await links.shows(session, guest.link, asset_id)
        await links.record_use(session, guest.link.id, action=action, address=guest.address, asset_id=asset_id)
    return asset


async def shown_version(parts: Parts, guest: Guest, asset: Asset) -> Version:
    """Return the version of an asset that a visitor is shown: the one that is shared, or else the one that plays.

    Args:
        parts: Of the API.
        guest: Who asks.
        asset: That `shown_asset` gave.

    Raises:
        VersionNotFoundError: There is none yet.
    """
    shared = guest.link.version_id
    async with parts.catalog.read(only(asset.id)) as session:
        version = await playing_version(session, asset) if shared is None else await version_by_id(session, shared)
    if version is None:
        raise VersionNotFoundError("of this asset yet")
    return version
