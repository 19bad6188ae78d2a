"""`/auth`: register, log in, refresh, log out, and who am I."""

import asyncio
import json
from http import HTTPStatus
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody

from mamkit import catalog as db
from mamkit.auth import (
    InvalidCredentialsError,
    PermissionDeniedError,
    SessionReusedError,
    TokenInvalidError,
    check_strength,
)
from mamkit.catalog import EmailTakenError, InvalidEmailError, User
from mamkit_apps.api.accounts.letters import already_registered, count_mail, send_verification
from mamkit_apps.api.accounts.logins import SECOND_FACTOR_ASKED, finish_login, hashing, tokens_of
from mamkit_apps.api.accounts.schemas import (
    Credentials,
    PasswordChange,
    RefreshRequest,
    Registration,
    SecondFactorAsked,
    SessionView,
    Tokens,
    UserView,
    user_view,
)
from mamkit_apps.api.bodies import NO_BODY
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.described import answers
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]

NEW_USER_ROLE = "editor"  # whoever may register may upload


@post("/register", opt=answers(202, 401, 403))
async def register(data: JSONBody[Registration], parts: Wired, address: Address) -> Response[Tokens | None]:
    """Make an account and log in to it.

    Where addresses must be verified, the answer is 202 and says nothing: the mail does, to whoever has the address.
    """
    role = _role_of_newcomer(parts, data)
    silent = parts.settings.email_verification == "required"
    if silent:  # otherwise nobody gets a second mail
        await count_mail(parts, address)
    password = data.password.get_secret_value()

    def make() -> str:
        check_strength(password, about=[data.email, data.display_name])
        return parts.passwords.hash(password)

    digest = await hashing(parts, make)
    try:
        user = await _make_user(parts, data, digest, role)
    except EmailTakenError as error:
        if not silent:
            raise
        parts.post.put(already_registered(parts.settings, error.email))
        return Response(None, status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
    if not await _verified_by_invitation(parts, data, user):
        send_verification(parts, user)
    if silent:
        return Response(None, status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
    grant = await asyncio.to_thread(parts.sessions.start, user.id)
    return Response(await tokens_of(parts, user, grant), status_code=HTTPStatus.CREATED)


@post("/login", status_code=HTTPStatus.OK, responses=SECOND_FACTOR_ASKED, opt=answers(401, 403))
async def login(data: JSONBody[Credentials], parts: Wired, address: Address) -> Response[Tokens | SecondFactorAsked]:
    """Exchange e-mail and password for tokens; an unknown address and a wrong password cost and say the same."""
    async with parts.catalog.read() as session:
        user = await db.user_by_email(session, data.email)
    password = data.password.get_secret_value()
    stored = user.password_hash if user is not None and user.status == "active" else None

    def verify() -> str | None:
        with parts.lockout.attempt(account=_typed(data.email), address=address):
            parts.passwords.verify(stored, password)
        assert stored is not None  # noqa: S101 - None verifies nothing
        return parts.passwords.hash(password) if parts.passwords.needs_rehash(stored) else None

    renewed = await hashing(parts, verify)
    if user is None or stored is None:
        raise InvalidCredentialsError
    if renewed is not None:
        async with parts.catalog.begin() as session:
            await db.renew_password_hash(session, user.id, old=stored, new=renewed)
    return await finish_login(parts, user, method="password")


@post("/refresh", status_code=HTTPStatus.OK, opt=answers(401))
async def refresh(data: JSONBody[RefreshRequest], parts: Wired) -> Tokens:
    """Exchange a refresh token for the next one; the old one works for 15 s more, with the same answer."""
    try:
        grant = await asyncio.to_thread(parts.sessions.refresh, data.refresh_token.get_secret_value())
    except SessionReusedError as error:
        async with parts.catalog.begin() as session:
            await db.record(
                session,
                action="session.reused",
                subject=f"user:{error.user_id}",
                detail={"family": str(error.family), "revoked": True},
            )
        raise
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, grant.user_id)
    if user.status != "active":
        await asyncio.to_thread(parts.sessions.revoke_all, user.id)
        raise InvalidCredentialsError
    return await tokens_of(parts, user, grant)


@post("/logout", status_code=HTTPStatus.NO_CONTENT, opt=answers(401))
async def logout(data: JSONBody[RefreshRequest], parts: Wired) -> None:
    """End the session of a refresh token; one that is unknown or ended already is no error."""
    await asyncio.to_thread(parts.sessions.revoke, data.refresh_token.get_secret_value())


@post("/logout-all", status_code=HTTPStatus.NO_CONTENT)
async def logout_everywhere(owner: Owner, parts: Wired) -> None:
    """End all sessions of whoever asks, and put their access tokens out of date."""
    await asyncio.to_thread(parts.sessions.revoke_all, owner.user_id)
    async with parts.catalog.begin() as session:
        await db.bump_authz_version(session, owner.user_id)
        subject = f"user:{owner.user_id}"
        await db.record(session, actor_id=owner.user_id, action="user.logout_all", subject=subject)


@get("/sessions")
async def list_sessions(owner: Owner, parts: Wired) -> list[SessionView]:
    """List the sessions of whoever asks, the one refreshed last first."""
    alive = await asyncio.to_thread(parts.sessions.list, owner.user_id)
    return [SessionView(id=each.family, refreshed_at=each.created_at, expires_at=each.expires_at) for each in alive]


@delete("/sessions/{session_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def end_session(session_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """End one session of whoever asks; one that is not theirs, or ended already, is no error."""
    await asyncio.to_thread(parts.sessions.end, owner.user_id, session_id)


@post("/password", status_code=HTTPStatus.OK)
async def change_password(data: JSONBody[PasswordChange], owner: Owner, parts: Wired, address: Address) -> Tokens:
    """Replace the password of whoever asks, and end all their sessions but a new one."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
    new = data.password.get_secret_value()

    def verify() -> str:
        with parts.lockout.attempt(account=user.email, address=address):
            parts.passwords.verify(user.password_hash, data.current.get_secret_value())
        check_strength(new, about=[user.email, user.display_name])
        return parts.passwords.hash(new)

    digest = await hashing(parts, verify)
    async with parts.catalog.begin() as session:
        if not await db.replace_password_hash(session, user.id, old=user.password_hash, new=digest):
            raise InvalidCredentialsError  # another change was quicker
        await db.record(session, actor_id=user.id, action="user.password_changed", subject=f"user:{user.id}")
        user = await db.user_by_id(session, user.id)
    await asyncio.to_thread(parts.sessions.revoke_all, user.id)
    grant = await asyncio.to_thread(parts.sessions.start, user.id)
    return await tokens_of(parts, user, grant)


@get("/me")
async def me(owner: Owner, parts: Wired) -> UserView:
    """Say who is logged in."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
    return user_view(user, owner.roles)


def _typed(email: str) -> str:
    """Return the one form of all spellings of an address; of what is no address, too."""
    try:
        return db.fold_email(email)
    except InvalidEmailError:
        return email.casefold()


def _role_of_newcomer(parts: Parts, data: Registration) -> str:
    """Return the role of whoever registers.

    Raises:
        PermissionDeniedError: They may not.
        TokenError: Their invitation is not good.
    """
    if data.invitation is not None:
        claims = parts.mail_tokens.read(data.invitation.get_secret_value(), purpose="invitation")
        invited = json.loads(claims.subject)
        if invited["email"] != db.fold_email(data.email):
            raise TokenInvalidError("the invitation is for another address")
        return str(invited["role"])
    if parts.settings.registration == "open":
        return NEW_USER_ROLE
    how = "by invitation" if parts.settings.registration == "invitation" else "closed"
    raise PermissionDeniedError("register", f"registration is {how}; ask an administrator")


async def _make_user(parts: Parts, data: Registration, digest: str, role: str) -> User:
    async with parts.catalog.begin() as session:
        user = await db.create_user(session, email=data.email, display_name=data.display_name, password_hash=digest)
        await db.grant_role(session, user.id, role)
        await db.record(session, actor_id=user.id, action="user.register", subject=f"user:{user.id}")
    return user


async def _verified_by_invitation(parts: Parts, data: Registration, user: User) -> bool:
    """Return whether the invitation shows that the address is theirs: it was sent there."""
    if data.invitation is None:
        return False
    async with parts.catalog.begin() as session:
        await db.verify_email(session, user)
    return True


routes = [
    Router(
        "/auth",
        route_handlers=[
            register,
            login,
            refresh,
            logout,
            logout_everywhere,
            list_sessions,
            end_session,
            change_password,
            me,
        ],
        tags=["accounts"],
    )
]
