"""How often anybody may ask: by user, by API key, by share link, and by address for who shows none.

Every answer says what is left (draft-ietf-httpapi-ratelimit-headers). Requests are counted in Redis where there is one,
so that it does not matter which process they reach. When it fails, reading and working go on, counted by each process
for itself; logging in does not: guessing passwords must not be worth bringing Redis down for.
"""

import hashlib
from contextlib import suppress
from math import ceil, floor

from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mamkit.auth import TokenError, parse_share_token
from mamkit_apps.api.callers.address import address_of
from mamkit_apps.api.callers.bearer import bearer_of
from mamkit_apps.api.callers.parameters import LOGIN, VISITOR
from mamkit_apps.api.problems import LimitsUnavailableError
from mamkit_apps.api.wiring import Parts
from mamkit_apps.limits import BURST, LimitReachedError, Taken, client_name

__all__ = ["RateLimits"]


class RateLimits(ASGIMiddleware):
    """Counts a request before anything else is done for it."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on if it may be."""
        handler = scope.get("route_handler")
        if not isinstance(handler, HTTPRouteHandler) or handler.opt.get("unlimited"):
            await next_app(scope, receive, send)
            return
        parts: Parts = scope["litestar_app"].state.parts
        policy, name, rate = _share(scope, handler, parts)
        if not rate:
            await next_app(scope, receive, send)
            return
        taken = await _take(parts, policy, f"{policy}:{name}", rate)
        fields = _fields(policy, rate, taken)
        if taken.wait:
            scope["state"]["limit_headers"] = fields
            raise LimitReachedError(f"requests of this {policy}", retry_after=taken.wait)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = [(field.encode(), value.encode()) for field, value in fields.items()]
                message["headers"] = [*message["headers"], *told]
            await send(message)

        await next_app(scope, receive, tell)


async def _take(parts: Parts, policy: str, name: str, rate: float) -> Taken:
    if policy != "login":
        return await parts.meter.take(name, rate)
    try:
        return await parts.meter.take_for_all(name, rate)
    except Exception as error:
        raise LimitsUnavailableError from error


def _share(scope: Scope, handler: HTTPRouteHandler, parts: Parts) -> tuple[str, str, float]:
    """Return which policy a request falls under, whose share it takes, and how much there is a second."""
    settings = parts.settings
    asks = handler.parsed_fn_signature.parameters.keys()
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    token = bearer_of(header.decode("latin-1"))
    if asks & VISITOR and token in parts.good_keys:
        with suppress(TokenError):  # a good API key is of no link
            return "share", parse_share_token(token).hex, settings.api_rate_per_share
    if asks & LOGIN:
        if token in parts.good_keys:
            return "key", hashlib.sha256(token.encode()).hexdigest()[:32], settings.api_rate_per_key
        try:
            claims = parts.tokens.verify(token)
            scope["state"]["access_claims"] = claims
            return "user", str(claims.user_id), settings.api_rate_per_user
        except TokenError:
            pass  # counted by address, and refused by the handler
    address = client_name(address_of(scope, settings))
    if "POST" in handler.http_methods and not asks & (LOGIN | VISITOR):
        return "login", address, settings.api_rate_login
    return "address", address, settings.api_rate_per_address


def _fields(policy: str, rate: float, taken: Taken) -> dict[str, str]:
    quota = floor(rate * BURST)
    left = max(0, floor(quota - taken.backlog * rate + 1e-6))
    return {
        "ratelimit-policy": f'"{policy}";q={quota};w={BURST:.0f}',
        "ratelimit": f'"{policy}";r={left};t={ceil(taken.backlog)}',
    }
