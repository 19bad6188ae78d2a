"""`/api/events`: what happens in the workspaces of whoever asks, as server-sent events."""

import re
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromQuery
from litestar.response import Stream

from mamkit.auth import Principal, parse_api_key
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import API_KEY_PREFIX, Caller, bearer_token
from mamkit_apps.api.described import answers
from mamkit_apps.api.dispatch.messages import EventMessage, StreamEnd, StreamSign
from mamkit_apps.api.dispatch.watchers import Login
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["HEADERS", "HEARTBEAT", "RETRY", "frame", "login_of", "position_of", "routes"]

RETRY = 2000  # milliseconds after which a client whose connection broke comes back
HEARTBEAT = 10.0  # seconds of silence after which a comment shows clients and proxies that the stream lives
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # nginx would hold events back


EVENTS: Mapping[str, type[Body]] = {"message": EventMessage, "hello": StreamSign, "reset": StreamSign, "end": StreamEnd}
"""What a stream tells of: what happened, and three names of its own."""


def frame(data: str, *, name: str = "", position: int | None = None) -> str:
    """Return an event in the form of the HTML standard, section 9.2.5 ("Parsing an event stream").

    Args:
        data: One line.
        name: Of the event; without one it is a `message`.
        position: Its id.
    """
    lines = [f"event: {name}"] if name else []
    if position is not None:
        lines.append(f"id: {position}")
    return "\n".join([*lines, f"data: {data}", "", ""])


def position_of(text: str) -> int | None:
    """Return the position that a client has seen; None where it names none, -1 where that is no position."""
    if not text:
        return None
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else -1


def login_of(parts: Parts, token: str) -> Login:
    """Return by what somebody listens whose token was found good.

    Raises:
        TokenError: It is not any more.
    """
    if token.startswith(API_KEY_PREFIX):
        return Login(key_id=parse_api_key(token))
    claims = parts.tokens.verify(token)
    return Login(session_id=claims.session_id, authz_version=claims.authz_version, expires_at=claims.expires_at)


@get("/events", media_type="text/event-stream", opt=answers(resumes=True, events=EVENTS))
async def events(
    request: Request[Any, Any, Any], principal: Caller, parts: Wired, follow: FromQuery[bool] = True
) -> Response[None] | Stream:
    """Tell of everything that happens in the workspaces of whoever asks, and to assets shared with them.

    A client that comes back with `Last-Event-ID` is told what it has not seen, by whichever process it reaches; if that
    is forgotten, it gets an event `reset` and reads anew whatever it shows. An event `end` says that the login has
    ended. With `follow=false` the stream ends with what has happened up to now.
    """
    login = login_of(parts, bearer_token(request.headers.get("authorization", "")))
    parts.watchers.admit(principal)
    seen = position_of(request.headers.get("last-event-id", ""))
    stream = _tell(parts, principal, login, seen, follow=follow)
    return Stream(stream, media_type="text/event-stream", headers=HEADERS, status_code=HTTPStatus.OK)


async def _tell(
    parts: Parts, principal: Principal, login: Login, seen: int | None, *, follow: bool
) -> AsyncIterator[str]:
    hub = parts.hub
    async with parts.watchers.watching(principal, login) as watcher:
        if seen is not None and await hub.has_missed(seen):
            yield f"retry: {RETRY}\n" + frame("{}", name="reset", position=hub.position)
            seen = None
        seen = hub.position if seen is None else seen
        yield f"retry: {RETRY}\n" + frame("{}", name="hello", position=seen)
        while not watcher.ended:
            if await hub.has_missed(seen):  # it was slower than what is forgotten
                seen = hub.position
                yield frame("{}", name="reset", position=seen)
            found, seen = await hub.after(seen, watcher)
            for told in found:
                if watcher.sees(told.workspace_id, told.asset_id):  # they may be slow to take the one before
                    yield frame(told.text, position=told.position)
            if seen >= hub.position:
                if not follow:
                    return
                if not await hub.wait(seen, HEARTBEAT):
                    # The id moves on, so that a client that sees little is not told later that it has missed something.
                    yield f": still here\nid: {seen}\n\n"
        yield frame(f'{{"reason":"{watcher.ended}"}}', name="end")


routes = [Router("/api", route_handlers=[events], tags=["events"])]
