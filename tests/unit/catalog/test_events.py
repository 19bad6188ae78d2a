"""Events: one with every change, in the order in which they can be seen, and no longer than they are of use."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from mamkit import catalog as db
from mamkit.catalog import Asset, Catalog, Scope, User
from mamkit.catalog.events import (
    KINDS,
    PROGRESS,
    events_after,
    events_state,
    number_events,
    purge_events,
    tell,
)
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def number(catalog: Catalog) -> list[str]:
    """Number what waits and return the kinds."""
    async with catalog.begin() as session:
        return [event.kind for event in await number_events(session)]


async def seen(catalog: Catalog, after: int = 0, scope: Scope | None = None) -> list[tuple[int | None, str]]:
    async with catalog.read(scope) as session:
        return [(event.position, event.kind) for event in await events_after(session, after, limit=1000)]


@pytest.fixture
async def ada(any_catalog: Catalog) -> User:
    async with any_catalog.begin() as session:
        return await db.create_user(session, email="ada@example.org")


@pytest.fixture
async def film(any_catalog: Catalog, ada: User) -> Asset:
    async with any_catalog.begin() as session:
        return await db.create_asset(session, user_id=ada.id, title="Rushes", staging_key="uploads/1")


async def test_what_happens_to_an_asset_is_told_in_its_order(any_catalog: Catalog, ada: User, film: Asset) -> None:
    async with any_catalog.begin(Scope(actor_id=ada.id, workspaces=frozenset({ada.id}))) as session:
        await db.describe_asset(session, film.id, title="Dailies")
        await db.tag_asset(session, film.id, ["a"])
    async with any_catalog.begin() as session:
        comment = await db.add_comment(session, asset_id=film.id, user_id=ada.id, content="dark")
        await db.resolve_comment(session, comment.id, by=ada.id)
        await db.edit_comment(session, comment.id, content="bright")
        await db.resolve_comment(session, comment.id, by=None)
        await db.delete_comment(session, comment.id)
        await db.share_asset(session, film.id, ada.id, actions=["asset.read"])
        await db.unshare_asset(session, film.id, ada.id)
    async with any_catalog.begin() as session:
        await db.trash_asset(session, film.id)
        await db.restore_asset(session, film.id)
        await db.trash_asset(session, film.id)
    kinds = await number(any_catalog)
    assert kinds == [
        "asset.created", "asset.changed", "comment.created", "comment.resolved", "comment.changed", "comment.reopened",
        "comment.deleted", "asset.shared", "asset.unshared", "asset.trashed", "asset.restored",
    ]  # fmt: skip
    assert set(kinds) <= set(KINDS)
    async with any_catalog.read() as session:
        [created, changed, *_] = await events_after(session, 0, limit=2)
    assert (created.actor_id, changed.actor_id) == (None, ada.id)
    assert changed.data == {"title": "Dailies", "revision": 3}, "two changes of one transaction are one event"


async def test_what_is_undone_is_not_told(any_catalog: Catalog, film: Asset) -> None:
    told = 0

    def listen() -> None:
        nonlocal told
        told += 1

    any_catalog.when_told(listen)

    async def trash(*ids: UUID) -> None:
        async with any_catalog.begin() as session:
            for each in ids:
                await db.trash_asset(session, each)

    with pytest.raises(db.AssetNotFoundError):
        await trash(film.id, uuid4())
    assert (await number(any_catalog), told) == (["asset.created"], 0)
    await trash(film.id)
    assert told == 1


@pytest.mark.parametrize("any_url", ["postgresql"], indirect=True)  # on SQLite one transaction writes at a time
async def test_an_event_that_commits_late_is_not_skipped(any_url: str, ada: User, film: Asset) -> None:
    """It has the smaller number of the sequence, and still comes after what was seen before it was committed."""
    async with Catalog(any_url) as slow, Catalog(any_url) as quick:
        await number(quick)
        async with slow.begin() as late:
            await tell(late, "workspace.changed", ada.id)
            async with quick.begin() as session:
                await tell(session, "workspace.deleted", ada.id)
            assert await number(quick) == ["workspace.deleted"]
            [first] = await seen(quick, after=1)
        assert await number(quick) == ["workspace.changed"]
        assert await seen(quick, after=first[0] or 0) == [(3, "workspace.changed")]


async def test_many_writers_and_numberers_at_once_lose_nothing(any_url: str, ada: User) -> None:
    """Readers that follow while others write see every event once, in order, however they are numbered."""
    writers, each = 6, 8
    done = asyncio.Event()
    async with Catalog(any_url) as one, Catalog(any_url) as other:

        async def write(catalog: Catalog, name: int) -> None:
            for count in range(each):
                async with catalog.begin() as session:
                    await tell(session, "workspace.changed", ada.id, data={"writer": name, "count": count})
                    await asyncio.sleep(0.001 * (name % 3))

        async def keep_numbering(catalog: Catalog) -> None:
            while not done.is_set():
                await number(catalog)
                await asyncio.sleep(0.002)

        async def follow(catalog: Catalog) -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = []
            position = 0
            while len(found) < writers * each:
                async with catalog.read() as session:
                    for event in await events_after(session, position, limit=10):
                        assert event.position == position + 1
                        position += 1
                        found.append((event.data["writer"], event.data["count"]))
                await asyncio.sleep(0.002)
            done.set()
            return found

        async with asyncio.timeout(60):
            following = asyncio.create_task(follow(other))
            await asyncio.gather(
                keep_numbering(one),
                keep_numbering(other),
                *(write((one, other)[name % 2], name) for name in range(writers)),
            )
            followed = await following
    assert sorted(followed) == [(name, count) for name in range(writers) for count in range(each)]
    for name in range(writers):
        assert [count for writer, count in followed if writer == name] == list(range(each))


async def test_a_scope_sees_the_events_of_its_workspaces_and_of_what_is_shared(
    any_catalog: Catalog, ada: User, film: Asset, clock: Clock
) -> None:
    async with any_catalog.begin() as session:
        eve = await db.create_user(session, email="eve@example.org")
        await db.create_asset(session, user_id=eve.id, title="x", staging_key="uploads/2")
    await number(any_catalog)

    def scope(user_id: UUID) -> Scope:
        return Scope(actor_id=user_id, workspaces=frozenset({user_id}))

    assert await seen(any_catalog, scope=scope(ada.id)) == [(1, "asset.created")]
    assert await seen(any_catalog, scope=scope(eve.id)) == [(2, "asset.created")]
    assert await seen(any_catalog, scope=Scope(assets=frozenset({film.id}))) == [(1, "asset.created")]
    async with any_catalog.begin() as session:
        await db.share_asset(session, film.id, eve.id, actions=["asset.read"], expires_at=clock() + HOUR)
    await number(any_catalog)
    assert [position for position, _ in await seen(any_catalog, scope=scope(eve.id))] == [1, 2, 3]
    clock.advance(HOUR)
    assert [position for position, _ in await seen(any_catalog, scope=scope(eve.id))] == [2]


async def test_what_is_long_ago_is_forgotten_and_progress_soon(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    async def happen(kind: str) -> None:
        async with any_catalog.begin() as session:
            await tell(session, kind, ada.id)
        await number(any_catalog)

    for kind in ("asset.created", PROGRESS, "asset.changed"):
        await happen(kind)
        clock.advance(HOUR)
    async with any_catalog.begin() as session:
        assert await purge_events(session, older_than=2.5 * HOUR) == 2
    async with any_catalog.read() as session:
        assert await events_state(session) == (3, 1, False)
    assert await seen(any_catalog) == [(3, "asset.changed")]
    clock.advance(24 * HOUR)
    async with any_catalog.begin() as session:
        assert await purge_events(session, older_than=HOUR) == 1
    await happen("asset.trashed")
    assert await seen(any_catalog, after=3) == [(4, "asset.trashed")], "no position comes twice"


async def test_progress_is_told_once_a_second(any_catalog: Catalog, film: Asset, clock: Clock) -> None:
    async with any_catalog.begin() as session:
        version = await db.add_version(
            session, asset_id=film.id, master_key="masters/1", preview_prefix="previews/1/", size=1, sha256="0" * 64
        )
        preview = await db.create_preview(session, version.id)
        await db.start_building(session, preview, plan={"plan": 1}, parts=[(0, "video")])
    for hundredth in range(100):
        async with any_catalog.begin() as session:
            held = await db.preview_of(session, version.id, for_update=True)
            await db.record_progress(session, held, {0: hundredth / 100})
        clock.advance(timedelta(seconds=0.1))
    kinds = await number(any_catalog)
    assert kinds[:4] == ["asset.created", "version.created", "preview.queued", "preview.building"]
    assert kinds[4:] == [PROGRESS] * 10
