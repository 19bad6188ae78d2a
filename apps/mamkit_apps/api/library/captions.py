"""`/api/preview/captions`: the words of a film, as files that a player can be given."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from mamkit.catalog import Version
from mamkit.clock import utc_now
from mamkit.previews.layout import plan_key
from mamkit.previews.messages import parse_plan
from mamkit.signing import Grant
from mamkit.storage import ObjectNotFoundError, ObjectStore
from mamkit.transcode import SubtitleRendition
from mamkit.transcode.packaging.webvtt import whole_name
from mamkit_apps.api.bodies import Body, SignedUrl
from mamkit_apps.api.callers.access import Caller, readable_version
from mamkit_apps.api.callers.visitors import Visitor, shown_asset, shown_version
from mamkit_apps.api.library.playback import ART, lifetime_of, short_lifetime
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]


class CaptionItem(Body):
    """One track of words, whole, as WebVTT."""

    name: str
    """E.g. `subtitles.vtt`."""
    language: str | None
    """RFC 5646; null: the film does not say."""
    title: str
    """What a player's menu shows."""
    forced: bool
    """Whether it is for what viewers of the film's own language do not understand either."""
    content_type: str
    size: int
    """Bytes."""
    url: SignedUrl


class Captions(Body):
    """The captions of a version, as far as they are made, in the order of the film."""

    items: tuple[CaptionItem, ...]
    expires_at: datetime
    """Of the URLs."""


@get("/preview/captions", tags=["previews"])
async def captions(
    version_id: FromQuery[UUID],
    principal: Caller,
    parts: Wired,
    lifetime_seconds: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> Captions:
    """List the captions of a version, with URLs that show them until they expire.

    A player that follows the playlist finds them by itself; these are for others, and for whoever wants the text.
    """
    _, version = await readable_version(parts, principal, version_id)
    return await _captions(parts, version, lifetime_seconds)


@get("/shared/assets/{asset_id:uuid}/captions", tags=["shared"])
async def captions_of_link(asset_id: FromPath[UUID], visitor: Visitor, parts: Wired) -> Captions:
    """List the captions, with URLs that show them for a while."""
    asset = await shown_asset(parts, visitor, asset_id, action="looked")
    return await _captions(parts, await shown_version(parts, visitor, asset), short_lifetime(parts.settings, None))


async def _captions(parts: Parts, version: Version, lifetime_seconds: int | None) -> Captions:
    """Return the captions of a version, as far as they are made.

    Raises:
        InvalidRequestError: The lifetime is out of bounds.
    """
    prefix = version.preview_prefix
    grant = Grant(scope=prefix + ART, expires_at=utc_now() + lifetime_of(parts.settings, lifetime_seconds))
    store = parts.zones.previews
    planned = await asyncio.to_thread(_planned, store, prefix)
    there = {info.key: info for info in await asyncio.to_thread(lambda: list(store.list(f"{prefix}{ART}subtitles")))}
    items = [
        CaptionItem(
            name=info.key.removeprefix(prefix + ART),
            language=track.language,
            title=track.title,
            forced=track.forced,
            content_type=info.content_type,
            size=info.size,
            url=parts.signer.url(parts.settings.edge_url, grant, info.key),
        )
        for track in planned
        if (info := there.get(prefix + whole_name(track.name))) is not None
    ]
    return Captions(items=tuple(items), expires_at=grant.expires_at)


def _planned(store: ObjectStore, prefix: str) -> tuple[SubtitleRendition, ...]:
    """Return the tracks of the preview that lies below a prefix; none before it is planned."""
    try:
        with store.get(plan_key(prefix)) as body:
            return parse_plan(body.read()).subtitles
    except ObjectNotFoundError:
        return ()


routes = [Router("/api", route_handlers=[captions, captions_of_link])]
