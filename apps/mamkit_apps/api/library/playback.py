"""What playing takes: grants for a preview, its poster, storyboard and waveform, and for a master."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_network
from itertools import islice
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from mamkit import catalog as db
from mamkit.catalog import Version
from mamkit.clock import utc_now
from mamkit.signing import Grant
from mamkit.storage import SignsDownloads, UnsupportedOperationError
from mamkit.transcode import INDEX_NAME, POSTER_NAME
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.bodies import Body, SignedUrl
from mamkit_apps.api.callers.access import Caller, allowed_asset, readable_version, scope_of
from mamkit_apps.api.library.schemas import Lifetime, PlaybackUrl, SignRequest
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts, Wired

__all__ = [
    "ART",
    "Artwork",
    "PlaybackOptions",
    "PlaybackRequest",
    "artwork_of",
    "download_of",
    "lifetime_of",
    "routes",
    "short_lifetime",
    "sign_playback",
]

ART = "art/"  # folder of the artwork below a preview's prefix
SHORT = 900  # seconds for which a visitor's URLs last at most: what still plays after a link was revoked
MOST_ART = 1000  # objects; a storyboard of a day has some hundred sheets
Kind = Literal["poster", "thumbnail", "storyboard", "waveform"]
KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind)}


class PlaybackOptions(Lifetime):
    """How somebody wants to play a preview."""

    bind_address: bool = False
    """Let only the address that this request came from use the URL. A phone that changes networks has to ask again."""
    carrier: Literal["path", "cookie"] = "path"
    """Where the right to play stands: in the URL, or in a cookie that the answer sets. The latter takes an API and an
    edge with one host name."""


class PlaybackRequest(PlaybackOptions, SignRequest):
    """A preview that somebody wants to play."""


class ArtworkItem(Body):
    """A piece of artwork."""

    kind: Kind
    name: str
    """E.g. `poster.jpg`."""
    content_type: str
    size: int
    """Bytes."""
    url: SignedUrl


class Artwork(Body):
    """The artwork of a version, as far as it is made."""

    items: tuple[ArtworkItem, ...]
    expires_at: datetime
    """Of the URLs."""


@get("/preview/artwork")
async def artwork(
    version_id: FromQuery[UUID],
    principal: Caller,
    parts: Wired,
    lifetime_seconds: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> Artwork:
    """List the artwork of a version, with URLs that show it until they expire.

    A film has a poster, a storyboard and a waveform, as far as they are made; an image a poster and a thumbnail.
    The storyboard's `.vtt` names its sheets by relative addresses, which its own URL leads to.
    """
    _, version = await readable_version(parts, principal, version_id)
    return await artwork_of(parts, version, lifetime_seconds)


async def artwork_of(parts: Parts, version: Version, lifetime_seconds: int | None) -> Artwork:
    """Return the artwork of a version, as far as it is made.

    Raises:
        InvalidRequestError: The lifetime is out of bounds.
    """
    prefix = version.preview_prefix + ART
    expires_at = utc_now() + lifetime_of(parts.settings, lifetime_seconds)
    grant = Grant(scope=prefix, expires_at=expires_at)
    store = parts.zones.previews
    there = await asyncio.to_thread(lambda: list(islice(store.list(prefix), MOST_ART)))
    items = [
        ArtworkItem(
            kind=kind,
            name=info.key.removeprefix(prefix),
            content_type=info.content_type,
            size=info.size,
            url=parts.signer.url(parts.settings.edge_url, grant, info.key),
        )
        for info in there
        if (kind := KINDS.get(info.key.removeprefix(prefix).partition(".")[0].partition("_")[0])) is not None
    ]
    return Artwork(items=tuple(items), expires_at=grant.expires_at)


@post("/sign-download", status_code=HTTPStatus.OK)
async def sign_download(data: JSONBody[SignRequest], principal: Caller, parts: Wired) -> PlaybackUrl:
    """Return a URL that sends the master of a version, as it was uploaded, until it expires."""
    async with parts.catalog.read(scope_of(principal)) as session:
        version = await db.version_by_id(session, data.version_id)
        asset = await allowed_asset(session, principal, "asset.download", version.asset_id)
    signed = await download_of(parts, version, data.lifetime_seconds)
    async with parts.catalog.begin() as session:
        await db.record(
            session, actor_id=principal.user_id, action="asset.download_signed", subject=f"asset:{asset.id}",
            detail={"version": str(version.id)},
        )  # fmt: skip
    return signed


async def download_of(parts: Parts, version: Version, lifetime_seconds: int | None) -> PlaybackUrl:
    """Return a URL that sends the master of a version.

    Raises:
        InvalidRequestError: The lifetime is out of bounds.
        UnsupportedOperationError: The store of masters signs no downloads.
    """
    store = parts.zones.masters
    if not isinstance(store, SignsDownloads):
        raise UnsupportedOperationError("the store of masters signs no downloads")
    lifetime = lifetime_of(parts.settings, lifetime_seconds)
    request = await asyncio.to_thread(store.sign_get, version.master_key, expires_in=lifetime)
    return PlaybackUrl(url=request.url, expires_at=request.expires_at)


def sign_playback(parts: Parts, asked: PlaybackOptions, version: Version, address: str) -> Response[PlaybackUrl]:
    """Return the URL that plays a preview, and the cookie that goes with it if one was asked for.

    Args:
        parts: Of the API.
        asked: What for.
        version: Whose preview it is; of a still image its poster is shown.
        address: Where the request came from.

    Raises:
        InvalidRequestError: The lifetime is out of bounds, the address is none, or a cookie would not reach the edge.
    """
    prefix, network = version.preview_prefix, None
    name = POSTER_NAME if version.facts and version.facts.get("image") else INDEX_NAME
    if asked.bind_address:
        try:
            network = ip_network(address)
        except ValueError as error:
            raise InvalidRequestError("bind_address: this request has no network address") from error
    expires_at = utc_now() + lifetime_of(parts.settings, asked.lifetime_seconds)
    grant = Grant(scope=prefix, expires_at=expires_at, address=network)
    if asked.carrier == "path":
        url = parts.signer.url(parts.settings.edge_url, grant, prefix + name)
        return Response(PlaybackUrl(url=url, expires_at=grant.expires_at))
    edge, api = urlsplit(parts.settings.edge_url), urlsplit(parts.settings.api_url)
    if edge.hostname != api.hostname:
        raise InvalidRequestError("carrier: a cookie of this API would not reach the edge; ask for path")
    https = edge.scheme == "https"  # without it, browsers take no cookie for players on other sites
    cookie = parts.signer.cookie(parts.settings.edge_url, grant, secure=https, same_site="None" if https else "Lax")
    url = f"{parts.settings.edge_url}/s/{prefix}{name}"
    return Response(PlaybackUrl(url=url, expires_at=grant.expires_at), headers={"set-cookie": cookie})


def lifetime_of(settings: ApiSettings, seconds: int | None) -> timedelta:
    """Return how long something is signed for; the longest if nothing is asked for.

    Raises:
        InvalidRequestError: It is out of the service's bounds.
    """
    shortest, longest = settings.sign_bounds
    if seconds is not None and not shortest.total_seconds() <= seconds <= longest.total_seconds():
        raise InvalidRequestError(
            f"lifetime_seconds: must lie between {shortest.total_seconds():.0f} and {longest.total_seconds():.0f}"
        )
    return longest if seconds is None else timedelta(seconds=seconds)


def short_lifetime(settings: ApiSettings, seconds: int | None) -> int:
    """Return for how long something is signed for a visitor: as long as was asked for, within bounds."""
    longest = min(SHORT, int(settings.sign_bounds[1].total_seconds()))
    return longest if seconds is None else min(seconds, longest)


routes = [Router("/api", route_handlers=[artwork, sign_download], tags=["previews"])]
