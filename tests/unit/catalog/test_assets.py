"""Assets and versions: recorded once, numbered without gaps, paged without drift."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.catalog import (
    Asset,
    AssetConflictError,
    AssetNotFoundError,
    Catalog,
    InvalidPageError,
    InvalidTextError,
    User,
    UserNotFoundError,
    Version,
    VersionConflictError,
    VersionNotFoundError,
)

pytestmark = pytest.mark.anyio


async def test_an_asset_comes_back_as_it_was_recorded(catalog: Catalog, user: User) -> None:
    asset_id = uuid4()
    async with catalog.begin() as session:
        await db.create_asset(
            session,
            id=asset_id,
            user_id=user.id,
            title="Über den Wolken 🎬",
            staging_key="uploads/a",
            size=1 << 50,
            sha256="f" * 64,
            content_type="video/mp4",
            original_name="wolken.mp4",
        )
    async with catalog.read() as session:
        asset = await db.asset_by_id(session, asset_id)
    assert (asset.user_id, asset.title, asset.staging_key) == (user.id, "Über den Wolken 🎬", "uploads/a")
    assert (asset.size, asset.sha256, asset.content_type, asset.original_name) == (
        1 << 50,
        "f" * 64,
        "video/mp4",
        "wolken.mp4",
    )


async def test_recording_an_asset_again_returns_the_first(catalog: Catalog, user: User) -> None:
    async def record(title: str) -> tuple[UUID, str]:
        async with catalog.begin() as session:
            asset = await db.create_asset(session, id=asset_id, user_id=user.id, title=title, staging_key="uploads/a")
            return asset.id, asset.title

    asset_id = uuid4()
    assert await record("first") == (asset_id, "first")
    assert await asyncio.gather(*(record("again") for _ in range(5))) == [(asset_id, "first")] * 5


async def test_an_id_or_a_staging_key_is_that_of_one_asset(catalog: Catalog, user: User, asset: Asset) -> None:
    async with catalog.begin() as session:
        other = await db.create_user(session, email="eve@example.org")
        for attempt in (
            {"id": asset.id, "user_id": user.id, "staging_key": "uploads/other"},
            {"id": asset.id, "user_id": other.id, "staging_key": asset.staging_key},
            {"id": uuid4(), "user_id": user.id, "staging_key": asset.staging_key},
            {"user_id": user.id, "staging_key": asset.staging_key},
        ):
            with pytest.raises(AssetConflictError):
                await db.create_asset(session, title="stolen", **attempt)  # type: ignore[arg-type]
    async with catalog.read() as session:
        assert [a.title for a in await db.page_assets(session)] == ["Rushes"]


async def test_an_asset_needs_an_owner(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        with pytest.raises(UserNotFoundError):
            await db.create_asset(session, user_id=uuid4(), title="x", staging_key="k")


@pytest.mark.parametrize("title", ["\0", "\udfff", "x" * 501])
async def test_a_title_that_cannot_be_stored_everywhere_is_refused(catalog: Catalog, user: User, title: str) -> None:
    async with catalog.begin() as session:
        with pytest.raises(InvalidTextError):
            await db.create_asset(session, user_id=user.id, title=title, staging_key="k")


async def test_what_is_not_there_is_not_found(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        with pytest.raises(AssetNotFoundError):
            await db.asset_by_id(session, uuid4())
        with pytest.raises(VersionNotFoundError):
            await db.version_by_id(session, uuid4())
        with pytest.raises(AssetNotFoundError):
            await db.add_version(session, asset_id=uuid4(), master_key="m", preview_prefix="p", size=1, sha256="0" * 64)
        assert await db.latest_version(session, uuid4()) is None
        assert await db.versions_of(session, uuid4()) == []


async def walk(catalog: Catalog, limit: int, owner_id: UUID | None = None) -> list[list[UUID]]:
    pages: list[list[UUID]] = []
    after = None
    while True:
        async with catalog.read() as session:
            page = await db.page_assets(session, owner_id=owner_id, after=after, limit=limit)
        if not page:
            return pages
        pages.append([asset.id for asset in page])
        assert after is None or page[-1].id < after, "the walk does not get on"
        after = page[-1].id


async def add_assets(catalog: Catalog, user: User, ids: list[UUID]) -> None:
    async with catalog.begin() as session:
        for asset_id in ids:
            await db.create_asset(session, id=asset_id, user_id=user.id, title="x", staging_key=f"k/{asset_id}")


@pytest.mark.parametrize("limit", [1, 2, 7, 25, 100])
async def test_pages_hold_every_asset_once_newest_first(catalog: Catalog, user: User, limit: int) -> None:
    """Ids of one millisecond, which share their first 48 bits, and one of an earlier time."""
    same_moment = 0x0190_0000_0000_7000_8000_0000_0000_0000
    ids = [UUID(int=same_moment + n) for n in range(24)] + [UUID(int=same_moment - (1 << 80))]
    await add_assets(catalog, user, ids[::3] + ids[1::3] + ids[2::3])
    pages = await walk(catalog, limit)
    assert [asset_id for page in pages for asset_id in page] == sorted(ids, reverse=True)
    assert all(len(page) == limit for page in pages[:-1])


async def test_pages_do_not_drift_while_assets_come_and_go(catalog: Catalog, user: User) -> None:
    """The asset that a page ended with may be deleted, and newer ones may come."""
    ids = [UUID(int=n) for n in range(10, 20)]
    await add_assets(catalog, user, ids)
    async with catalog.read() as session:
        first = await db.page_assets(session, limit=4)
    async with catalog.begin() as session:
        await session.execute(sa.delete(Asset).where(Asset.id == first[-1].id))
    await add_assets(catalog, user, [UUID(int=30)])
    async with catalog.read() as session:
        second = await db.page_assets(session, after=first[-1].id, limit=4)
    assert [asset.id.int for asset in second] == [15, 14, 13, 12]


async def test_pages_of_an_owner_hold_nobody_elses(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        other = await db.create_user(session, email="bob@example.org")
    mine, theirs = [UUID(int=n) for n in range(0, 10, 2)], [UUID(int=n) for n in range(1, 10, 2)]
    await add_assets(catalog, user, mine)
    await add_assets(catalog, other, theirs)
    assert list(chain.from_iterable(await walk(catalog, 2, user.id))) == mine[::-1]
    assert list(chain.from_iterable(await walk(catalog, 2, other.id))) == theirs[::-1]
    assert await walk(catalog, 2, uuid4()) == []


@pytest.mark.parametrize("limit", [0, -1, db.MAX_PAGE + 1, 10**12])
async def test_the_size_of_a_page_is_bounded(catalog: Catalog, limit: int) -> None:
    async with catalog.read() as session:
        with pytest.raises(InvalidPageError):
            await db.page_assets(session, limit=limit)


async def test_a_page_is_found_by_the_index(catalog: Catalog, user: User) -> None:
    """Not by sorting: the cost does not grow with the number of assets."""
    async with catalog.read() as session:
        for where in ("id < x'00'", f"user_id = '{user.id.hex}' AND id < x'00'"):
            query = f"EXPLAIN QUERY PLAN SELECT * FROM assets WHERE {where} ORDER BY id DESC LIMIT 5"  # noqa: S608
            plan = " ".join(str(row) for row in await session.execute(sa.text(query)))
            assert "USING INDEX" in plan
            assert "TEMP B-TREE" not in plan


async def test_versions_are_numbered_from_one(
    add_version: Callable[[], Awaitable[Version]], catalog: Catalog, asset: Asset
) -> None:
    for number in (1, 2, 3):
        version = await add_version()
        assert version.number == number
    async with catalog.read() as session:
        latest = await db.latest_version(session, asset.id)
        assert latest is not None
        assert (latest.id, await db.next_version_number(session, asset.id)) == (version.id, 4)
        assert [v.number for v in await db.versions_of(session, asset.id)] == [1, 2, 3]


async def test_versions_added_at_once_get_numbers_of_their_own(add_version: Callable[[], Awaitable[Version]]) -> None:
    versions = await asyncio.gather(*(add_version() for _ in range(20)))
    assert sorted(version.number for version in versions) == list(range(1, 21))


async def test_adding_a_version_again_returns_the_first(catalog: Catalog, asset: Asset) -> None:
    """Two promotions of one upload, each with an id of its own in mind, agree on one version."""

    async def promote() -> tuple[UUID, str]:
        version_id = uuid4()
        async with catalog.begin() as session:
            version = await db.add_version(
                session,
                id=version_id,
                asset_id=asset.id,
                number=1,
                master_key="masters/a/v1",
                preview_prefix=f"previews/{version_id}/",
                size=5,
                sha256="a" * 64,
            )
            return version.id, version.preview_prefix

    promoted = await asyncio.gather(*(promote() for _ in range(5)))
    assert len(set(promoted)) == 1
    assert promoted[0][1] == f"previews/{promoted[0][0]}/"


async def test_a_number_or_a_key_is_that_of_one_version(catalog: Catalog, asset: Asset, version: Version) -> None:
    taken = {"number": version.number, "master_key": version.master_key, "sha256": version.sha256}
    async with catalog.begin() as session:
        for other in ({"sha256": "b" * 64}, {"master_key": "masters/other"}, {"number": 9}):
            with pytest.raises(VersionConflictError):
                await db.add_version(session, asset_id=asset.id, preview_prefix="p", size=1, **{**taken, **other})  # type: ignore[arg-type]
        assert await db.versions_of(session, asset.id) == [await db.version_by_id(session, version.id)]


async def test_a_version_is_found_by_its_digest(catalog: Catalog, asset: Asset, version: Version) -> None:
    async with catalog.read() as session:
        found = await db.version_of_sha256(session, asset.id, version.sha256)
        assert found is not None
        assert found.id == version.id
        assert await db.version_of_sha256(session, asset.id, "b" * 64) is None
        assert await db.version_of_sha256(session, uuid4(), version.sha256) is None


async def test_facts_are_kept_as_they_are(catalog: Catalog, version: Version) -> None:
    facts = {"duration": "1001/30", "video": [{"width": 1920, "title": "\U0001f3ac ü \u0000"}], "none": None}
    assert version.facts is None
    async with catalog.begin() as session:
        await db.set_facts(session, await db.version_by_id(session, version.id), facts)
    async with catalog.read() as session:
        assert (await db.version_by_id(session, version.id)).facts == facts
        column = await session.scalar(sa.text("SELECT metadata FROM versions"))
        assert isinstance(column, str)
