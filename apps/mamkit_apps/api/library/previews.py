"""`/api/preview…`, `/api/sign-preview`: building previews, following them, and handing out playback URLs."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromQuery, JSONBody
from litestar.response import Stream

from mamkit import catalog as db
from mamkit.catalog import Asset, NotFoundError
from mamkit.previews import Ack, parse_report
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.callers.access import Caller, allowed_asset, bearer_token, readable_version, scope_of
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.described import answers
from mamkit_apps.api.dispatch.watchers import Watcher
from mamkit_apps.api.events.streams import HEADERS, HEARTBEAT, RETRY, frame, login_of, position_of
from mamkit_apps.api.library.playback import PlaybackRequest, lifetime_of, sign_playback
from mamkit_apps.api.library.schemas import PlaybackUrl, PreviewRequest, PreviewView
from mamkit_apps.api.wiring import Parts, Wired

if TYPE_CHECKING:
    from mamkit_apps.api.middleware.traced import RequestTrace

__all__ = ["routes"]

MAX_REPORT = 8 << 20  # bytes; of a part with many segments, some hundred KiB
ENDS = {"ready", "failed"}


@post("/preview", status_code=HTTPStatus.ACCEPTED)
async def build_preview(data: JSONBody[PreviewRequest], principal: Caller, parts: Wired) -> PreviewView:
    """Build the preview of a version, or try again if that has failed; one that is under way goes on.

    With `rebuild` one that is there is built anew, from the probe on, and plays on until the new one takes its place.
    """
    async with parts.catalog.read(scope_of(principal)) as session:
        version = await db.version_by_id(session, data.version_id)
        await allowed_asset(session, principal, "asset.update", version.asset_id)
    await (parts.publisher.rebuild if data.rebuild else parts.publisher.restart)(data.version_id)
    return await _view(parts, data.version_id)


@get("/preview/status")
async def preview_status(version_id: FromQuery[UUID], principal: Caller, parts: Wired) -> PreviewView:
    """Say how far a preview is."""
    await readable_version(parts, principal, version_id)
    return await _view(parts, version_id)


@get("/preview/events", media_type="text/event-stream", opt=answers(204, resumes=True, events={"preview": PreviewView}))
async def preview_events(
    version_id: FromQuery[UUID], request: Request[Any, Any, Any], principal: Caller, parts: Wired
) -> Response[None] | Stream:
    """Tell of every change of a preview, as server-sent events, until it is ready or has failed.

    A client that comes back with `Last-Event-ID` is told only what it has not seen, by whichever process it reaches; if
    that is all there will be, the answer is 204, after which a browser's EventSource stays away.
    """
    asset, _ = await readable_version(parts, principal, version_id)
    login = login_of(parts, bearer_token(request.headers.get("authorization", "")))
    parts.watchers.admit(principal)
    seen = position_of(request.headers.get("last-event-id", ""))
    if seen == await parts.publisher.revision(version_id) and _has_ended(await _view(parts, version_id)):
        return Response(None, status_code=HTTPStatus.NO_CONTENT)
    stream = _follow(parts, parts.watchers.watching(principal, login), asset, version_id, seen)
    return Stream(stream, media_type="text/event-stream", headers=HEADERS)


async def _follow(
    parts: Parts, watching: AbstractAsyncContextManager[Watcher], asset: Asset, version_id: UUID, seen: int | None
) -> AsyncIterator[str]:
    """Yield a preview's states; of several changes between two looks only the last is told.

    Ids are revisions of the preview, so that a client that comes back is told at once whether it has missed something.
    """
    yield f"retry: {RETRY}\n\n"
    async with watching as watcher:
        while watcher.sees(asset.workspace_id, asset.id):
            position = parts.hub.position
            try:
                revision = await parts.publisher.revision(version_id)
                view = None if revision == seen else await _view(parts, version_id)
            except NotFoundError:
                return  # the asset was removed
            if view is not None:
                seen = revision
                yield frame(view.model_dump_json(), name="preview", position=revision)
                if _has_ended(view):
                    return
            while watcher.sees(asset.workspace_id, asset.id):
                if not await parts.hub.wait(position, HEARTBEAT):
                    yield ": still here\n\n"
                    break
                if parts.hub.is_about(position, version_id):
                    break
                position = parts.hub.position


@post(
    "/preview/callback",
    status_code=HTTPStatus.OK,
    opt=answers(403, 404, 507, body="application/json") | {"unlimited": True, "signed": True},
    request_max_body_size=MAX_REPORT,
)
async def take_report(request: Request[Any, Any, Any], parts: Wired) -> Ack:
    """Take a report of a worker; it is signed with the callback secret and fenced by the worker's lease."""
    body = await request.body()
    parts.callbacks.verify(request.headers, body)
    trace: RequestTrace | None = request.scope.get("mamkit_trace")  # type: ignore[assignment] # of `TracedRequests`
    if trace is not None:
        trace.begin(follow=True)  # which a worker names
    return await parts.publisher.take(parse_report(body))


@post("/sign-preview", status_code=HTTPStatus.OK, opt=answers(headers=["Set-Cookie"]))
async def sign_preview(
    data: JSONBody[PlaybackRequest], principal: Caller, parts: Wired, address: Address
) -> Response[PlaybackUrl]:
    """Return a URL that plays a preview until it expires, for whoever holds it, or for one address or browser."""
    _, version = await readable_version(parts, principal, data.version_id)
    lifetime_of(parts.settings, data.lifetime_seconds)
    status = (await parts.publisher.state(version.id)).status
    if status not in {"playable", "ready"}:
        raise InvalidRequestError(f"the preview is {status}, not yet playable; follow /api/preview/events")
    return sign_playback(parts, data, version, address)


def _has_ended(view: PreviewView) -> bool:
    """Return whether nothing more will come of a preview by itself."""
    return view.status in ENDS and (view.rebuild is None or view.rebuild.status == "failed")


async def _view(parts: Parts, version_id: UUID) -> PreviewView:
    return PreviewView.of(await parts.publisher.state(version_id))


routes = [
    Router(
        "/api",
        route_handlers=[build_preview, preview_status, preview_events, take_report, sign_preview],
        tags=["previews"],
    )
]
