"""The catalog on PostgreSQL: its migrations, and that what must happen once does."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from mamkit import catalog as db
from mamkit.catalog import Catalog, User, sync_engine
from mamkit.catalog.models import Base
from tests.servers.postgres import Postgres
from tests.unit.catalog.declared import declared_as_such

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    url = postgres.new_database()
    db.upgrade(url)
    return url


@pytest.fixture
async def catalog(url: str) -> AsyncIterator[Catalog]:
    async with Catalog(url) as catalog:
        yield catalog


@pytest.fixture
async def user(catalog: Catalog, request: pytest.FixtureRequest) -> User:
    async with catalog.begin() as session:
        return await db.create_user(session, email=f"{request.node.name}@example.org", password_hash="old")


async def how_many(catalog: Catalog, attempt: object) -> int:
    """Return how many of ten attempts at once said that they did it."""

    async def once() -> bool:
        async with catalog.begin() as session:
            done: bool = await attempt(session)  # type: ignore[operator]
            return done

    return sum(await asyncio.gather(*(once() for _ in range(10))))


def test_the_migrations_make_what_the_models_say(url: str) -> None:
    engine = sync_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": declared_as_such}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_up_and_down_and_up_again(postgres: Postgres) -> None:
    url = postgres.new_database()
    db.upgrade(url)
    head = db.current(url)
    db.downgrade(url, "0001")
    assert db.current(url) == "0001"
    db.downgrade(url, "base")
    db.upgrade(url)
    assert db.current(url) == head


async def test_a_password_is_replaced_once(catalog: Catalog, user: User) -> None:
    assert await how_many(catalog, lambda s: db.replace_password_hash(s, user.id, old="old", new="new")) == 1


async def test_a_code_is_used_once(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        assert await db.set_second_factor(session, user.id, "sealed")
    assert await how_many(catalog, lambda s: db.use_second_factor(s, user.id, 7)) == 1
    async with catalog.begin() as session:
        assert not await db.use_second_factor(session, user.id, 6)
        assert not await db.set_second_factor(session, user.id, "another")  # it is confirmed now


async def test_a_recovery_code_is_spent_once(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        await db.set_recovery_codes(session, user.id, ["a" * 64, "b" * 64])
    assert await how_many(catalog, lambda s: db.spend_recovery_digest(s, user.id, "a" * 64)) == 1


async def test_an_address_is_verified_once_and_anew_after_a_change(catalog: Catalog, user: User) -> None:
    assert await how_many(catalog, lambda s: db.verify_email(s, user)) == 1
    async with catalog.begin() as session:
        await session.execute(sa.update(User).where(User.id == user.id).values(email="new-address@example.org"))
    async with catalog.read() as session:
        assert not await db.email_is_verified(session, await db.user_by_id(session, user.id))


async def test_a_login_elsewhere_has_one_account(catalog: Catalog, user: User) -> None:
    async def link(session: object) -> bool:
        try:
            await db.link_identity(session, user_id=user.id, provider="id", subject="1", email=None)  # type: ignore[arg-type]
        except db.IdentityTakenError:
            return False
        return True

    assert await how_many(catalog, link) == 1
    async with catalog.read() as session:
        found = await db.user_of_identity(session, "id", "1")
    assert found is not None
    assert found.id == user.id


@pytest.mark.parametrize("way", ["read", "begin", "ask"])
async def test_connections_that_are_gone_are_made_anew(
    catalog: Catalog, user: User, url: str, postgres: Postgres, way: str
) -> None:
    """A server that was restarted, or a proxy that drops idle connections, costs nobody an error."""
    await asyncio.gather(*(db.standing_of(catalog, user.id) for _ in range(3)))
    dropped = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        row = admin.execute(dropped, [url.rpartition("/")[2]]).fetchone()
    assert row is not None
    assert row[0] >= 3
    if way == "ask":
        standing = await db.standing_of(catalog, user.id)
        assert standing is not None
        assert standing.user_id == user.id
        return
    async with getattr(catalog, way)() as session:
        assert (await db.user_by_id(session, user.id)).email == user.email
