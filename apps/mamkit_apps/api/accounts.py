"""`/auth`: register, log in, refresh, log out, and who am I."""

import asyncio
from http import HTTPStatus

from litestar import Router, get, post
from litestar.params import JSONBody

from mamkit import catalog as db
from mamkit.auth import InvalidCredentialsError, PermissionDeniedError, SessionGrant, check_strength
from mamkit.catalog import User
from mamkit_apps.api.access import Caller
from mamkit_apps.api.schemas import Credentials, RefreshRequest, Registration, Tokens, UserView, user_view
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]

NEW_USER_ROLE = "editor"  # whoever may register may upload


@post("/register")
async def register(data: JSONBody[Registration], parts: Wired) -> Tokens:
    """Make an account and log in to it."""
    if parts.settings.registration == "closed":
        raise PermissionDeniedError("register", "registration is closed; ask an administrator for an account")
    password = data.password.get_secret_value()
    check_strength(password)
    digest = await asyncio.to_thread(parts.passwords.hash, password)
    async with parts.catalog.begin() as session:
        user = await db.create_user(session, email=data.email, display_name=data.display_name, password_hash=digest)
        await db.grant_role(session, user.id, NEW_USER_ROLE)
        await db.record(session, actor_id=user.id, action="user.register", subject=f"user:{user.id}")
    grant = await asyncio.to_thread(parts.sessions.start, user.id)
    return await _tokens(parts, user, grant)


@post("/login", status_code=HTTPStatus.OK)
async def login(data: JSONBody[Credentials], parts: Wired) -> Tokens:
    """Exchange e-mail and password for tokens; an unknown address and a wrong password cost and say the same."""
    async with parts.catalog.read() as session:
        user = await db.user_by_email(session, data.email)
    usable = user is not None and user.status == "active"
    password = data.password.get_secret_value()
    stored = user.password_hash if user is not None and usable else None
    await asyncio.to_thread(parts.passwords.verify, stored, password)
    if user is None:
        raise InvalidCredentialsError
    if stored is not None and parts.passwords.needs_rehash(stored):
        digest = await asyncio.to_thread(parts.passwords.hash, password)
        async with parts.catalog.begin() as session:
            await db.set_password_hash(session, user.id, digest)
    grant = await asyncio.to_thread(parts.sessions.start, user.id)
    return await _tokens(parts, user, grant)


@post("/refresh", status_code=HTTPStatus.OK)
async def refresh(data: JSONBody[RefreshRequest], parts: Wired) -> Tokens:
    """Exchange a refresh token for the next one; the old one works for 15 s more, with the same answer."""
    grant = await asyncio.to_thread(parts.sessions.refresh, data.refresh_token.get_secret_value())
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, grant.user_id)
    if user.status != "active":
        await asyncio.to_thread(parts.sessions.revoke_all, user.id)
        raise InvalidCredentialsError
    return await _tokens(parts, user, grant)


@post("/logout", status_code=HTTPStatus.NO_CONTENT)
async def logout(data: JSONBody[RefreshRequest], parts: Wired) -> None:
    """End the session of a refresh token; one that is unknown or ended already is no error."""
    await asyncio.to_thread(parts.sessions.revoke, data.refresh_token.get_secret_value())


@get("/me")
async def me(principal: Caller, parts: Wired) -> UserView:
    """Say who is logged in."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, principal.user_id)
    return user_view(user, principal.roles)


async def _tokens(parts: Parts, user: User, grant: SessionGrant) -> Tokens:
    async with parts.catalog.read() as session:
        roles = await db.roles_of(session, user.id)
    access = parts.tokens.issue(
        user_id=user.id, session_id=grant.jti, roles=frozenset(roles), authz_version=user.authz_version
    )
    return Tokens(
        access_token=access,
        expires_in=int(parts.tokens.lifetime.total_seconds()),
        refresh_token=grant.refresh_token,
    )


routes = [Router("/auth", route_handlers=[register, login, refresh, logout, me], tags=["accounts"])]
