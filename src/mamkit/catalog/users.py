"""Users and their roles."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, cast, func, literal, select, true, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import Catalog, now
from mamkit.catalog.errors import EmailTakenError, InvalidEmailError, RoleNotFoundError, UserNotFoundError
from mamkit.catalog.models import Role, User, UserRole, UserStatus
from mamkit.catalog.questions import Question
from mamkit.catalog.workspace_models import Membership
from mamkit.catalog.workspaces import create_personal_workspace

__all__ = [
    "Standing",
    "bump_authz_version",
    "count_users",
    "create_user",
    "ensure_roles",
    "fold_email",
    "grant_role",
    "revoke_role",
    "roles_of",
    "set_user_status",
    "standing_of",
    "user_by_email",
    "user_by_id",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who a user is and where they may do something."""

    user_id: UUID
    status: UserStatus
    authz_version: int
    roles: frozenset[str]
    """Of the account."""
    memberships: Mapping[UUID, str]
    """The role in each workspace."""


_MAX_EMAIL = 254  # characters: a path has 256 octets with its brackets (RFC 5321 section 4.5.3.1.3)


def fold_email(email: str) -> str:
    """Return the form in which addresses are kept and compared: trimmed, Unicode form NFC, case-folded.

    Raises:
        InvalidEmailError: It has no text on both sides of an `@`, more than 254 characters, or white space or control
            characters within.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email.strip()).casefold())
    local, at, domain = folded.rpartition("@")
    printable = folded.isprintable() and not any(character.isspace() for character in folded)
    if not (local and at and domain and printable and len(folded) <= _MAX_EMAIL):
        raise InvalidEmailError(email)
    return folded


async def create_user(
    session: AsyncSession, *, email: str, display_name: str = "", password_hash: str | None = None
) -> User:
    """Add a user without roles, and their personal workspace, which has the user's id.

    Args:
        session: Of `Catalog.begin`.
        email: In any case; nobody else may have it.
        display_name: At most 200 characters.
        password_hash: As `mamkit.auth` makes it; None for somebody who logs in elsewhere.

    Raises:
        EmailTakenError: Somebody has this address, be it since a moment ago.
        InvalidEmailError: It is no address.
        InvalidTextError: The display name cannot be stored.
    """
    folded = fold_email(email)
    moment = now(session)
    try:
        user = await add(
            session,
            User,
            email=folded,
            display_name=display_name,
            password_hash=password_hash,
            created_at=moment,
            updated_at=moment,
        )
    except IntegrityError as error:
        if is_duplicate(error):
            raise EmailTakenError(folded) from error
        raise
    await create_personal_workspace(session, user.id)
    return user


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the user with an address, in whatever case; None if nobody has it or it is no address."""
    try:
        folded = fold_email(email)
    except InvalidEmailError:
        return None
    return await session.scalar(select(User).where(User.email == folded))


async def user_by_id(session: AsyncSession, user_id: UUID) -> User:
    """Return a user.

    Raises:
        UserNotFoundError: There is none with this id.
    """
    user = await session.get(User, user_id)
    if user is None:
        raise UserNotFoundError(user_id)
    return user


def _standing() -> Question[UUID, UserStatus, int, str, str, UUID]:
    """Return what `standing_of` asks: a row for each right, and one for who has none."""
    user_id = bindparam("user_id", type_=Uuid())
    roles = select(literal("role"), Role.name, cast(None, Uuid)).join(UserRole, UserRole.role_id == Role.id)
    members = select(literal("member"), cast(Membership.role, String), Membership.workspace_id)
    rights = union_all(
        roles.where(UserRole.user_id == user_id), members.where(Membership.user_id == user_id)
    ).subquery()
    kind, name, workspace_id = rights.c
    found = select(User.id, User.status, User.authz_version, kind, name, workspace_id)
    return Question(found.join(rights, true(), isouter=True).where(User.id == user_id))


_STANDING = _standing()


async def standing_of(catalog: Catalog, user_id: UUID) -> Standing | None:
    """Return who a user is and what they may, by one question; None if there is no such user.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    rows = await catalog.ask(_STANDING, user_id=user_id)
    if not rows:
        return None
    _, status, authz_version, *_ = rows[0]
    return Standing(
        user_id=user_id,
        status=status,
        authz_version=authz_version,
        roles=frozenset(row[4] for row in rows if row[3] == "role"),
        memberships={row[5]: row[4] for row in rows if row[3] == "member"},
    )


async def count_users(session: AsyncSession) -> int:
    """Return how many users there are, disabled ones included."""
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def set_user_status(session: AsyncSession, user_id: UUID, status: UserStatus) -> User:
    """Enable or disable a user; their access tokens are out of date if that changes anything.

    Raises:
        UserNotFoundError: There is no such user.
    """
    user = await _locked(session, user_id)
    if user.status != status:
        user.status = status
        user.authz_version += 1
    return await _touched(session, user)


async def bump_authz_version(session: AsyncSession, user_id: UUID) -> User:
    """Put the access tokens of a user out of date.

    Raises:
        UserNotFoundError: There is no such user.
    """
    user = await _locked(session, user_id)
    user.authz_version += 1
    return await _touched(session, user)


async def ensure_roles(session: AsyncSession, roles: Mapping[str, Iterable[str]]) -> None:
    """Make the roles that are missing, and give those that are there these permissions; others are left alone.

    Args:
        session: Of `Catalog.begin`.
        roles: Permissions by name of the role, e.g. `mamkit.auth.ROLES`.
    """
    for name, permissions in sorted(roles.items()):
        listed = sorted(permissions)
        role = await session.scalar(select(Role).where(Role.name == name).with_for_update())
        if role is None:
            try:
                await add(session, Role, name=name, permissions=listed)
            except IntegrityError as error:  # another process made it this moment, from the same roles
                if not is_duplicate(error):
                    raise
        elif role.permissions != listed:
            role.permissions = listed
    await session.flush()


async def grant_role(session: AsyncSession, user_id: UUID, role: str) -> None:
    """Give a user a role; their access tokens are then out of date. A role that they have changes nothing.

    Raises:
        UserNotFoundError: There is no such user.
        RoleNotFoundError: There is no such role.
    """
    user = await _locked(session, user_id)
    role_id = await _role_id(session, role)
    if await session.get(UserRole, (user_id, role_id)) is None:
        session.add(UserRole(user_id=user_id, role_id=role_id))
        user.authz_version += 1
        await _touched(session, user)


async def revoke_role(session: AsyncSession, user_id: UUID, role: str) -> None:
    """Take a role from a user; their access tokens are then out of date. A role that they lack changes nothing.

    Raises:
        UserNotFoundError: There is no such user.
        RoleNotFoundError: There is no such role.
    """
    user = await _locked(session, user_id)
    role_id = await _role_id(session, role)
    held = await session.get(UserRole, (user_id, role_id))
    if held is not None:
        await session.delete(held)
        user.authz_version += 1
        await _touched(session, user)


async def roles_of(session: AsyncSession, user_id: UUID) -> list[str]:
    """Return the names of a user's roles, in order; none for a user who does not exist."""
    query = select(Role.name).join(UserRole, UserRole.role_id == Role.id).where(UserRole.user_id == user_id)
    return list(await session.scalars(query.order_by(Role.name)))


async def _role_id(session: AsyncSession, name: str) -> UUID:
    role_id = await session.scalar(select(Role.id).where(Role.name == name))
    if role_id is None:
        raise RoleNotFoundError(name)
    return role_id


async def _locked(session: AsyncSession, user_id: UUID) -> User:
    """Return a user as they are now; nobody else changes them until the transaction ends."""
    user = await session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise UserNotFoundError(user_id)
    return user


async def _touched(session: AsyncSession, user: User) -> User:
    user.updated_at = now(session)
    await session.flush()
    return user
