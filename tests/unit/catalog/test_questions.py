"""Questions see what a session sees, and leave nothing behind, however they end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.catalog import Asset, AssetNotFoundError, Catalog, CatalogUnavailableError, Scope, User
from mamkit.catalog._asking import wording_of
from mamkit.catalog.questions import Question
from tests.servers.postgres import Postgres
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

TITLES = Question(sa.select(Asset.title).order_by(Asset.title))
PAST_THE_MODELS = Question(sa.select(sa.table("assets", sa.column("title", sa.String)).c.title))
"""The same, without the condition that statements about models get."""
SETTINGS = Question(
    sa.select(sa.func.current_setting("mamkit.scope", type_=sa.String), sa.func.current_setting("mamkit.actor", True))
)


def seen_by(user: User) -> Scope:
    return Scope(actor_id=user.id, workspaces=frozenset({user.id}))


@pytest.fixture
async def people(any_catalog: Catalog) -> list[User]:
    """Two people with an asset each, `0` and `1`."""
    people = []
    async with any_catalog.begin() as session:
        for number in range(2):
            user = await db.create_user(session, email=f"{number}@example.org")
            asset = await db.create_asset(session, user_id=user.id, title=str(number), staging_key=f"uploads/{number}")
            await db.tag_asset(session, asset.id, ["b", "a"])
            people.append(user)
    return people


@pytest.fixture
async def on_postgresql(postgres: Postgres, postgres_template: str) -> AsyncIterator[Catalog]:
    async with Catalog(postgres.new_database(template=postgres_template, role="tenant")) as catalog:
        yield catalog


async def test_a_question_sees_its_scope_and_the_next_one_its_own(any_catalog: Catalog, people: list[User]) -> None:
    for _ in range(8):  # by then the driver has prepared the statements
        for number, user in enumerate(people):
            assert [*await any_catalog.ask(TITLES, seen_by(user))] == [(str(number),)]
        assert [*await any_catalog.ask(TITLES)] == [("0",), ("1",)]
        assert [*await any_catalog.ask(TITLES, Scope())] == []


async def test_many_questions_at_once_are_not_mixed_up(any_catalog: Catalog, people: list[User]) -> None:
    async def titles(number: int) -> bool:
        return [*await any_catalog.ask(TITLES, seen_by(people[number]))] == [(str(number),)]

    assert all(await asyncio.gather(*(titles(each % 2) for each in range(100))))


async def test_a_share_is_seen_until_it_ends(any_catalog: Catalog, people: list[User], clock: Clock) -> None:
    async with any_catalog.begin() as session:
        asset = await session.scalar(sa.select(Asset).where(Asset.title == "0"))
        assert asset is not None
        until = clock() + timedelta(hours=1)
        await db.share_asset(session, asset.id, people[1].id, actions=["asset.read"], expires_at=until)
    assert [*await any_catalog.ask(TITLES, seen_by(people[1]))] == [("0",), ("1",)]
    clock.advance(timedelta(hours=1))
    assert [*await any_catalog.ask(TITLES, seen_by(people[1]))] == [("1",)]


async def test_policies_narrow_a_question_that_goes_past_the_models(
    on_postgresql: Catalog, any_catalog: Catalog
) -> None:
    """What PostgreSQL itself hides does not depend on the condition that a question gets from its scope."""
    async with on_postgresql.begin() as session:
        user = await db.create_user(session, email="a@example.org")
        await db.create_asset(session, user_id=user.id, title="a", staging_key="uploads/a")
    for _ in range(8):
        assert [*await on_postgresql.ask(PAST_THE_MODELS, seen_by(user))] == [("a",)]
        assert [*await on_postgresql.ask(PAST_THE_MODELS, Scope(actor_id=uuid4()))] == []
        assert [*await on_postgresql.ask(SETTINGS, seen_by(user))] == [("", str(user.id))]
        assert [*await on_postgresql.ask(SETTINGS)] in ([("all", None)], [("all", "")])  # and nothing is left of it
    async with on_postgresql.read() as session:
        assert await session.scalar(sa.text("SELECT current_setting('mamkit.scope')")) == "all"


async def test_rows_are_as_a_session_has_them(any_catalog: Catalog, people: list[User]) -> None:
    async with any_catalog.read() as session:
        kept = await session.scalar(sa.select(Asset).where(Asset.title == "0"))
        assert kept is not None
    found, tags = await db.asset_with_tags(any_catalog, kept.id, seen_by(people[0]))
    assert tags == ["a", "b"]
    state = sa.inspect(found)
    assert state.detached
    assert not state.modified
    for each in sa.inspect(Asset).column_attrs:
        ours, theirs = getattr(found, each.key), getattr(kept, each.key)
        assert (type(ours), ours) == (type(theirs), theirs), each.key
    assert found.created_at.tzinfo is UTC
    with pytest.raises(AssetNotFoundError):
        await db.asset_with_tags(any_catalog, kept.id, seen_by(people[1]))
    async with any_catalog.begin() as session:
        await db.trash_asset(session, kept.id)
    with pytest.raises(AssetNotFoundError):
        await db.asset_with_tags(any_catalog, kept.id)


async def test_a_question_that_was_given_up_costs_nobody_a_connection(on_postgresql: Catalog) -> None:
    slow = Question(sa.select(sa.cast(sa.func.pg_sleep(60), sa.String)))
    for _ in range(20):  # more than the pool has
        for scope in (None, Scope(actor_id=uuid4())):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await on_postgresql.ask(slow, scope)
    assert [*await on_postgresql.ask(SETTINGS)] in ([("all", None)], [("all", "")])
    async with on_postgresql.begin() as session:
        await db.create_user(session, email="a@example.org")


async def test_a_refused_question_fails_as_in_a_session(on_postgresql: Catalog) -> None:
    number = sa.bindparam("number", type_=sa.Integer)
    divided = Question(sa.select(sa.literal_column("1") / number))
    for scope in (None, Scope()):
        for _ in range(8):
            with pytest.raises(sa.exc.DBAPIError, match="division by zero"):
                await on_postgresql.ask(divided, scope, number=0)
        assert [*await on_postgresql.ask(divided, scope, number=1)] == [(1,)]


async def test_a_database_that_is_away_is_unavailable() -> None:
    async with Catalog("postgresql://nobody@127.0.0.1:1/nowhere") as catalog:
        for scope in (None, Scope()):
            with pytest.raises(CatalogUnavailableError):
                await catalog.ask(TITLES, scope)


async def test_the_time_of_a_wording_is_that_of_each_asking(on_postgresql: Catalog, clock: Clock) -> None:
    """Wordings are kept: what they say of time must not be."""
    dialect: Any = on_postgresql._engine.dialect
    wording = wording_of(TITLES, Scope(actor_id=uuid4()), clock, dialect)
    assert list(wording.timed.values()) == [clock]
    assert not wording.timed.keys() & wording.fixed.keys()
    assert all(f"%({name})s" in wording.text for name in (*wording.timed, *wording.fixed))
