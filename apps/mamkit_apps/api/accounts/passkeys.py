"""`/auth/passkeys`: devices that log in by themselves."""

import asyncio
from http import HTTPStatus
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody

from mamkit import catalog as db
from mamkit.auth import PasskeyRefusedError
from mamkit.auth.passkeys import Passkey
from mamkit_apps.api.accounts.logins import SECOND_FACTOR_ASKED, finish_login
from mamkit_apps.api.accounts.schemas import PasskeyAnswer, PasskeyAsked, PasskeyView, SecondFactorAsked, Tokens
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.described import answers
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]

REGISTER, LOGIN = "passkey-registration", "passkey-login"  # kinds of flows


@post("/begin", status_code=HTTPStatus.OK)
async def begin_passkey(owner: Owner, parts: Wired) -> PasskeyAsked:
    """Ask for a new passkey of whoever asks."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
        known = await db.passkeys_of(session, user.id)
    question = parts.passkeys.begin_registration(
        user_id=user.id,
        user_name=user.email,
        display_name=user.display_name,
        known=[each.credential_id for each in known],
    )
    kept = {"user": str(user.id), "challenge": question.challenge}
    return PasskeyAsked(ticket=await asyncio.to_thread(parts.flows.open, REGISTER, kept), options=question.options)


@post("/finish")
async def finish_passkey(data: JSONBody[PasskeyAnswer], owner: Owner, parts: Wired) -> PasskeyView:
    """Keep the passkey that a device made."""
    kept = await asyncio.to_thread(parts.flows.finish, REGISTER, data.ticket.get_secret_value())
    if kept["user"] != str(owner.user_id):
        raise PasskeyRefusedError
    made = parts.passkeys.finish_registration(data.credential, challenge=kept["challenge"])
    async with parts.catalog.begin() as session:
        row = await db.add_passkey(
            session,
            user_id=owner.user_id,
            name=data.name,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
        )
        subject = f"user:{owner.user_id}"
        await db.record(session, actor_id=owner.user_id, action="passkey.added", subject=subject)
    return _view(row)


@post("/login/begin", status_code=HTTPStatus.OK)
async def ask_for_passkey(parts: Wired) -> PasskeyAsked:
    """Ask whichever device has a passkey of this site."""
    question = parts.passkeys.begin_login()
    ticket = await asyncio.to_thread(parts.flows.open, LOGIN, {"challenge": question.challenge})
    return PasskeyAsked(ticket=ticket, options=question.options)


@post("/login/finish", status_code=HTTPStatus.OK, responses=SECOND_FACTOR_ASKED, opt=answers(401, 403, 404))
async def log_in_by_passkey(data: JSONBody[PasskeyAnswer], parts: Wired) -> Response[Tokens | SecondFactorAsked]:
    """Log in with what a device answered; it verified its user, so that no other factor is asked for."""
    kept = await asyncio.to_thread(parts.flows.finish, LOGIN, data.ticket.get_secret_value())
    async with parts.catalog.read() as session:
        row = await db.passkey_by_credential(session, parts.passkeys.credential_id(data.credential))
    if row is None:
        raise PasskeyRefusedError
    known = Passkey(credential_id=row.credential_id, public_key=row.public_key, sign_count=row.sign_count)
    count = parts.passkeys.finish_login(data.credential, challenge=kept["challenge"], passkey=known)
    async with parts.catalog.begin() as session:
        if not await db.touch_passkey(session, row, sign_count=count):
            raise PasskeyRefusedError
        user = await db.user_by_id(session, row.user_id)
    return await finish_login(parts, user, method="passkey", strong=True)


@get("/")
async def list_passkeys(owner: Owner, parts: Wired) -> list[PasskeyView]:
    """List the passkeys of whoever asks."""
    async with parts.catalog.read() as session:
        return [_view(row) for row in await db.passkeys_of(session, owner.user_id)]


@delete("/{passkey_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def forget_passkey(passkey_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """Forget a passkey of whoever asks."""
    async with parts.catalog.begin() as session:
        if await db.delete_passkey(session, owner.user_id, passkey_id):
            subject = f"user:{owner.user_id}"
            await db.record(session, actor_id=owner.user_id, action="passkey.removed", subject=subject)


def _view(row: db.Passkey) -> PasskeyView:
    return PasskeyView(id=row.id, name=row.name, last_used_at=row.last_used_at, created_at=row.created_at)


routes = [
    Router(
        "/auth/passkeys",
        route_handlers=[
            begin_passkey,
            finish_passkey,
            ask_for_passkey,
            log_in_by_passkey,
            list_passkeys,
            forget_passkey,
        ],
        tags=["accounts"],
    )
]
