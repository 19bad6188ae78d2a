"""`/auth/second-factor`: codes of an authenticator application, and recovery codes."""

import asyncio
from http import HTTPStatus
from uuid import UUID

from litestar import Response, Router, delete, post
from litestar.params import JSONBody

from mamkit import catalog as db
from mamkit.auth import (
    PermissionDeniedError,
    SecondFactorError,
    Totp,
    new_recovery_codes,
    new_totp_secret,
    recovery_digest,
    spend_recovery_code,
)
from mamkit.catalog import SecondFactor, User
from mamkit.clock import utc_now
from mamkit_apps.api.accounts.logins import SECOND_FACTOR, SECOND_FACTOR_ASKED, finish_login
from mamkit_apps.api.accounts.schemas import (
    CodeRequest,
    RecoveryCodes,
    SecondFactorAnswer,
    SecondFactorAsked,
    SecondFactorSecret,
    Tokens,
)
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.described import answers
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.sealed import SECOND_FACTORS

__all__ = ["routes"]

CODE_DIGITS = 6


@post("/login/second-factor", status_code=HTTPStatus.OK, responses=SECOND_FACTOR_ASKED, opt=answers(401, 403, 404))
async def answer_second_factor(
    data: JSONBody[SecondFactorAnswer], parts: Wired, address: Address
) -> Response[Tokens | SecondFactorAsked]:
    """Finish a login with a code; a wrong one leaves the ticket good, and counts."""
    ticket = data.ticket.get_secret_value()
    kept = await asyncio.to_thread(parts.flows.finish, SECOND_FACTOR, ticket)
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, UUID(kept["user"]))
    try:
        await _check(parts, user, data.code.get_secret_value(), address)
    except Exception:
        await asyncio.to_thread(parts.flows.put_back, SECOND_FACTOR, ticket, kept)
        raise
    return await finish_login(parts, user, method=f"{kept['method']}+code", strong=True)


@post("/second-factor", status_code=HTTPStatus.OK)
async def begin_second_factor(owner: Owner, parts: Wired) -> SecondFactorSecret:
    """Make a secret for an application; it is a factor once a first code was confirmed."""
    secret = new_totp_secret()
    sealed = parts.vault.seal(secret, where=SECOND_FACTORS.where(owner.user_id))
    async with parts.catalog.begin() as session:
        user = await db.user_by_id(session, owner.user_id)
        if not await db.set_second_factor(session, user.id, sealed):
            raise PermissionDeniedError("add a second factor", "there is one already; remove it first")
    return SecondFactorSecret(uri=Totp(secret).uri(issuer=parts.settings.site_name, account=user.email))


@post("/second-factor/confirm", status_code=HTTPStatus.OK)
async def confirm_second_factor(
    data: JSONBody[CodeRequest], owner: Owner, parts: Wired, address: Address
) -> RecoveryCodes:
    """Show with a first code that the application has the secret; the answer holds the recovery codes, once."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
        factor = await db.second_factor_of(session, user.id)
    if factor is None or factor.confirmed_at is not None:
        raise PermissionDeniedError("confirm a second factor", "there is none to confirm")
    step = await _step(parts, user, factor, data.code.get_secret_value(), address)
    codes = new_recovery_codes()
    async with parts.catalog.begin() as session:
        if not await db.use_second_factor(session, user.id, step):
            raise SecondFactorError
        await db.set_recovery_codes(session, user.id, map(recovery_digest, codes))
        await db.record(session, actor_id=user.id, action="second_factor.added", subject=f"user:{user.id}")
    return RecoveryCodes(codes=tuple(codes))


@delete("/second-factor", status_code=HTTPStatus.NO_CONTENT)
async def remove_second_factor(data: JSONBody[CodeRequest], owner: Owner, parts: Wired, address: Address) -> None:
    """Remove the factor and its recovery codes; it takes a code, so that a stolen access token is not enough."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
    await _check(parts, user, data.code.get_secret_value(), address)
    async with parts.catalog.begin() as session:
        await db.remove_second_factor(session, user.id)
        await db.record(session, actor_id=user.id, action="second_factor.removed", subject=f"user:{user.id}")


async def _check(parts: Parts, user: User, code: str, address: str) -> None:
    """Use a code of the application, or a recovery code, up.

    Raises:
        SecondFactorError: It is wrong, or was used already.
        LockedOutError: Too many were wrong.
    """
    async with parts.catalog.read() as session:
        factor = await db.second_factor_of(session, user.id)
        digests = await db.recovery_digests(session, user.id)
    if factor is None or factor.confirmed_at is None:
        raise SecondFactorError
    if len("".join(code.split())) <= CODE_DIGITS:
        step = await _step(parts, user, factor, code, address)
        async with parts.catalog.begin() as session:
            if not await db.use_second_factor(session, user.id, step):
                raise SecondFactorError
        return

    def look() -> str:
        with parts.lockout.attempt(account=_account(user), address=address):
            return spend_recovery_code(digests, code)

    digest = await asyncio.to_thread(look)
    async with parts.catalog.begin() as session:
        if not await db.spend_recovery_digest(session, user.id, digest):
            raise SecondFactorError
        await db.record(
            session, actor_id=user.id, action="second_factor.recovery_code_used", subject=f"user:{user.id}",
            detail={"left": len(digests) - 1},
        )  # fmt: skip


async def _step(parts: Parts, user: User, factor: SecondFactor, code: str, address: str) -> int:
    def look() -> int:
        with parts.lockout.attempt(account=_account(user), address=address):
            totp = Totp(parts.vault.open(factor.sealed_secret, where=SECOND_FACTORS.where(user.id)))
            return totp.check(code, at=utc_now(), last_step=factor.last_step)

    return await asyncio.to_thread(look)


def _account(user: User) -> str:
    """Return the key that wrong codes are counted under: apart from passwords, which may be right."""
    return f"second-factor:{user.id}"


routes = [
    Router(
        "/auth",
        route_handlers=[
            answer_second_factor,
            begin_second_factor,
            confirm_second_factor,
            remove_second_factor,
        ],
        tags=["accounts"],
    )
]
