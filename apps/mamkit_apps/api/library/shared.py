"""`/api/shared`: what somebody sees who comes by a share link, and nothing else."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field, SecretStr

from mamkit import catalog as db
from mamkit.auth import InvalidCredentialsError
from mamkit.catalog import Asset
from mamkit.catalog import share_links as links
from mamkit.catalog.collections import collection_by_id
from mamkit.catalog.comments import MAX_NAME, author_of, comments_by_link
from mamkit.catalog.models import AssetKind, AssetStatus
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.accounts.logins import hashing
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.callers.visitors import Visitor, only, open_link, seal_pass, shown_asset, shown_version
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.comment_schemas import CommentPage, CommentView, NewComment, plain
from mamkit_apps.api.library.playback import (
    Artwork,
    PlaybackOptions,
    artwork_of,
    download_of,
    short_lifetime,
    sign_playback,
)
from mamkit_apps.api.library.schemas import Lifetime, PlaybackUrl
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]

MAX_COMMENTS = 1000  # by one link about one asset: more than a review has, and no way to fill the database


class SharedView(Body):
    """What a link shows."""

    kind: Literal["asset", "version", "collection"]
    title: str
    """Of the asset or the collection."""
    rights: tuple[str, ...]
    """Beside looking: `comment`, `download`."""
    expires_at: datetime | None


class SharedAsset(Body):
    """An asset as a visitor sees it. What is not known of the version that plays is 0 or empty."""

    id: UUID
    title: str
    description: str
    kind: AssetKind
    status: AssetStatus
    """Whether it can be played: `playable` and `ready`."""
    duration_seconds: float
    width: int
    height: int
    created_at: datetime

    @classmethod
    def of(cls, asset: Asset) -> Self:
        """Return the view of a row."""
        return cls(
            id=asset.id,
            title=asset.title,
            description=asset.description,
            kind=asset.kind,
            status=asset.status,
            duration_seconds=asset.duration_sec,
            width=asset.width,
            height=asset.height,
            created_at=asset.created_at,
        )


class SharedAssets(Body):
    """Some of the assets that a link shows."""

    items: tuple[SharedAsset, ...]
    next: str | None
    """To be sent as `after` for the next page; null on the last."""


class SharedPassword(Body):
    """The password of a link."""

    password: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class SharePass(Body):
    """What shows that the password was given."""

    share_pass: str = Field(repr=False)
    """To be sent as `Share-Pass` with each further request."""
    expires_at: datetime


class GuestComment(NewComment):
    """A comment of somebody without an account."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    """As others shall see it; nobody checks it."""


@post("/unlock", status_code=HTTPStatus.OK, opt=answers(401, 403) | {"share": True})
async def unlock(
    data: JSONBody[SharedPassword], request: Request[Any, Any, Any], parts: Wired, address: Address
) -> SharePass:
    """Give the password of a link for a pass; guesses are counted before they are looked at, and made to wait."""
    link = await open_link(request, parts)
    password, stored = data.password.get_secret_value(), link.password_hash
    if stored is None:
        raise InvalidRequestError("this link has no password")

    def verify() -> None:
        with parts.share_lockout.attempt(account=str(link.id), address=address):
            parts.passwords.verify(stored, password)

    try:
        await hashing(parts, verify)
    except InvalidCredentialsError:
        await _note(parts, link.id, "refused", address)
        raise
    await _note(parts, link.id, "unlocked", address)
    share_pass, until = seal_pass(parts, link)
    return SharePass(share_pass=share_pass, expires_at=until)


@get("/")
async def look(visitor: Visitor, parts: Wired) -> SharedView:
    """Say what the link shows, and what it allows."""
    link = visitor.link
    async with parts.catalog.begin() as session:
        await links.record_use(session, link.id, action="looked", address=visitor.address, asset_id=link.asset_id)
        if link.collection_id is not None:
            title = (await collection_by_id(session, link.collection_id)).name
        else:
            title = (await links.shows(session, link, link.asset_id or link.id)).title
    kind: Literal["asset", "version", "collection"] = (
        "collection" if link.collection_id else "version" if link.version_id else "asset"
    )
    return SharedView(kind=kind, title=title, rights=tuple(link.rights), expires_at=link.expires_at)


@get("/assets")
async def list_assets(
    visitor: Visitor,
    parts: Wired,
    after: Annotated[str | None, QueryParameter(max_length=2000)] = None,
    limit: Limit = 50,
) -> SharedAssets:
    """List the assets that the link shows: of a collection, in its order, those in it itself."""
    async with parts.catalog.begin() as session:
        await links.record_use(session, visitor.link.id, action="listed", address=visitor.address)
        page = await links.shared_assets(session, visitor.link, after=after, limit=limit)
    return SharedAssets(items=tuple([await _view(parts, visitor.link, each) for each in page.assets]), next=page.next)


@get("/assets/{asset_id:uuid}")
async def get_asset(asset_id: FromPath[UUID], visitor: Visitor, parts: Wired) -> SharedAsset:
    """Return one asset that the link shows."""
    asset = await shown_asset(parts, visitor, asset_id, action="looked")
    return await _view(parts, visitor.link, asset)


@get("/assets/{asset_id:uuid}/artwork")
async def artwork(asset_id: FromPath[UUID], visitor: Visitor, parts: Wired) -> Artwork:
    """List poster, storyboard and waveform, with URLs that show them for a while."""
    asset = await shown_asset(parts, visitor, asset_id, action="looked")
    return await artwork_of(parts, await shown_version(parts, visitor, asset), short_lifetime(parts.settings, None))


@post("/assets/{asset_id:uuid}/sign-preview", status_code=HTTPStatus.OK, opt=answers(headers=["Set-Cookie"]))
async def sign_preview(
    asset_id: FromPath[UUID], data: JSONBody[PlaybackOptions], visitor: Visitor, parts: Wired
) -> Response[PlaybackUrl]:
    """Return a URL that plays the asset for a while, at most a quarter of an hour; ask again to go on."""
    asset = await shown_asset(parts, visitor, asset_id, action="played")
    version = await shown_version(parts, visitor, asset)
    async with parts.catalog.read(only(asset.id)) as session:
        preview = await db.preview_of(session, version.id)
    if preview.status not in {"playable", "ready"}:
        raise InvalidRequestError(f"the preview is {preview.status}, not yet playable")
    asked = data.model_copy(update={"lifetime_seconds": short_lifetime(parts.settings, data.lifetime_seconds)})
    return sign_playback(parts, asked, version, visitor.address)


@post("/assets/{asset_id:uuid}/sign-download", status_code=HTTPStatus.OK)
async def sign_download(
    asset_id: FromPath[UUID], data: JSONBody[Lifetime], visitor: Visitor, parts: Wired
) -> PlaybackUrl:
    """Return a URL that sends the master, where the link is for that."""
    visitor.require("download")
    asset = await shown_asset(parts, visitor, asset_id, action="downloaded")
    version = await shown_version(parts, visitor, asset)
    return await download_of(parts, version, short_lifetime(parts.settings, data.lifetime_seconds))


@get("/assets/{asset_id:uuid}/comments")
async def list_comments(
    asset_id: FromPath[UUID],
    visitor: Visitor,
    parts: Wired,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> CommentPage:
    """List what is said about an asset, where the link is for that; of whom, only the names."""
    visitor.require("comment")
    asset = await shown_asset(parts, visitor, asset_id, action="read_comments")
    async with parts.catalog.read(only(asset.id)) as session:
        found = await db.comments_of(session, asset.id, after=after, limit=limit)
    items = tuple(_anonymous(CommentView.of(*each)) for each in found)
    return CommentPage(items=items, next=items[-1].id if len(items) == limit else None)


@post("/assets/{asset_id:uuid}/comments")
async def comment(
    asset_id: FromPath[UUID], data: JSONBody[GuestComment], visitor: Visitor, parts: Wired
) -> CommentView:
    """Say something about an asset under a name of one's own, where the link is for that."""
    visitor.require("comment")
    asset = await shown_asset(parts, visitor, asset_id, action="commented")
    async with parts.catalog.begin(only(asset.id)) as session:
        if await comments_by_link(session, visitor.link.id) >= MAX_COMMENTS:
            raise InvalidRequestError("as much was said by this link as one may; ask whoever sent it for another one")
        made = await db.add_comment(
            session,
            asset_id=asset.id,
            guest_name=data.name,
            share_link_id=visitor.link.id,
            content=data.content,
            start=data.start_seconds,
            stop=data.stop_seconds,
            parent_id=data.parent_id,
            drawing=plain(data.drawing),
        )
        return _anonymous(CommentView.of(made, await author_of(session, made)))


async def _view(parts: Parts, link: db.ShareLink, asset: Asset) -> SharedAsset:
    """Return an asset as the link shows it: of a version that is shared by itself, what is known of that one."""
    view = SharedAsset.of(asset)
    if link.version_id is None:
        return view
    async with parts.catalog.read(only(asset.id)) as session:
        version = await db.version_by_id(session, link.version_id)
        preview = await session.get(db.Preview, version.id)
    facts = db.shown_facts(version.facts or {})
    return view.model_copy(
        update={
            "status": "new" if preview is None else preview.status,
            "kind": facts["kind"],
            "duration_seconds": facts["duration_sec"],
            "width": facts["width"],
            "height": facts["height"],
        }
    )


def _anonymous(view: CommentView) -> CommentView:
    """Return a comment without the ids of those who have accounts."""
    return view.model_copy(update={"user_id": None, "resolved_by": None})


async def _note(parts: Parts, link_id: UUID, action: str, address: str) -> None:
    async with parts.catalog.begin() as session:
        await links.record_use(session, link_id, action=action, address=address)


routes = [
    Router(
        "/api/shared",
        route_handlers=[
            unlock, look, list_assets, get_asset, artwork, sign_preview, sign_download, list_comments, comment,
        ],
        tags=["shared"],
    )
]  # fmt: skip
