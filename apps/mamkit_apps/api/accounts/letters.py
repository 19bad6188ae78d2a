"""`/auth/verify-email`, `/auth/reset-password`, `/auth/invitations`: what happens by mail."""

import asyncio
import json
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Resource, TokenInvalidError, check_strength
from mamkit.catalog import User, UserNotFoundError
from mamkit_apps.api.accounts.logins import hashing
from mamkit_apps.api.accounts.schemas import EmailRequest, Invitation, MailTokenRequest, NewPassword
from mamkit_apps.api.bodies import NO_BODY
from mamkit_apps.api.callers.access import Owner, require
from mamkit_apps.api.callers.address import Address
from mamkit_apps.api.described import answers
from mamkit_apps.api.mail import Mail
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["already_registered", "count_mail", "routes", "send_verification"]

VERIFY, RESET, INVITE = "verify-email", "password-reset", "invitation"
VERIFY_LIFETIME = timedelta(days=3)
RESET_LIFETIME = timedelta(hours=1)  # it is as good as the password
INVITE_LIFETIME = timedelta(days=7)


@post("/verify-email/send", status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
async def send_verification_again(owner: Owner, parts: Wired, address: Address) -> None:
    """Send the mail that verifies the address of whoever asks once more."""
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, owner.user_id)
        verified = await db.email_is_verified(session, user)
    if not verified:
        await count_mail(parts, address)
        send_verification(parts, user)


@post("/verify-email", status_code=HTTPStatus.NO_CONTENT, opt=answers(401))
async def verify_email(data: JSONBody[MailTokenRequest], parts: Wired) -> None:
    """Record that an address is its user's, by the token of the mail."""
    claims = parts.mail_tokens.read(data.token.get_secret_value(), purpose=VERIFY)
    async with parts.catalog.begin() as session:
        user = await _user(session, claims.subject)
        parts.mail_tokens.spend(claims, state=user.email)
        if not await db.verify_email(session, user):
            raise TokenInvalidError("it was used already, or is out of date")
        await db.record(session, actor_id=user.id, action="user.email_verified", subject=f"user:{user.id}")


@post("/reset-password/send", status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
async def send_reset(data: JSONBody[EmailRequest], parts: Wired, address: Address) -> None:
    """Send a mail with which a new password can be chosen, if the address has an account; the answer is always this."""
    await count_mail(parts, address)
    async with parts.catalog.read() as session:
        user = await db.user_by_email(session, data.email)
    token = parts.mail_tokens.issue(  # for nobody, too, so that the time does not tell
        purpose=RESET,
        subject="" if user is None else str(user.id),
        state="" if user is None else _reset_state(user),
        lifetime=RESET_LIFETIME,
    )
    text = (
        "Somebody, most likely you, wants to choose a new password. This link is good for an hour:\n\n"
        f"{parts.settings.public_url}/reset-password#token={token}\n\n"
        "If it was not you, there is nothing to do."
    )
    if user is not None and user.status == "active":
        parts.post.put(Mail(to=user.email, subject="A new password", text=text))


@post("/reset-password", status_code=HTTPStatus.NO_CONTENT, opt=answers(401))
async def reset_password(data: JSONBody[NewPassword], parts: Wired) -> None:
    """Replace a password by the token of a mail, and end all sessions; of two uses at once, one succeeds.

    If the address was not verified before, nothing else logs in to the account any more: somebody else may have made
    it, and have left a way back in (Sudhodanan and Paverd, "Pre-hijacked accounts", USENIX Security 2022).
    """
    claims = parts.mail_tokens.read(data.token.get_secret_value(), purpose=RESET)
    async with parts.catalog.read() as session:
        user = await _user(session, claims.subject)
    parts.mail_tokens.spend(claims, state=_reset_state(user))
    new = data.password.get_secret_value()

    def make() -> str:
        check_strength(new, about=[user.email, user.display_name])
        return parts.passwords.hash(new)

    digest = await hashing(parts, make)
    async with parts.catalog.begin() as session:
        if not await db.replace_password_hash(session, user.id, old=user.password_hash, new=digest):
            raise TokenInvalidError("it was used already, or is out of date")
        if await db.verify_email(session, user):  # the mail has reached them, for the first time
            await db.remove_other_logins(session, user.id)
        await db.record(session, actor_id=user.id, action="user.password_reset", subject=f"user:{user.id}")
    await asyncio.to_thread(parts.sessions.revoke_all, user.id)
    await asyncio.to_thread(parts.lockout.forget, account=user.email)


@post("/invitations", status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
async def invite(data: JSONBody[Invitation], owner: Owner, parts: Wired) -> None:
    """Send somebody a mail with which they may register; administrators only."""
    require(owner, "user.manage", Resource(kind="user"))
    email = db.fold_email(data.email)
    subject = json.dumps({"email": email, "role": data.role})
    token = parts.mail_tokens.issue(purpose=INVITE, subject=subject, state=email, lifetime=INVITE_LIFETIME)
    async with parts.catalog.begin() as session:
        await db.record(
            session, actor_id=owner.user_id, action="user.invited", subject=f"email:{email}",
            detail={"role": data.role},
        )  # fmt: skip
    text = (
        "You are invited to make an account. This link is good for a week:\n\n"
        f"{parts.settings.public_url}/register#invitation={token}"
    )
    parts.post.put(Mail(to=email, subject="An invitation", text=text))


async def count_mail(parts: Parts, address: str) -> None:
    """Count a mail that somebody makes us send, to whomever, so that nobody fills other people's mailboxes.

    Raises:
        LockedOutError: They have made us send too many.
    """

    def count() -> None:
        parts.mail_limit.check(address=address)
        parts.mail_limit.failed(address=address)

    await asyncio.to_thread(count)


def send_verification(parts: Parts, user: User) -> None:
    """Send the mail that verifies a user's address."""
    token = parts.mail_tokens.issue(purpose=VERIFY, subject=str(user.id), state=user.email, lifetime=VERIFY_LIFETIME)
    text = (
        "An account was made with this address. If it is yours, follow this link within three days:\n\n"
        f"{parts.settings.public_url}/verify-email#token={token}\n\n"
        "If it is not, there is nothing to do."
    )
    parts.post.put(Mail(to=user.email, subject="Is this your address?", text=text))


def already_registered(settings: ApiSettings, email: str) -> Mail:
    """Return the mail to somebody who has an account, when another is to be made with their address."""
    text = (
        "Somebody, perhaps you, wanted to make an account with this address. There is one already: log in, or choose a "
        f"new password at\n\n{settings.public_url}/reset-password\n\nIf it was not you, there is nothing to do."
    )
    return Mail(to=email, subject="You have an account already", text=text)


def _reset_state(user: User) -> str:
    """Return what the use of a reset token changes; a new address ends it, too."""
    return f"{user.email}\0{user.password_hash}\0{user.status}"


async def _user(session: AsyncSession, subject: str) -> User:
    """Return the user that a token names.

    Raises:
        TokenInvalidError: They are gone.
    """
    try:
        return await db.user_by_id(session, UUID(subject))
    except UserNotFoundError as error:
        raise TokenInvalidError("there is no such account any more") from error


routes = [
    Router(
        "/auth",
        route_handlers=[send_verification_again, verify_email, send_reset, reset_password, invite],
        tags=["accounts"],
    )
]
