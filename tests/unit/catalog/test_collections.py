"""Collections: a tree in an order, filled by hand or by a filter, on both databases."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import (
    AssetFilter,
    AssetNotFoundError,
    Catalog,
    Collection,
    CollectionItem,
    CollectionNotFoundError,
    InvalidCollectionError,
    InvalidPageError,
    InvalidQueryError,
    ItemNotFoundError,
    User,
    ordering,
)
from mamkit.catalog.collection_items import assets_in, is_in, put_asset, take_asset
from mamkit.catalog.collections import (
    MAX_DEPTH,
    collection_by_id,
    collections_in,
    create_collection,
    delete_collection,
    describe_collection,
    move_collection,
    owners_below,
)
from mamkit.catalog.ordering import After

pytestmark = pytest.mark.anyio


@dataclass
class Studio:
    """A workspace of somebody, and short ways to what the tests ask for."""

    catalog: Catalog
    owner: User
    workspace_id: UUID

    async def make(self, name: str, parent: Collection | None = None, after: After = "last") -> Collection:
        async with self.catalog.begin() as session:
            return await create_collection(
                session,
                workspace_id=self.workspace_id,
                user_id=self.owner.id,
                name=name,
                parent_id=None if parent is None else parent.id,
                after=after,
            )

    async def move(self, which: Collection, parent: Collection | None, after: After = "last") -> None:
        async with self.catalog.begin() as session:
            await move_collection(session, which.id, parent_id=None if parent is None else parent.id, after=after)

    async def names(self, parent: Collection | None = None, limit: int = 100) -> list[str]:
        found: list[str] = []
        after: str | None = None
        async with self.catalog.read() as session:
            while True:
                page, after = await collections_in(
                    session,
                    self.workspace_id,
                    parent_id=None if parent is None else parent.id,
                    after=after,
                    limit=limit,
                )
                found += [each.name for each in page]
                if after is None:
                    return found

    async def assets(self, *titles: str) -> list[UUID]:
        async with self.catalog.begin() as session:
            made = [
                await db.create_asset(
                    session,
                    user_id=self.owner.id,
                    workspace_id=self.workspace_id,
                    title=title,
                    staging_key=str(uuid4()),
                )
                for title in titles
            ]
        return [asset.id for asset in made]

    async def put(self, collection: Collection, asset_id: UUID, after: After = "last") -> None:
        async with self.catalog.begin() as session:
            await put_asset(session, collection.id, asset_id, after=after, by=self.owner.id)

    async def titles(self, collection: Collection, limit: int = 100) -> list[str]:
        found: list[str] = []
        after: str | None = None
        async with self.catalog.read() as session:
            while True:
                page = await assets_in(session, collection, after=after, limit=limit)
                found += [asset.title for asset in page.assets]
                after = page.next
                if after is None:
                    return found


@pytest.fixture
async def studio(any_catalog: Catalog) -> Studio:
    async with any_catalog.begin() as session:
        ada = await db.create_user(session, email="ada@example.org")
        workspace = await db.create_workspace(session, name="Studio", owner_id=ada.id)
    return Studio(any_catalog, ada, workspace.id)


class TestTheTree:
    async def test_collections_keep_the_order_that_they_are_given(self, studio: Studio) -> None:
        b = await studio.make("b")
        await studio.make("d")
        await studio.make("a", after="first")
        await studio.make("c", after=b.id)
        assert await studio.names() == await studio.names(limit=1) == ["a", "b", "c", "d"]
        await studio.move(b, None)
        assert await studio.names() == ["a", "c", "d", "b"]

    async def test_a_move_between_two_changes_no_other_row(self, studio: Studio) -> None:
        a, b, c = [await studio.make(name) for name in "abc"]
        await studio.move(c, None, after=a.id)
        assert await studio.names() == ["a", "c", "b"]
        async with studio.catalog.read() as session:
            for before in (a, b):
                now = await collection_by_id(session, before.id)
                assert (now.position, now.revision) == (before.position, before.revision)

    async def test_what_lies_in_a_collection_comes_along(self, studio: Studio) -> None:
        a, b = await studio.make("a"), await studio.make("b")
        inner = await studio.make("inner", a)
        await studio.move(a, b)
        assert (await studio.names(), await studio.names(b), await studio.names(a)) == (["b"], ["a"], ["inner"])
        await studio.move(inner, None, after=b.id)
        assert await studio.names() == ["b", "inner"]

    async def test_a_collection_never_lies_in_itself(self, studio: Studio) -> None:
        a = await studio.make("a")
        b = await studio.make("b", a)
        c = await studio.make("c", b)
        for target in (a, b, c):
            with pytest.raises(InvalidCollectionError):
                await studio.move(a, target)
        assert await studio.names() == ["a"]

    async def test_of_two_moves_that_make_a_circle_together_one_is_refused(self, studio: Studio) -> None:
        for _ in range(5):
            a, b = await studio.make("a"), await studio.make("b")
            results = await asyncio.gather(studio.move(a, b), studio.move(b, a), return_exceptions=True)
            assert [type(each) for each in results if each is not None] == [InvalidCollectionError]
            async with studio.catalog.begin() as session:
                await session.execute(sa.delete(Collection).where(Collection.parent_id.is_(None)))

    async def test_many_who_put_something_at_one_place_at_once_all_get_one(self, studio: Studio) -> None:
        a = await studio.make("a")
        await studio.make("z")
        await asyncio.gather(*(studio.make(f"m{number}", after=a.id) for number in range(10)))
        names = await studio.names()
        assert (names[0], names[-1], len(names)) == ("a", "z", 12)
        async with studio.catalog.read() as session:
            assert len(set(await session.scalars(sa.select(Collection.position)))) == 12

    async def test_the_tree_is_only_so_deep_however_it_is_made(self, studio: Studio) -> None:
        deepest = None
        chain = []
        for level in range(MAX_DEPTH):
            deepest = await studio.make(str(level), deepest)
            chain.append(deepest)
        with pytest.raises(InvalidCollectionError):
            await studio.make("one more", deepest)
        other = await studio.make("other")
        with pytest.raises(InvalidCollectionError):
            await studio.move(chain[0], other)
        await studio.move(other, chain[-2])

    async def test_a_parent_is_of_the_same_workspace(self, studio: Studio) -> None:
        async with studio.catalog.begin() as session:
            elsewhere = await db.create_workspace(session, name="Elsewhere", owner_id=studio.owner.id)
        foreign = await replace(studio, workspace_id=elsewhere.id).make("foreign")
        own = await studio.make("own")
        for attempt in (studio.make("x", foreign), studio.move(own, foreign)):
            with pytest.raises(CollectionNotFoundError):
                await attempt
        with pytest.raises(ItemNotFoundError):
            await studio.make("x", after=foreign.id)

    async def test_deleting_a_collection_deletes_those_in_it_and_no_asset(self, studio: Studio) -> None:
        a = await studio.make("a")
        b = await studio.make("b", a)
        [film] = await studio.assets("film")
        await studio.put(b, film)
        async with studio.catalog.begin() as session:
            assert await owners_below(session, a.id) == {studio.owner.id}
            await delete_collection(session, a.id)
        async with studio.catalog.read() as session:
            assert await session.scalar(sa.select(sa.func.count()).select_from(Collection)) == 0
            assert await session.scalar(sa.select(sa.func.count()).select_from(CollectionItem)) == 0
            assert (await db.asset_by_id(session, film)).title == "film"
            with pytest.raises(CollectionNotFoundError):
                await collection_by_id(session, b.id)

    async def test_pages_are_bounded_and_go_on_where_they_were(self, studio: Studio) -> None:
        a, b, c = [await studio.make(name) for name in "abc"]
        async with studio.catalog.read() as session:
            _, after = await collections_in(session, studio.workspace_id, limit=2)
        async with studio.catalog.begin() as session:
            await delete_collection(session, b.id)
        async with studio.catalog.read() as session:
            page, more = await collections_in(session, studio.workspace_id, after=after)
            assert ([each.id for each in page], more) == ([c.id], None)
            for limit in (0, db.MAX_PAGE + 1):
                with pytest.raises(InvalidPageError):
                    await collections_in(session, studio.workspace_id, limit=limit)
                with pytest.raises(InvalidPageError):
                    await assets_in(session, a, limit=limit)
            for cursor in ("", "x", "WzEsMl0", "é", "W10", "bnVsbA"):
                with pytest.raises(InvalidQueryError):
                    await collections_in(session, studio.workspace_id, after=cursor)


class TestWhatIsPutInByHand:
    async def test_assets_keep_the_order_that_they_are_given(self, studio: Studio) -> None:
        collection = await studio.make("picks")
        a, b, c, d = await studio.assets(*"abcd")
        for asset in (b, d):
            await studio.put(collection, asset)
        await studio.put(collection, a, after="first")
        await studio.put(collection, c, after=b)
        assert await studio.titles(collection) == await studio.titles(collection, limit=1) == list("abcd")
        await studio.put(collection, a)
        await studio.put(collection, d, after="first")
        await studio.put(collection, c, after=c)
        assert await studio.titles(collection) == list("dbca")

    async def test_many_moves_to_one_place_keep_the_order(
        self, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Keys get longer, until the neighbours are spread; with the real bound that takes a thousand moves."""
        monkeypatch.setattr(ordering, "MAX_KEY", 10)
        monkeypatch.setattr(ordering, "_WINDOW", 4)
        collection = await studio.make("picks")
        ids = await studio.assets("first", *(f"{number}" for number in range(8)), "last")
        async with studio.catalog.begin() as session:
            for asset in ids:
                await put_asset(session, collection.id, asset)
            lengths = []
            for turn in range(80):
                await put_asset(session, collection.id, ids[1 + turn % 8], after=ids[0])
                item = await session.get_one(CollectionItem, (collection.id, ids[1 + turn % 8]))
                lengths.append(len(item.position))
        assert max(lengths) == 10
        assert sum(later < earlier for earlier, later in itertools.pairwise(lengths)) >= 1, "they were spread"
        order = [f"{(79 - back) % 8}" for back in range(8)]
        assert await studio.titles(collection) == ["first", *order, "last"]

    async def test_many_who_move_at_once_lose_nothing(self, studio: Studio) -> None:
        collection = await studio.make("picks")
        ids = await studio.assets(*"abcdefgh")
        await asyncio.gather(*(studio.put(collection, asset, after="first") for asset in ids))
        await asyncio.gather(*(studio.put(collection, asset, after=ids[0]) for asset in ids[1:]))
        titles = await studio.titles(collection)
        assert (titles[0], sorted(titles)) == ("a", list("abcdefgh"))

    async def test_what_is_in_the_trash_or_elsewhere_is_not_shown(self, studio: Studio) -> None:
        collection = await studio.make("picks")
        a, b = await studio.assets("a", "b")
        for asset in (a, b):
            await studio.put(collection, asset)
        async with studio.catalog.begin() as session:
            await db.trash_asset(session, a)
            private = await db.create_asset(session, user_id=studio.owner.id, title="private", staging_key="private")
        for hidden in (a, private.id, uuid4()):
            with pytest.raises(AssetNotFoundError):
                await studio.put(collection, hidden)
        assert await studio.titles(collection) == ["b"]
        async with studio.catalog.begin() as session:
            assert [await is_in(session, collection, each) for each in (a, b, private.id)] == [False, True, False]
            await db.restore_asset(session, a)
            assert await take_asset(session, collection.id, b)
            assert not await take_asset(session, collection.id, b)
        assert await studio.titles(collection) == ["a"]

    async def test_what_is_removed_for_good_is_in_no_collection(self, studio: Studio) -> None:
        collection = await studio.make("picks")
        [a] = await studio.assets("a")
        await studio.put(collection, a)
        async with studio.catalog.begin() as session:
            await db.trash_asset(session, a)
            await db.condemn_asset(session, a)
            await db.forget_asset(session, a)
            assert await session.scalar(sa.select(sa.func.count()).select_from(CollectionItem)) == 0


class TestFilters:
    async def test_a_smart_collection_shows_what_its_filter_finds_now(self, studio: Studio) -> None:
        a, b = await studio.assets("Rushes A", "Rushes B")
        async with studio.catalog.begin() as session:
            smart = await create_collection(
                session,
                workspace_id=studio.workspace_id,
                user_id=studio.owner.id,
                name="rushes",
                wanted=AssetFilter(text="rushes", sort="-title"),
            )
        assert await studio.titles(smart) == await studio.titles(smart, limit=1) == ["Rushes B", "Rushes A"]
        await studio.assets("Rushes C", "Other")
        assert await studio.titles(smart) == ["Rushes C", "Rushes B", "Rushes A"]
        async with studio.catalog.begin() as session:
            assert await is_in(session, smart, a)
            await db.describe_asset(session, a, title="Something else")
            assert not await is_in(session, smart, a)
            await describe_collection(session, smart.id, name="one", wanted=AssetFilter(tags=frozenset({"x"})))
            await db.tag_asset(session, b, ["x"])
            smart = await collection_by_id(session, smart.id)
            assert (smart.name, smart.revision, smart.filter) == ("one", 2, {"tags": ["x"]})
            for change in (put_asset, take_asset):
                with pytest.raises(InvalidCollectionError):
                    await change(session, smart.id, a)
        assert await studio.titles(smart) == ["Rushes B"]
        by_hand = await studio.make("by hand")
        async with studio.catalog.begin() as session:
            with pytest.raises(InvalidCollectionError):
                await describe_collection(session, by_hand.id, wanted=AssetFilter(text="x"))

    @pytest.mark.parametrize(
        "wanted",
        [
            AssetFilter(),
            AssetFilter(
                text="wörter",
                kind="video",
                codec="h264",
                status="ready",
                owner_id=uuid4(),
                tags=frozenset({"a", "b"}),
                min_duration=1.5,
                max_duration=2.0,
                min_height=1,
                max_height=2,
                created_from=datetime(2026, 1, 1, tzinfo=UTC),
                created_before=datetime(2027, 1, 1, tzinfo=UTC),
                sort="longest",
            ),
        ],
    )
    def test_what_is_saved_is_what_comes_back(self, wanted: AssetFilter) -> None:
        assert AssetFilter.of_json(wanted.as_json()) == wanted
        assert AssetFilter().as_json() == {}

    @pytest.mark.parametrize(
        "saved",
        [
            {"unknown": 1},
            {"kind": "picture"},
            {"sort": "by luck"},
            {"owner_id": "x"},
            {"owner_id": 1},
            {"created_from": "yesterday"},
            {"created_from": "2026-01-01"},
            {"tags": 1},
            {"min_duration": float("inf")},
            {"min_height": -1},
            {"text": "..."},
            {"text": " ".join(map(str, range(21)))},
            {"codec": "\0"},
            {"tags": ["\ud800"]},
        ],
    )
    def test_a_filter_that_nobody_saved_is_refused(self, saved: dict[str, object]) -> None:
        with pytest.raises(InvalidQueryError):
            AssetFilter.of_json(saved)


async def test_nobody_sees_the_collections_of_another_workspace(studio: Studio) -> None:
    collection = await studio.make("secret")
    [film] = await studio.assets("film")
    await studio.put(collection, film)
    foreign = db.Scope(actor_id=uuid4(), workspaces=frozenset({uuid4()}), assets=frozenset({film}))
    attempts: list[Callable[[AsyncSession], Awaitable[object]]] = [
        lambda session: collection_by_id(session, collection.id),
        lambda session: put_asset(session, collection.id, film),
        lambda session: move_collection(session, collection.id, parent_id=None),
        lambda session: delete_collection(session, collection.id),
        lambda session: describe_collection(session, collection.id, name="mine"),
    ]
    for attempt in attempts:
        async with studio.catalog.begin(foreign) as session:
            with pytest.raises(CollectionNotFoundError):
                await attempt(session)
    async with studio.catalog.read(foreign) as session:
        assert await collections_in(session, studio.workspace_id) == ([], None)
        assert await _count(session, CollectionItem) == 0


async def _count(session: AsyncSession, model: type[db.CollectionItem]) -> int:
    return await session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
