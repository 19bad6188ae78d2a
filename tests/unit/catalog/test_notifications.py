"""Notifications: who is told of what, once, and who is told when nobody looks; on both databases."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.catalog import Asset, Catalog, User
from mamkit.catalog.events import number_events
from mamkit.catalog.import_work import claim_import, fail_import
from mamkit.catalog.imports import add_import
from mamkit.catalog.notifications import (
    claim_mail,
    close_incident,
    escalate,
    mail_kinds_of,
    mark_read,
    notifications_of,
    open_incident,
    plan_notifications,
    purge_notifications,
    set_mail_kinds,
    unread_count,
)
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
ROLES = {"admin": ["user.manage"]}


@pytest.fixture
async def people(any_catalog: Catalog) -> dict[str, User]:
    """Ada owns a studio, Bob edits there, Eve reviews; Root is an administrator."""
    async with any_catalog.begin() as session:
        await db.ensure_roles(session, {name: frozenset(each) for name, each in ROLES.items()})
        found = {
            name: await db.create_user(session, email=f"{name}@example.org") for name in ("ada", "bob", "eve", "root")
        }
        await db.grant_role(session, found["root"].id, "admin")
    return found


@pytest.fixture
async def film(any_catalog: Catalog, people: dict[str, User]) -> Asset:
    async with any_catalog.begin() as session:
        studio = await db.create_workspace(session, name="Studio", owner_id=people["ada"].id)
        for name, role in (("bob", "editor"), ("eve", "reviewer")):
            await db.set_member(session, studio.id, people[name].id, role)  # type: ignore[arg-type]
        film = await db.create_asset(
            session, user_id=people["bob"].id, workspace_id=studio.id, title="Rushes", staging_key="uploads/1"
        )
        await number_events(session)  # of this nobody is told
    return film


async def happen(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        await plan_notifications(session, await number_events(session))


async def told(catalog: Catalog, user: User) -> list[str]:
    async with catalog.read() as session:
        return [each.kind for each in await notifications_of(session, user.id)]


async def fail(catalog: Catalog, film: Asset) -> UUID:
    """Let a preview fail."""
    async with catalog.begin() as session:
        version = await db.add_version(
            session, asset_id=film.id, master_key="masters/1", preview_prefix="p/1/", size=1, sha256="0" * 64
        )
        preview = await db.create_preview(session, version.id)
        await db.set_status(session, preview, "failed", failure_code="x.y", failure="no film")
    await happen(catalog)
    return version.id


async def test_who_uploaded_and_the_owners_are_told_of_a_failure_once(
    any_catalog: Catalog, people: dict[str, User], film: Asset
) -> None:
    await fail(any_catalog, film)
    await happen(any_catalog)
    assert [await told(any_catalog, user) for user in people.values()] == [
        ["preview.failed"],
        ["preview.failed"],
        [],
        [],
    ]


async def test_whose_import_failed_is_told_unless_they_have_left(any_catalog: Catalog, people: dict[str, User]) -> None:
    async with any_catalog.begin() as session:
        studio = await db.create_workspace(session, name="Studio", owner_id=people["ada"].id)
        for name in ("bob", "eve"):
            await db.set_member(session, studio.id, people[name].id, "editor")
            await add_import(
                session, user_id=people[name].id, workspace_id=studio.id, kind="url", source="example.com",
                sealed="sealed", origin=name, title="Rushes", filename="rushes.mov",
            )  # fmt: skip
        await number_events(session)  # of this nobody is told
        await db.remove_member(session, studio.id, people["eve"].id)
        for _ in range(2):
            claimed = await claim_import(session, ["url"], lease=HOUR)
            assert claimed is not None
            assert await fail_import(session, claimed, code="x.y", reason="gone", again_in=None) == "over"
    await happen(any_catalog)
    assert [await told(any_catalog, user) for user in people.values()] == [[], ["import.failed"], [], []]
    async with any_catalog.read() as session:
        [notification] = await notifications_of(session, people["bob"].id)
    assert notification.data["failure_code"] == "x.y"
    assert notification.mail_due_at is not None


async def test_what_nobody_looks_at_goes_to_the_administrators_once(
    any_catalog: Catalog, people: dict[str, User], film: Asset, clock: Clock
) -> None:
    version_id = await fail(any_catalog, film)

    async def look(catalog: Catalog = any_catalog) -> int:
        async with catalog.begin() as session:
            return await escalate(session, after=HOUR)

    assert await look() == 0
    clock.advance(HOUR)
    assert sum(await asyncio.gather(*(look() for _ in range(4)))) == 1
    assert await told(any_catalog, people["root"]) == ["escalated"]
    # Tried again, it is no longer wrong; failing anew is a new incident, which somebody looks at.
    async with any_catalog.begin() as session:
        preview = await db.preview_of(session, version_id)
        await db.set_status(session, preview, "queued")
        await db.set_status(session, preview, "failed")
    await happen(any_catalog)
    assert await told(any_catalog, people["ada"]) == ["preview.failed"] * 2
    async with any_catalog.begin() as session:
        await mark_read(session, people["ada"].id)
    clock.advance(HOUR)
    assert await look() == 0


async def test_what_is_wrong_is_noticed_once_however_many_look(
    any_url: str, any_catalog: Catalog, people: dict[str, User]
) -> None:
    async with Catalog(any_url) as other:

        async def notice(catalog: Catalog) -> bool:
            async with catalog.begin() as session:
                return await open_incident(session, "storage.failing", "storage") is not None

        assert sum(await asyncio.gather(*(notice(each) for each in (any_catalog, other) * 3))) == 1
        assert await told(any_catalog, people["root"]) == ["storage.failing"]
        async with other.begin() as session:
            await close_incident(session, "storage")
            await close_incident(session, "storage")
        assert await notice(other)


async def test_a_comment_is_told_to_those_whom_it_concerns(
    any_catalog: Catalog, people: dict[str, User], film: Asset
) -> None:
    ada, bob, eve, _ = people.values()

    async def say(user: User, parent: UUID | None = None) -> UUID:
        async with any_catalog.begin() as session:
            comment = await db.add_comment(session, asset_id=film.id, user_id=user.id, content="?", parent_id=parent)
        await happen(any_catalog)
        return comment.id

    first = await say(eve)
    assert [len(await told(any_catalog, user)) for user in (ada, bob, eve)] == [0, 1, 0]
    await say(ada, parent=first)
    assert [len(await told(any_catalog, user)) for user in (ada, bob, eve)] == [0, 2, 1]
    async with any_catalog.begin() as session:
        await db.remove_member(session, film.workspace_id, eve.id)
    await say(bob, parent=first)
    assert [len(await told(any_catalog, user)) for user in (ada, bob, eve)] == [1, 2, 1], "Eve has left"


async def mails(catalog: Catalog) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    while True:
        async with catalog.begin() as session:
            claimed: tuple[User, Sequence[Any]] | None = await claim_mail(session)
        if claimed is None:
            return sorted(found)
        found.append((claimed[0].email[:3], len(claimed[1])))


async def test_a_mail_holds_what_came_in_five_minutes_and_comes_once(
    any_url: str, any_catalog: Catalog, people: dict[str, User], clock: Clock
) -> None:
    async def wrong(key: str) -> None:
        async with any_catalog.begin() as session:
            await open_incident(session, "preview.failed", key, to=[people["ada"].id, people["bob"].id])

    await wrong("1")
    assert await mails(any_catalog) == []
    clock.advance(timedelta(minutes=4))
    await wrong("2")
    clock.advance(timedelta(minutes=1))
    async with Catalog(any_url, clock=clock) as other:
        both = await asyncio.gather(mails(any_catalog), mails(other))
    assert sorted(both[0] + both[1]) == [("ada", 2), ("bob", 2)]
    await wrong("3")
    async with any_catalog.begin() as session:
        await mark_read(session, people["ada"].id)
        assert await unread_count(session, people["ada"].id) == 0
        assert await unread_count(session, people["bob"].id) == 3
    clock.advance(HOUR)
    assert await mails(any_catalog) == [("ada", 0), ("bob", 1)], "what was read is not mailed"


async def test_everybody_chooses_what_is_mailed(any_catalog: Catalog, people: dict[str, User], clock: Clock) -> None:
    async with any_catalog.begin() as session:
        assert "preview.failed" in await mail_kinds_of(session, people["ada"].id)
        await set_mail_kinds(session, people["ada"].id, [])
        await set_mail_kinds(session, people["ada"].id, [])
        assert await mail_kinds_of(session, people["ada"].id) == []
        await open_incident(session, "preview.failed", "1", to=[people["ada"].id, people["bob"].id])
    clock.advance(HOUR)
    assert await mails(any_catalog) == [("bob", 1)]
    async with any_catalog.begin() as session:
        assert await purge_notifications(session, older_than=HOUR / 2) == 2
