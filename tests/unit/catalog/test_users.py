"""Users: one an address, with roles whose changes put tokens out of date."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.auth import ROLES
from mamkit.catalog import (
    Catalog,
    EmailTakenError,
    InvalidEmailError,
    InvalidTextError,
    Role,
    RoleNotFoundError,
    User,
    UserNotFoundError,
)
from mamkit.catalog.models import UserStatus
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio


async def version_of(catalog: Catalog, user: User) -> int:
    async with catalog.read() as session:
        return (await db.user_by_id(session, user.id)).authz_version


async def test_a_user_is_found_by_id_and_by_address(catalog: Catalog, user: User, clock: Clock) -> None:
    async with catalog.read() as session:
        by_id = await db.user_by_id(session, user.id)
        by_email = await db.user_by_email(session, "  ADA@Example.ORG ")
    assert by_email is by_id
    assert (by_id.email, by_id.display_name, by_id.status) == ("ada@example.org", "Ada", "active")
    assert (by_id.password_hash, by_id.authz_version) == (None, 1)
    assert by_id.created_at == by_id.updated_at == clock.now


@pytest.mark.parametrize("same", ["ada@example.org", "ADA@EXAMPLE.ORG", " Ada@example.org\n"])
async def test_an_address_has_one_user(catalog: Catalog, user: User, same: str) -> None:
    """The transaction goes on without the refused one."""
    async with catalog.begin() as session:
        with pytest.raises(EmailTakenError) as caught:
            await db.create_user(session, email=same)
        await db.create_user(session, email="bob@example.org")
    assert caught.value.email == user.email
    async with catalog.read() as session:
        assert await db.count_users(session) == 2


async def test_of_many_registrations_at_once_one_succeeds(catalog: Catalog) -> None:
    async def register() -> bool:
        try:
            async with catalog.begin() as session:
                await db.create_user(session, email="Ada@example.org")
        except EmailTakenError:
            return False
        return True

    assert sorted(await asyncio.gather(*(register() for _ in range(20)))) == [False] * 19 + [True]


def test_addresses_are_folded() -> None:
    assert db.fold_email("STRASSE@EXAMPLE.ORG") == db.fold_email("straße@example.org")
    assert db.fold_email("jose\u0301@example.org") == db.fold_email("JOS\u00c9@example.org")
    assert db.fold_email('"odd@name"@example.org') == '"odd@name"@example.org'


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "a b@example.org",
        "a\0@example.org",
        "a\n@example.org",
        "\ud800@example.org",
        "a" * 243 + "@example.org",
        "a\u00a0b@example.org",
        "a\u202eb@example.org",
    ],
)
async def test_what_is_no_address_is_refused_and_belongs_to_nobody(catalog: Catalog, wrong: str) -> None:
    async with catalog.begin() as session:
        with pytest.raises(InvalidEmailError):
            await db.create_user(session, email=wrong)
        assert await db.user_by_email(session, wrong) is None


@pytest.mark.parametrize("name", ["\0", "\ud83d", "x" * 201])
async def test_a_name_that_cannot_be_stored_everywhere_is_refused(catalog: Catalog, name: str) -> None:
    async with catalog.begin() as session:
        with pytest.raises(InvalidTextError):
            await db.create_user(session, email="a@example.org", display_name=name)
    async with catalog.read() as session:
        assert await db.count_users(session) == 0


async def test_who_is_not_there_is_not_found(catalog: Catalog) -> None:
    nobody = uuid4()
    async with catalog.begin() as session:
        await db.ensure_roles(session, ROLES)
        for attempt in (
            db.user_by_id(session, nobody),
            db.set_user_status(session, nobody, "disabled"),
            db.bump_authz_version(session, nobody),
        ):
            with pytest.raises(UserNotFoundError) as caught:
                await attempt
            assert caught.value.key == nobody
        for change in (db.grant_role, db.revoke_role):
            with pytest.raises(UserNotFoundError):
                await change(session, nobody, "admin")
        assert await db.roles_of(session, nobody) == []


async def test_a_renewed_hash_leaves_tokens_alone_and_gives_way_to_a_new_password(
    catalog: Catalog, user: User, clock: Clock
) -> None:
    clock.advance(timedelta(minutes=1))
    async with catalog.begin() as session:
        assert await db.replace_password_hash(session, user.id, old=user.password_hash, new="first")
        assert await db.renew_password_hash(session, user.id, old="first", new="second")
        assert not await db.renew_password_hash(session, user.id, old="first", new="third")
        assert not await db.renew_password_hash(session, uuid4(), old="second", new="third")
    async with catalog.read() as session:
        changed = await db.user_by_id(session, user.id)
    assert (changed.password_hash, changed.authz_version) == ("second", 2)
    assert changed.updated_at == clock.now > changed.created_at


async def test_roles_come_and_go_and_put_tokens_out_of_date(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        await db.ensure_roles(session, ROLES)
        for _ in range(2):  # the second time changes nothing
            await db.grant_role(session, user.id, "viewer")
            await db.grant_role(session, user.id, "editor")
    assert await version_of(catalog, user) == 3
    async with catalog.begin() as session:
        assert await db.roles_of(session, user.id) == ["editor", "viewer"]
        for _ in range(2):
            await db.revoke_role(session, user.id, "viewer")
        assert await db.roles_of(session, user.id) == ["editor"]
    assert await version_of(catalog, user) == 4


async def test_an_unknown_role_is_an_error(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        for change in (db.grant_role, db.revoke_role):
            with pytest.raises(RoleNotFoundError):
                await change(session, user.id, "root")


async def test_a_disabled_user_has_tokens_out_of_date(catalog: Catalog, user: User) -> None:
    statuses: list[UserStatus] = ["disabled", "disabled", "active"]
    for status in statuses:
        async with catalog.begin() as session:
            await db.set_user_status(session, user.id, status)
    assert await version_of(catalog, user) == 3


async def test_changes_at_once_all_count(catalog: Catalog, user: User) -> None:
    async def bump() -> None:
        async with catalog.begin() as session:
            await db.bump_authz_version(session, user.id)

    await asyncio.gather(*(bump() for _ in range(10)))
    assert await version_of(catalog, user) == 11


async def test_roles_are_made_once_and_brought_up_to_date(catalog: Catalog) -> None:
    async def ensure(**roles: set[str]) -> None:
        async with catalog.begin() as session:
            await db.ensure_roles(session, roles)

    await asyncio.gather(*(ensure(viewer={"b", "a"}, editor={"c"}) for _ in range(5)))
    await ensure(viewer={"a"})
    async with catalog.read() as session:
        roles = {role.name: role.permissions for role in await session.scalars(sa.select(Role))}
    assert roles == {"viewer": ["a"], "editor": ["c"]}


async def test_the_database_itself_refuses_an_unknown_status(catalog: Catalog) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with catalog.begin() as session:
            await session.execute(sa.insert(User).values(email="x@y", display_name="", status="banned"))


async def test_a_row_shows_which_it_is_and_nothing_of_what_it_holds(catalog: Catalog, user: User) -> None:
    assert repr(user) == f"<User {user.id}>"
    assert repr(User(email="bob@example.org")) == "<User that is not stored yet>"
