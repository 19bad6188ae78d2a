"""`/auth/providers`: logins at other services.

The browser begins a login, and its cookie finds it again when it comes back: nobody else can finish it. It is then sent
to our pages with a ticket in the fragment, which no server sees, and exchanges that for tokens.
"""

import asyncio
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect

from mamkit import catalog as db
from mamkit.auth import FlowEndedError, PermissionDeniedError, check_return_path
from mamkit.auth.identity import Identity, IdentityPendingError, IdentityProvider
from mamkit.catalog import NotFoundError, User
from mamkit_apps.api.accounts.logins import SECOND_FACTOR_ASKED, finish_login
from mamkit_apps.api.accounts.schemas import (
    IdentityView,
    ProviderStart,
    ProviderUrl,
    SecondFactorAsked,
    TicketRequest,
    Tokens,
)
from mamkit_apps.api.accounts.sessions import NEW_USER_ROLE
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.described import answers
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["ProviderNotFoundError", "routes"]

COOKIE = "mamkit_login"
EXCHANGE = "exchange"  # kind of the flow between the way back and the tokens


class ProviderNotFoundError(NotFoundError):
    """No such service is set up."""

    code = "apps.provider_not_found"
    kind = "login service"


@get("/")
async def list_providers(parts: Wired) -> list[str]:
    """List the services at which people may log in."""
    return sorted(parts.providers)


@post("/{name:str}/start", status_code=HTTPStatus.OK, opt=answers(404, 502, headers=["Set-Cookie"]))
async def start_at_provider(name: FromPath[str], data: JSONBody[ProviderStart], parts: Wired) -> Response[ProviderUrl]:
    """Begin a login at a service."""
    return await _begin(parts, name, {"return_to": check_return_path(data.return_to)})


@post("/{name:str}/link", status_code=HTTPStatus.OK, opt=answers(502, headers=["Set-Cookie"]))
async def link_provider(
    name: FromPath[str], data: JSONBody[ProviderStart], owner: Owner, parts: Wired
) -> Response[ProviderUrl]:
    """Begin a login at a service, to link it to the account of whoever asks."""
    kept = {"return_to": check_return_path(data.return_to), "link_to": str(owner.user_id)}
    return await _begin(parts, name, kept)


@get("/{name:str}/callback", status_code=HTTPStatus.FOUND, opt=answers(401, 403, 404, 409, 502, headers=["Location"]))
async def come_back(name: FromPath[str], request: Request[Any, Any, Any], parts: Wired) -> Redirect:
    """Finish a login at a service, in the browser that began it."""
    provider = _provider(parts, name)
    handle = request.cookies.get(COOKIE)
    if handle is None:
        raise FlowEndedError
    kept = await asyncio.to_thread(parts.flows.finish, _kind(name), handle)
    try:
        identity = await asyncio.to_thread(provider.finish, kept["provider"], dict(request.query_params))
    except IdentityPendingError:
        await asyncio.to_thread(parts.flows.put_back, _kind(name), handle, kept)
        raise
    user = await _account(parts, identity, link_to=kept.get("link_to"))
    ticket = await asyncio.to_thread(parts.flows.open, EXCHANGE, {"user": str(user.id), "method": name})
    place = f"{parts.settings.public_url}{kept['return_to'].partition('#')[0]}#login={ticket}"
    answer = Redirect(place)
    answer.delete_cookie(COOKIE, path=_cookie_path(parts))
    return answer


@post("/exchange", status_code=HTTPStatus.OK, responses=SECOND_FACTOR_ASKED, opt=answers(401, 403, 404))
async def exchange_ticket(data: JSONBody[TicketRequest], parts: Wired) -> Response[Tokens | SecondFactorAsked]:
    """Exchange the ticket that the browser came back with for tokens, once."""
    kept = await asyncio.to_thread(parts.flows.finish, EXCHANGE, data.ticket.get_secret_value())
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, UUID(kept["user"]))
    return await finish_login(parts, user, method=kept["method"])


@get("/linked")
async def list_linked(owner: Owner, parts: Wired) -> list[IdentityView]:
    """List the logins at services that are linked to the account of whoever asks."""
    async with parts.catalog.read() as session:
        rows = await db.identities_of(session, owner.user_id)
    return [IdentityView(id=row.id, provider=row.provider, email=row.email, created_at=row.created_at) for row in rows]


@delete("/linked/{identity_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def unlink_provider(identity_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """Remove a link, unless it is the only way to log in that is left."""
    async with parts.catalog.begin() as session:
        user = await db.user_by_id(session, owner.user_id)
        others = [row for row in await db.identities_of(session, user.id) if row.id != identity_id]
        if user.password_hash is None and not others and not await db.passkeys_of(session, user.id):
            raise PermissionDeniedError("unlink", "there would be no way left to log in; set a password first")
        if await db.unlink_identity(session, user.id, identity_id):
            await db.record(session, actor_id=user.id, action="identity.removed", subject=f"user:{user.id}")


async def _begin(parts: Parts, name: str, kept: dict[str, str]) -> Response[ProviderUrl]:
    provider = _provider(parts, name)
    redirect_uri = f"{parts.settings.api_url}/auth/providers/{name}/callback"
    started = await asyncio.to_thread(provider.begin, redirect_uri=redirect_uri)
    handle = await asyncio.to_thread(parts.flows.open, _kind(name), {**kept, "provider": dict(started.kept)})
    cookie = Cookie(
        key=COOKIE,
        value=handle,
        path=_cookie_path(parts),
        httponly=True,
        secure=parts.settings.api_url.startswith("https:"),
        samesite="lax",  # the way back is a navigation from the service's site
        max_age=int(parts.flows.lifetime.total_seconds()),
    )
    return Response(ProviderUrl(url=started.url), cookies=[cookie])


async def _account(parts: Parts, identity: Identity, *, link_to: str | None) -> User:
    """Return the account that a login at a service is for; it is linked, or made, if that is safe.

    It is linked by address only where both sides have seen that the address is theirs: whoever registers here with
    somebody else's address must not get into what that person later logs in to, and the other way round.

    Raises:
        PermissionDeniedError: There is no such account, and none may be linked or made.
        IdentityTakenError: The login is another account's already.
    """
    async with parts.catalog.begin() as session:
        linked = await db.user_of_identity(session, identity.provider, identity.subject)
        if linked is not None and link_to in {None, str(linked.id)}:
            return linked
        if link_to is not None:
            user = await db.user_by_id(session, UUID(link_to))
        elif identity.email is None or not identity.email_verified:
            raise PermissionDeniedError(
                "log in", "the service has not verified an address; link it to an account first"
            )
        else:
            found = await db.user_by_email(session, identity.email)
            if found is not None and not await db.email_is_verified(session, found):
                raise PermissionDeniedError("log in", "the address has an account already; log in to it and link this")
            user = found if found is not None else await _newcomer(parts, session, identity)
        await db.link_identity(
            session, user_id=user.id, provider=identity.provider, subject=identity.subject, email=identity.email
        )
        await db.record(
            session, actor_id=user.id, action="identity.added", subject=f"user:{user.id}",
            detail={"provider": identity.provider},
        )  # fmt: skip
        return user


async def _newcomer(parts: Parts, session: Any, identity: Identity) -> User:
    if parts.settings.registration != "open":
        raise PermissionDeniedError("register", "registration is closed; ask an administrator for an account")
    user = await db.create_user(session, email=identity.email or "", display_name=identity.name[:100])
    await db.grant_role(session, user.id, NEW_USER_ROLE)
    await db.verify_email(session, user)
    await db.record(session, actor_id=user.id, action="user.register", subject=f"user:{user.id}")
    return user


def _provider(parts: Parts, name: str) -> IdentityProvider:
    try:
        return parts.providers[name]
    except KeyError:
        raise ProviderNotFoundError(name[:64]) from None


def _kind(name: str) -> str:
    return f"provider:{name}"


def _cookie_path(parts: Parts) -> str:
    return f"{urlsplit(parts.settings.api_url).path}/auth/providers"


routes = [
    Router(
        "/auth/providers",
        route_handlers=[
            list_providers,
            start_at_provider,
            link_provider,
            come_back,
            exchange_ticket,
            list_linked,
            unlink_provider,
        ],
        tags=["accounts"],
    )
]
