"""`/api/events/ws`: the same as server-sent events through a WebSocket.

A browser sends no `Authorization` with a WebSocket, and a token in the URL would stand in every log. So the first
message is the login: `{"type": "login", "token": "…", "last_event_id": "17"}`. Sent again later it renews the login,
so that a connection outlives a token. Pages of other origins are refused, whatever cookies or tokens they have.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from litestar import WebSocket, get, websocket
from litestar.exceptions import WebSocketDisconnect

from mamkit.auth import PermissionDeniedError, Principal, TokenError
from mamkit.catalog import CatalogUnavailableError
from mamkit_apps.api.callers.access import principal_by
from mamkit_apps.api.callers.address import address_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.dispatch.watchers import Login, Watcher
from mamkit_apps.api.events.streams import HEARTBEAT, login_of, position_of
from mamkit_apps.api.problems import UpgradeRequiredError
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.limits import LimitReachedError, client_name

__all__ = ["handlers"]

LOGIN_WITHIN = 10.0  # seconds
SEND_WITHIN = 30.0  # seconds in which a client takes a message
MAX_MESSAGE = 8 << 10  # characters of a client's message: a token has some hundred
MESSAGES = 2.0  # a second that a client may send, ten seconds' worth at once

# RFC 6455 section 7.4.2 leaves 4000 to 4999 to applications; these are 4000 and the HTTP status of the same.
BAD_MESSAGE, NO_LOGIN, FORBIDDEN, TOO_SLOW, TOO_MANY, UNAVAILABLE = 4400, 4401, 4403, 4408, 4429, 4503


class _EndError(Exception):
    """A connection is to be closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


@websocket("/api/events/ws")
async def events_socket(socket: WebSocket[Any, Any, Any], parts: Wired) -> None:
    """Tell of everything that happens in the workspaces of whoever logs in with the first message."""
    if not _is_ours(socket.headers.get("origin"), parts.settings):
        await socket.close(FORBIDDEN)  # before it is accepted: 403
        return
    address = f"address:{client_name(address_of(socket.scope, parts.settings))}"
    rate = parts.settings.api_rate_per_address
    if rate and (await parts.meter.take(address, rate)).wait:
        await socket.close(TOO_MANY)
        return
    await socket.accept()
    with suppress(WebSocketDisconnect):
        try:
            principal, login, seen = await _first(socket, parts)
            async with parts.watchers.watching(principal, login) as watcher:
                await _serve(socket, parts, watcher, seen)
        except _EndError as end:
            await socket.close(end.status, end.reason)
        except TokenError as error:
            await socket.close(NO_LOGIN, error.code)
        except PermissionDeniedError as error:
            await socket.close(FORBIDDEN, error.code)
        except LimitReachedError as error:
            await socket.close(TOO_MANY, error.code)
        except CatalogUnavailableError as error:
            await socket.close(UNAVAILABLE, error.code)


async def _first(socket: WebSocket[Any, Any, Any], parts: Parts) -> tuple[Principal, Login, int | None]:
    try:
        async with asyncio.timeout(LOGIN_WITHIN):
            message = await _message(socket)
    except TimeoutError:
        raise _EndError(TOO_SLOW, f"log in within {LOGIN_WITHIN:.0f} s") from None
    if message.get("type") != "login":
        raise _EndError(NO_LOGIN, "the first message is to be a login")
    principal, login = await _login(parts, message)
    return principal, login, position_of(str(message.get("last_event_id") or ""))


async def _login(parts: Parts, message: dict[str, Any]) -> tuple[Principal, Login]:
    token = message.get("token")
    if not isinstance(token, str):
        raise _EndError(NO_LOGIN, "a login has a token")
    return await principal_by(parts, token), login_of(parts, token)


async def _serve(socket: WebSocket[Any, Any, Any], parts: Parts, watcher: Watcher, seen: int | None) -> None:
    """Listen to the client and tell it of events, until one of the two has come to its end."""
    tasks = [
        asyncio.create_task(_listen(socket, parts, watcher)),
        asyncio.create_task(_tell(socket, parts, watcher, seen)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _listen(socket: WebSocket[Any, Any, Any], parts: Parts, watcher: Watcher) -> None:
    while True:
        message = await _message(socket)
        if parts.meter.take_here(f"socket:{id(watcher)}", MESSAGES).wait:
            raise _EndError(TOO_MANY, "too many messages")
        if message.get("type") == "login":
            principal, login = await _login(parts, message)
            if principal.user_id != watcher.user_id:
                raise _EndError(FORBIDDEN, "a login is renewed by the same user")
            watcher.login = login
        elif message.get("type") == "ping":
            await _send(socket, '{"type":"pong"}')
        elif message.get("type") != "pong":
            raise _EndError(BAD_MESSAGE, "a client sends login, ping and pong")


async def _tell(socket: WebSocket[Any, Any, Any], parts: Parts, watcher: Watcher, seen: int | None) -> None:
    hub = parts.hub
    if seen is not None and not await hub.has_missed(seen):
        await _send(socket, _control("hello", seen))
    else:
        kind = "hello" if seen is None else "reset"
        seen = hub.position
        await _send(socket, _control(kind, seen))
    while not watcher.ended:
        if await hub.has_missed(seen):
            seen = hub.position
            await _send(socket, _control("reset", seen))
        found, seen = await hub.after(seen, watcher)
        for told in found:
            if watcher.sees(told.workspace_id, told.asset_id):
                await _send(socket, told.text)
        if seen >= hub.position and not await hub.wait(seen, HEARTBEAT):
            await _send(socket, _control("ping", seen))
    raise _EndError(NO_LOGIN, f"login {watcher.ended}")


def _control(kind: str, position: int) -> str:
    return json.dumps({"type": kind, "id": position}, separators=(",", ":"))


async def _send(socket: WebSocket[Any, Any, Any], text: str) -> None:
    try:
        async with asyncio.timeout(SEND_WITHIN):
            await socket.send_text(text)
    except TimeoutError:
        raise _EndError(TOO_SLOW, "messages are not taken") from None


async def _message(socket: WebSocket[Any, Any, Any]) -> dict[str, Any]:
    """Return a message of the client: one JSON object, as text."""
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(detail="the client has left")
    text = event.get("text")
    try:
        found = json.loads(text) if isinstance(text, str) and len(text) <= MAX_MESSAGE else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _EndError(BAD_MESSAGE, f"a message is a JSON object of at most {MAX_MESSAGE} characters")
    return found


def _is_ours(origin: str | None, settings: ApiSettings) -> bool:
    """Return whether a page may connect; what is no page sends no origin (RFC 6455 section 4.1)."""
    if origin is None:
        return True
    ours = (settings.public_url, settings.api_url, *settings.api_origins)
    return _plain(origin) in {_plain(each) for each in ours}


def _plain(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


@get("/api/events/ws", tags=["events"], sync_to_thread=False, opt=answers(426) | {"socket": True})
def listen() -> None:
    """Tell of the same through a WebSocket, whose first message is the login: a token has no place in a URL.

    Whoever asks without an upgrade of the connection is told so (426).
    """
    raise UpgradeRequiredError


handlers = [events_socket, listen]
