"""What is kept, counted as it comes and goes, on both databases."""

import asyncio
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.catalog import Catalog, Usage, Version, VersionNotFoundError
from mamkit.catalog.usage import usage_of, usage_of_all

pytestmark = pytest.mark.anyio


async def make(catalog: Catalog, user_id: UUID, versions: int, size: int) -> UUID:
    async with catalog.begin() as session:
        asset = await db.create_asset(session, user_id=user_id, title="x", staging_key=str(uuid4()))
        for number in range(1, versions + 1):
            await db.add_version(
                session,
                asset_id=asset.id,
                master_key=f"masters/{asset.id}/{number}",
                preview_prefix=f"previews/{asset.id}/{number}/",
                size=size,
                sha256=str(number) * 64,
                facts={"duration": str(number)},
            )
    return asset.id


async def test_the_counts_are_what_a_count_would_find(any_catalog: Catalog) -> None:
    """With many who add at once, repeat themselves, throw away, take back and remove."""
    async with any_catalog.begin() as session:
        ada, eve = [await db.create_user(session, email=f"{name}@example.org") for name in ("ada", "eve")]
    made = await asyncio.gather(*(make(any_catalog, user.id, 2, 1 << 40) for user in (ada, eve) for _ in range(4)))
    async with any_catalog.begin() as session:
        first = await db.asset_by_id(session, made[0])
        key = first.staging_key
        again = await db.create_asset(session, id=first.id, user_id=ada.id, title="x", staging_key=key)
        assert again.id == first.id
        for asset_id in made[:3]:
            await db.trash_asset(session, asset_id)
        await db.restore_asset(session, made[0])
        await db.condemn_asset(session, made[1])
        await db.forget_asset(session, made[1])
    async with any_catalog.read() as session:
        kept = sa.select(sa.func.count(), sa.func.sum(Version.size))
        versions, size = (await session.execute(kept)).one()
        total = await usage_of_all(session)
        assert total == {"assets": 7, "trashed": 1, "versions": versions, "size": int(size)}
        [row] = await usage_of(session, ada.id)
        assert (row.assets, row.trashed, row.versions, row.size) == (3, 1, 6, 6 << 40)
        assert await usage_of_all(session, uuid4()) == {"assets": 0, "trashed": 0, "versions": 0, "size": 0}
        assert await session.scalar(sa.select(sa.func.count()).select_from(Usage)) == 2


async def test_an_asset_shows_the_version_that_plays(any_catalog: Catalog) -> None:
    async with any_catalog.begin() as session:
        ada = await db.create_user(session, email="ada@example.org")
    asset_id = await make(any_catalog, ada.id, 2, 1)
    async with any_catalog.begin() as session:
        first, second = await db.versions_of(session, asset_id)
        for version in (first, second):
            await db.create_preview(session, version.id)
            await db.set_facts(session, version, version.facts or {})
        asset = await db.asset_by_id(session, asset_id)
        assert ((await db.playing_version(session, asset)), asset.duration_sec) == (second, 2)
        asset = await db.play_version(session, asset_id, 1)
        assert ((await db.playing_version(session, asset)), asset.duration_sec) == (first, 1)
        await db.set_facts(session, second, {"duration": "20"})
        preview = await db.preview_of(session, second.id)
        await db.set_status(session, preview, "building")
        await session.refresh(asset)
        assert (asset.duration_sec, asset.status) == (1, "queued"), "what becomes of the other does not show"
        asset = await db.play_version(session, asset_id, None)
        assert (asset.duration_sec, asset.status) == (20, "building")
        with pytest.raises(VersionNotFoundError):
            await db.play_version(session, asset_id, 3)
