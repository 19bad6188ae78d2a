"""The audit trail: kept with what it tells of, and never changed."""

from uuid import uuid4

import pytest

from mamkit import catalog as db
from mamkit.catalog import AuditImmutableError, Catalog, InvalidTextError, User
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio


async def test_events_come_back_newest_first(catalog: Catalog, user: User, clock: Clock) -> None:
    async with catalog.begin() as session:
        await db.record(session, action="a", subject="user:1", actor_id=user.id, detail={"x": [1, None]})
        await db.record(session, action="other", subject="user:2")
    async with catalog.read() as session:
        (event,) = await db.events_of(session, "user:1")
    assert (event.action, event.actor_id, event.detail, event.created_at) == ("a", user.id, {"x": [1, None]}, clock.now)


async def test_an_event_is_kept_only_with_what_it_tells_of(catalog: Catalog) -> None:
    async def fail() -> None:
        async with catalog.begin() as session:
            await db.record(session, action="a", subject="s")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with catalog.read() as session:
        assert await db.events_of(session, "s") == []


async def test_an_event_outlives_its_actor(catalog: Catalog) -> None:
    nobody = uuid4()
    async with catalog.begin() as session:
        await db.record(session, action="a", subject="s", actor_id=nobody)
    async with catalog.read() as session:
        assert [event.actor_id for event in await db.events_of(session, "s")] == [nobody]


async def test_an_event_cannot_be_changed_or_deleted(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        event = await db.record(session, action="a", subject="s")

    async def change() -> None:
        async with catalog.begin() as session:
            (await db.events_of(session, "s"))[0].action = "b"

    async def delete() -> None:
        async with catalog.begin() as session:
            await session.delete((await db.events_of(session, "s"))[0])

    for tamper in (change, delete):
        with pytest.raises(AuditImmutableError) as caught:
            await tamper()
        assert caught.value.event_id == event.id
    async with catalog.read() as session:
        assert [e.action for e in await db.events_of(session, "s")] == ["a"]


@pytest.mark.parametrize("subject", ["s" * 201, "a\0b"])
async def test_a_subject_that_cannot_be_stored_is_refused(catalog: Catalog, subject: str) -> None:
    async with catalog.begin() as session:
        with pytest.raises(InvalidTextError):
            await db.record(session, action="a", subject=subject)
