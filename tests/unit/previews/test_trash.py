"""The trash: what is removed is removed whole, and what is retained is not touched."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.catalog import Catalog
from mamkit.previews import Trash
from mamkit.storage import LocalStore, ObjectRetainedError, Zones
from mamkit.storage.errors import StorageUnavailableError
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

MASTER, PREFIX = "masters/a/v1/original.mov", "previews/a/1/"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = datetime.now(UTC)  # the store's retention goes by the real one
    return clock


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    store = LocalStore(tmp_path / "objects")
    for key in ("uploads/a", MASTER, "masters/a/v1/metadata.json", PREFIX + "index.m3u8"):
        store.put(key, b"x")
    store.put("previews/b/1/index.m3u8", b"somebody else's")
    return Zones(staging=store, masters=store, previews=store)


@pytest.fixture
async def catalog(tmp_path: Path, clock: Clock) -> AsyncIterator[Catalog]:
    url = f"sqlite:///{tmp_path}/catalog.db"
    db.upgrade(url)
    async with Catalog(url, clock=clock) as catalog:
        yield catalog


@pytest.fixture
async def asset_id(catalog: Catalog) -> UUID:
    """An asset in the trash."""
    async with catalog.begin() as session:
        ada = await db.create_user(session, email="ada@example.org")
        asset = await db.create_asset(session, user_id=ada.id, title="x", staging_key="uploads/a")
        version = await db.add_version(
            session,
            asset_id=asset.id,
            master_key="masters/a/v1/original.mov",
            preview_prefix=PREFIX,
            size=1,
            sha256="0",
        )
        await db.create_preview(session, version.id)
        await db.trash_asset(session, asset.id)
    return asset.id


def keys(zones: Zones) -> list[str]:
    return [info.key for info in zones.masters.list()]


async def test_nothing_remains_of_what_is_purged_and_nothing_else_goes(
    catalog: Catalog, zones: Zones, asset_id: UUID
) -> None:
    trash = Trash(catalog, zones)
    assert await trash.empty() == 0
    await trash.condemn(asset_id)
    await trash.condemn(asset_id)
    assert await trash.empty() == 1
    assert keys(zones) == ["previews/b/1/index.m3u8"]
    async with catalog.read() as session:
        with pytest.raises(db.AssetNotFoundError):
            await db.asset_by_id(session, asset_id, trashed=None)
        assert [event.action for event in await db.events_of(session, f"asset:{asset_id}")] == ["asset.purged"] * 2
    assert await trash.empty() == 0


async def test_a_master_that_is_retained_keeps_all_of_its_asset(
    catalog: Catalog, zones: Zones, asset_id: UUID, clock: Clock
) -> None:
    assert isinstance(zones.masters, LocalStore)
    zones.masters.retain(MASTER, until=clock() + timedelta(days=2))
    before = keys(zones)
    trash = Trash(catalog, zones, kept_for=timedelta(days=1), clock=clock)
    with pytest.raises(ObjectRetainedError, match="retained until"):
        await trash.condemn(asset_id)
    clock.advance(timedelta(days=1))
    assert await trash.empty() == 0
    assert keys(zones) == before
    async with catalog.begin() as session:
        await db.restore_asset(session, asset_id)


async def test_what_has_lain_there_for_long_goes_by_itself(
    catalog: Catalog, zones: Zones, asset_id: UUID, clock: Clock
) -> None:
    trash = Trash(catalog, zones, kept_for=timedelta(days=1), clock=clock)
    clock.advance(timedelta(hours=23))
    assert await trash.empty() == 0
    clock.advance(timedelta(hours=1))
    assert await trash.empty() == 1


async def test_a_purge_that_was_cut_off_goes_on_where_it_was(
    catalog: Catalog, zones: Zones, asset_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row goes last: until then the asset is found and what remains of it is removed."""
    trash = Trash(catalog, zones)
    await trash.condemn(asset_id)
    deleted: list[str] = []
    real = LocalStore.delete

    def fail_at_the_second(store: LocalStore, key: str) -> None:
        deleted.append(key)
        if len(deleted) == 2:
            raise StorageUnavailableError("delete", key)
        real(store, key)

    monkeypatch.setattr(LocalStore, "delete", fail_at_the_second)
    with pytest.raises(StorageUnavailableError):
        await trash.empty()
    monkeypatch.undo()
    assert len(keys(zones)) == 4
    assert await trash.empty() == 1
    assert keys(zones) == ["previews/b/1/index.m3u8"]
