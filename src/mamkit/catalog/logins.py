"""What people log in with beside passwords. Each change that must happen once is one statement that says if it did."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CursorResult, bindparam, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import Delete, Update

from mamkit.catalog._loading import columns_of, detached
from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import Catalog, now
from mamkit.catalog.errors import IdentityTakenError
from mamkit.catalog.login_models import ApiKey, EmailVerification, Identity, Passkey, RecoveryCode, SecondFactor
from mamkit.catalog.models import User
from mamkit.catalog.questions import Question

__all__ = [
    "add_api_key",
    "add_passkey",
    "api_key_by_id",
    "api_keys_of",
    "delete_api_key",
    "delete_passkey",
    "email_is_verified",
    "identities_of",
    "link_identity",
    "passkey_by_credential",
    "passkeys_of",
    "recovery_digests",
    "remove_other_logins",
    "remove_second_factor",
    "renew_password_hash",
    "replace_password_hash",
    "second_factor_of",
    "set_recovery_codes",
    "set_second_factor",
    "spend_recovery_digest",
    "touch_api_key",
    "touch_passkey",
    "unlink_identity",
    "use_second_factor",
    "user_of_identity",
    "verify_email",
]

_TOUCH_EVERY = timedelta(minutes=1)  # a key used a thousand times a second writes once a minute


async def verify_email(session: AsyncSession, user: User) -> bool:
    """Record that a user's present address is theirs; return False if that was recorded already."""
    kept = await session.get(EmailVerification, user.id, with_for_update=True, populate_existing=True)
    if kept is not None and kept.email == user.email:
        return False
    if kept is None:
        try:
            await add(session, EmailVerification, user_id=user.id, email=user.email, verified_at=now(session))
        except IntegrityError as error:  # another request, this moment
            if is_duplicate(error):
                return False
            raise
    else:
        kept.email, kept.verified_at = user.email, now(session)
        await session.flush()
    return True


async def email_is_verified(session: AsyncSession, user: User) -> bool:
    """Return whether a user's present address was seen to be theirs."""
    kept = await session.get(EmailVerification, user.id)
    return kept is not None and kept.email == user.email


async def replace_password_hash(session: AsyncSession, user_id: UUID, *, old: str | None, new: str) -> bool:
    """Replace a user's password hash if it is still the old one; of two at once, one gets True.

    Access tokens are out of date afterwards.
    """
    unchanged = User.password_hash.is_(None) if old is None else User.password_hash == old
    replacing = (
        update(User)
        .where(User.id == user_id, unchanged)
        .values(password_hash=new, authz_version=User.authz_version + 1, updated_at=now(session))
    )
    return await _changed(session, replacing)


async def renew_password_hash(session: AsyncSession, user_id: UUID, *, old: str, new: str) -> bool:
    """Replace a hash by one of the same password under another profile, if it is still the old one; tokens stay valid.

    Returns False where the password was changed meanwhile, which must win.
    """
    renewing = update(User).where(User.id == user_id, User.password_hash == old)
    return await _changed(session, renewing.values(password_hash=new, updated_at=now(session)))


async def add_api_key(
    session: AsyncSession,
    *,
    key_id: UUID,
    user_id: UUID,
    name: str,
    digest: str,
    scopes: Iterable[str],
    expires_at: datetime | None,
) -> ApiKey:
    """Keep a key that `mamkit.auth.new_api_key` made."""
    return await add(
        session,
        ApiKey,
        id=key_id,
        user_id=user_id,
        name=name,
        digest=digest,
        scopes=sorted(scopes),
        expires_at=expires_at,
        created_at=now(session),
    )


_API_KEY = Question(select(*columns_of(ApiKey)).where(ApiKey.id == bindparam("key_id")))


async def api_key_by_id(catalog: Catalog, key_id: UUID) -> ApiKey | None:
    """Return a key, by one question.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    rows = await catalog.ask(_API_KEY, key_id=key_id)
    return detached(ApiKey, rows[0]) if rows else None


async def api_keys_of(session: AsyncSession, user_id: UUID) -> Sequence[ApiKey]:
    """Return a user's keys, newest first."""
    return (await session.scalars(select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id.desc()))).all()


async def touch_api_key(session: AsyncSession, key: ApiKey) -> None:
    """Note that a key is used; at most once a minute, so that its use costs no write each time."""
    moment = now(session)
    old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < moment - _TOUCH_EVERY)
    await session.execute(update(ApiKey).where(ApiKey.id == key.id, old).values(last_used_at=moment))


async def delete_api_key(session: AsyncSession, user_id: UUID, key_id: UUID) -> bool:
    """Delete a user's key; return whether they had it."""
    return await _changed(session, delete(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id))


async def set_second_factor(session: AsyncSession, user_id: UUID, sealed_secret: str) -> bool:
    """Keep a new secret, to be confirmed; return False, and change nothing, if the user has a confirmed one."""
    kept = await session.get(SecondFactor, user_id, with_for_update=True, populate_existing=True)
    if kept is not None and kept.confirmed_at is not None:
        return False
    if kept is None:
        session.add(SecondFactor(user_id=user_id, sealed_secret=sealed_secret, created_at=now(session)))
    else:
        kept.sealed_secret, kept.last_step = sealed_secret, None
    await session.flush()
    return True


async def second_factor_of(session: AsyncSession, user_id: UUID) -> SecondFactor | None:
    """Return a user's second factor, confirmed or not."""
    return await session.get(SecondFactor, user_id)


async def use_second_factor(session: AsyncSession, user_id: UUID, step: int) -> bool:
    """Note that the code of a step is used, and confirm the factor; of two at once, one gets True."""
    unused = or_(SecondFactor.last_step.is_(None), SecondFactor.last_step < step)
    using = update(SecondFactor).where(SecondFactor.user_id == user_id, unused)
    if not await _changed(session, using.values(last_step=step)):
        return False
    unconfirmed = update(SecondFactor).where(SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_(None))
    await session.execute(unconfirmed.values(confirmed_at=now(session)))
    return True


async def remove_second_factor(session: AsyncSession, user_id: UUID) -> bool:
    """Delete a user's second factor and its recovery codes; return whether there was one."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    return await _changed(session, delete(SecondFactor).where(SecondFactor.user_id == user_id))


async def set_recovery_codes(session: AsyncSession, user_id: UUID, digests: Iterable[str]) -> None:
    """Replace a user's recovery codes."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all(RecoveryCode(user_id=user_id, digest=digest) for digest in digests)
    await session.flush()


async def recovery_digests(session: AsyncSession, user_id: UUID) -> list[str]:
    """Return the digests of the codes that a user has left."""
    return list(await session.scalars(select(RecoveryCode.digest).where(RecoveryCode.user_id == user_id)))


async def spend_recovery_digest(session: AsyncSession, user_id: UUID, digest: str) -> bool:
    """Delete a code; of two at once, one gets True."""
    spending = delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.digest == digest)
    return await _changed(session, spending)


async def add_passkey(
    session: AsyncSession, *, user_id: UUID, name: str, credential_id: bytes, public_key: bytes, sign_count: int
) -> Passkey:
    """Keep a passkey.

    Raises:
        IdentityTakenError: It is registered already.
    """
    try:
        return await add(
            session,
            Passkey,
            user_id=user_id,
            name=name,
            credential_id=credential_id,
            public_key=public_key,
            sign_count=sign_count,
            created_at=now(session),
        )
    except IntegrityError as error:
        if is_duplicate(error):
            raise IdentityTakenError("passkey") from error
        raise


async def passkeys_of(session: AsyncSession, user_id: UUID) -> Sequence[Passkey]:
    """Return a user's passkeys, newest first."""
    return (await session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id.desc()))).all()


async def passkey_by_credential(session: AsyncSession, credential_id: bytes) -> Passkey | None:
    """Return the passkey with a credential id."""
    return await session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))


async def touch_passkey(session: AsyncSession, passkey: Passkey, *, sign_count: int) -> bool:
    """Note that a passkey is used; return False if its count changed meanwhile."""
    using = update(Passkey).where(Passkey.id == passkey.id, Passkey.sign_count == passkey.sign_count)
    return await _changed(session, using.values(sign_count=sign_count, last_used_at=now(session)))


async def delete_passkey(session: AsyncSession, user_id: UUID, passkey_id: UUID) -> bool:
    """Delete a user's passkey; return whether they had it."""
    return await _changed(session, delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id))


async def link_identity(
    session: AsyncSession, *, user_id: UUID, provider: str, subject: str, email: str | None
) -> Identity:
    """Link a login at another service to a user.

    Raises:
        IdentityTakenError: It is linked already.
    """
    values = {"user_id": user_id, "provider": provider, "subject": subject, "email": email}
    try:
        return await add(session, Identity, **values, created_at=now(session))
    except IntegrityError as error:
        if is_duplicate(error):
            raise IdentityTakenError(provider) from error
        raise


async def user_of_identity(session: AsyncSession, provider: str, subject: str) -> User | None:
    """Return the user that a login at another service is linked to."""
    linked = select(User).join(Identity, Identity.user_id == User.id)
    return await session.scalar(linked.where(Identity.provider == provider, Identity.subject == subject))


async def identities_of(session: AsyncSession, user_id: UUID) -> Sequence[Identity]:
    """Return the logins at other services that are linked to a user."""
    query = select(Identity).where(Identity.user_id == user_id).order_by(Identity.id)
    return (await session.scalars(query)).all()


async def unlink_identity(session: AsyncSession, user_id: UUID, identity_id: UUID) -> bool:
    """Remove a link; return whether there was one."""
    return await _changed(session, delete(Identity).where(Identity.id == identity_id, Identity.user_id == user_id))


async def remove_other_logins(session: AsyncSession, user_id: UUID) -> None:
    """Delete whatever logs in to an account beside its password, and its second factor."""
    for table in (Passkey, Identity, ApiKey):
        await session.execute(delete(table).where(table.user_id == user_id))
    await remove_second_factor(session, user_id)


async def _changed(session: AsyncSession, statement: Update | Delete) -> bool:
    done = await session.execute(statement.execution_options(synchronize_session="fetch"))
    return isinstance(done, CursorResult) and done.rowcount > 0
