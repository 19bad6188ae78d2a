"""Imports as rows: taken by one, gone on with after a crash, ended once."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.catalog import Catalog, User, Version
from mamkit.catalog.event_models import Event
from mamkit.catalog.import_models import Import, ImportKind
from mamkit.catalog.import_work import (
    MAX_ATTEMPTS,
    begin_storing,
    claim_import,
    clear_import,
    fail_import,
    finish_import,
    hand_back_import,
    imports_are_due,
    renew_import,
    settle_origin,
)
from mamkit.catalog.imports import (
    MAX_UNFINISHED,
    ImportNotFoundError,
    ImportStateError,
    TooManyImportsError,
    add_import,
    cancel_import,
    import_by_id,
    imports_by_origin,
    imports_in,
    purge_imports,
)
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

LEASE = timedelta(seconds=30)
SHA256 = "5" * 64
KINDS: tuple[ImportKind, ...] = ("url", "folder", "bucket")


@pytest.fixture
async def ada(any_catalog: Catalog) -> User:
    async with any_catalog.begin() as session:
        return await db.create_user(session, email="ada@example.org")


async def add(catalog: Catalog, user: User, **more: Any) -> Import:
    values: dict[str, Any] = {"kind": "url", "source": "example.com", "sealed": "sealed", "origin": uuid4().hex}
    async with catalog.begin() as session:
        row, made = await add_import(
            session, user_id=user.id, workspace_id=user.id, title="A film", filename="film.mp4", **(values | more)
        )
    assert made
    return row


async def claim(catalog: Catalog, kinds: Any = KINDS) -> Import | None:
    async with catalog.begin() as session:
        assert await imports_are_due(session, kinds) in {True, False}
        return await claim_import(session, kinds, lease=LEASE)


async def claimed(catalog: Catalog) -> Import:
    found = await claim(catalog)
    assert found is not None
    return found


async def renew(catalog: Catalog, row: Import, received: int, transfer: dict[str, Any] | None = None) -> bool:
    async with catalog.begin() as session:
        return await renew_import(session, row, by=LEASE, received=received, size=100, transfer=transfer)


async def fail(catalog: Catalog, row: Import, again_in: timedelta | None) -> str:
    async with catalog.begin() as session:
        return await fail_import(session, row, code="apps.no_answer", reason="x" * 1000, again_in=again_in)


async def reread(catalog: Catalog, row: Import) -> Import:
    async with catalog.read() as session:
        return await import_by_id(session, row.id)


async def version(catalog: Catalog, user: User, sha256: str = SHA256) -> Version:
    async with catalog.begin() as session:
        asset = await db.create_asset(session, user_id=user.id, title="A film", staging_key=f"uploads/{uuid4()}")
        return await db.add_version(
            session, asset_id=asset.id, master_key=f"masters/{uuid4()}", preview_prefix="previews/1/", size=5,
            sha256=sha256,
        )  # fmt: skip


async def kinds_told(catalog: Catalog) -> list[str]:
    async with catalog.read() as session:
        return list(await session.scalars(sa.select(Event.kind).where(Event.kind.like("import.%")).order_by(Event.id)))


async def test_an_import_has_one_holder_until_its_lease_ends(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    await add(any_catalog, ada)
    first = await claimed(any_catalog)
    assert first.state == "running"
    assert await claim(any_catalog) is None
    clock.advance(LEASE)
    second = await claimed(any_catalog)
    assert (second.id, second.attempts) == (first.id, 1), "whoever was killed may have been killed by it"
    assert not await renew(any_catalog, first, 10)
    assert await fail(any_catalog, first, timedelta(0)) == "lost"
    done = await version(any_catalog, ada)
    async with any_catalog.begin() as session:
        assert await begin_storing(session, first, SHA256) == "lost"
        assert not await finish_import(session, first, done, duplicate=False)
    assert await renew(any_catalog, second, 10)
    async with any_catalog.begin() as session:
        assert await begin_storing(session, second, SHA256) == "store"
        assert await finish_import(session, second, done, duplicate=False)
    row = await reread(any_catalog, second)
    assert (row.state, row.version_id, row.asset_id, row.received) == ("done", done.id, done.asset_id, 5)
    assert (row.sealed, row.origin) == (None, None), "the URL may hold a secret, and is needed no more"
    assert await kinds_told(any_catalog) == ["import.created", "import.progress", "import.done"]


async def test_only_failures_without_progress_count(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    await add(any_catalog, ada)
    for received in range(1, 20):  # the connection breaks again and again, and there is more every time
        row = await claimed(any_catalog)
        assert await renew(any_catalog, row, received)
        assert await fail(any_catalog, row, timedelta(seconds=5)) == "again"
        assert await claim(any_catalog) is None, "not before it is due"
        clock.advance(timedelta(seconds=5))
    tries = 1
    while await fail(any_catalog, await claimed(any_catalog), timedelta(0)) == "again":
        tries += 1
    assert tries == MAX_ATTEMPTS - 1
    row = await reread(any_catalog, row)
    assert (row.state, row.failure_code, row.failure) == ("failed", "apps.no_answer", "x" * 500)
    assert (row.sealed, row.origin) == (None, None)


async def test_what_kills_its_process_is_not_tried_for_ever(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    await add(any_catalog, ada)
    for attempts in range(MAX_ATTEMPTS):
        assert (await claimed(any_catalog)).attempts == attempts
        clock.advance(LEASE)


async def test_a_cancelled_import_goes_no_further_and_what_it_left_is_removed(
    any_catalog: Catalog, ada: User, clock: Clock
) -> None:
    await add(any_catalog, ada)
    row = await claimed(any_catalog)
    assert await renew(any_catalog, row, 10, {"key": "uploads/1"})
    async with any_catalog.begin() as session:
        await cancel_import(session, row.id)
        await cancel_import(session, row.id)
    assert not await renew(any_catalog, row, 20)
    assert await claim(any_catalog) is None, "while its holder may still write"
    clock.advance(LEASE)
    left = await claimed(any_catalog)
    assert (left.state, left.transfer, left.sealed) == ("cancelled", {"key": "uploads/1"}, None)
    async with any_catalog.begin() as session:
        await clear_import(session, left)
    clock.advance(LEASE)
    assert await claim(any_catalog) is None
    assert await kinds_told(any_catalog) == ["import.created", "import.progress", "import.cancelled"]


async def test_what_is_being_stored_or_is_over_cannot_be_cancelled(any_catalog: Catalog, ada: User) -> None:
    await add(any_catalog, ada)
    row = await claimed(any_catalog)
    async with any_catalog.begin() as session:
        assert await begin_storing(session, row, SHA256) == "store"
        assert await begin_storing(session, row, SHA256) == "store", "again, after a crash"
    for end in (False, True):
        async with any_catalog.begin() as session:
            with pytest.raises(ImportStateError):
                await cancel_import(session, row.id)
        if not end:
            done = await version(any_catalog, ada)
            async with any_catalog.begin() as session:
                assert await finish_import(session, row, done, duplicate=False)
    async with any_catalog.begin() as session:
        with pytest.raises(ImportNotFoundError):
            await cancel_import(session, uuid4())


async def test_of_two_that_bring_the_same_bytes_one_stores_them(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    for _ in range(2):
        await add(any_catalog, ada, skip_known=True)
    first, second = await claimed(any_catalog), await claimed(any_catalog)
    async with any_catalog.begin() as session:
        assert await begin_storing(session, first, SHA256) == "store"
        assert await begin_storing(session, second, SHA256) == "wait"
        await hand_back_import(session, second, again_in=timedelta(seconds=1))
    done = await version(any_catalog, ada)
    async with any_catalog.begin() as session:
        assert await finish_import(session, first, done, duplicate=False)
    clock.advance(timedelta(seconds=1))
    second = await claimed(any_catalog)
    async with any_catalog.begin() as session:
        found = await begin_storing(session, second, SHA256)
        assert isinstance(found, Version)
        assert found.id == done.id
        assert await finish_import(session, second, found, duplicate=True)
    row = await reread(any_catalog, second)
    assert (row.state, row.duplicate, row.asset_id, row.attempts) == ("done", True, done.asset_id, 0)


async def test_what_others_have_is_nothing_that_is_known(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        eve = await db.create_user(session, email="eve@example.org")
    await version(any_catalog, eve)
    await add(any_catalog, ada, skip_known=True)
    async with any_catalog.begin() as session:
        row = await claim_import(session, KINDS, lease=LEASE)
        assert row is not None
        assert await begin_storing(session, row, SHA256) == "store"


async def test_one_origin_is_brought_in_once_at_a_time(any_catalog: Catalog, ada: User) -> None:
    first = await add(any_catalog, ada, origin="a" * 64)
    async with any_catalog.begin() as session:
        again, made = await add_import(
            session, user_id=ada.id, workspace_id=ada.id, kind="url", source="example.com", title="", filename="a",
            origin="a" * 64,
        )  # fmt: skip
        assert (again.id, made) == (first.id, False)
        assert (await imports_by_origin(session, ["a" * 64, "b" * 64])).keys() == {"a" * 64}
        await cancel_import(session, first.id)
    assert (await add(any_catalog, ada, origin="a" * 64)).id != first.id


async def test_what_a_watched_folder_keeps_is_remembered(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    kept = await add(any_catalog, ada, kind="folder", origin="a" * 64)
    moved = await add(any_catalog, ada, kind="bucket", origin="b" * 64)
    await add(any_catalog, ada)
    done = await version(any_catalog, ada)
    for _ in range(3):
        row = await claimed(any_catalog)
        async with any_catalog.begin() as session:
            assert await finish_import(session, row, done, duplicate=False)
    async with any_catalog.begin() as session:
        await settle_origin(session, moved.id)
    clock.advance(timedelta(days=8))
    async with any_catalog.begin() as session:
        assert await purge_imports(session, older_than=timedelta(days=7)) == 2
        assert [row.id for row in await imports_in(session, ada.id)] == [kept.id]
        await settle_origin(session, uuid4())  # forgotten meanwhile


async def test_users_take_turns(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        eve = await db.create_user(session, email="eve@example.org")
    for _ in range(3):
        await add(any_catalog, ada)
    await add(any_catalog, eve)
    order: list[UUID] = [(await claimed(any_catalog)).user_id for _ in range(4)]
    assert order == [ada.id, eve.id, ada.id, ada.id]


async def test_a_process_takes_what_it_can_work_on(any_catalog: Catalog, ada: User) -> None:
    await add(any_catalog, ada, kind="folder")
    assert await claim(any_catalog, ("url",)) is None
    assert await claim(any_catalog, ("url", "folder")) is not None


async def test_a_user_has_a_hundred_imports_under_way(catalog: Catalog, user: User) -> None:
    for _ in range(MAX_UNFINISHED):
        row = await add(catalog, user)
    with pytest.raises(TooManyImportsError):
        await add(catalog, user)
    async with catalog.begin() as session:
        await cancel_import(session, row.id)
        found = await imports_in(session, user.id, user_id=user.id, state="cancelled", limit=5)
        assert [each.id for each in found] == [row.id]
        page = await imports_in(session, user.id, after=row.id, limit=5)
        assert len(page) == 5
        with pytest.raises(db.InvalidPageError):
            await imports_in(session, user.id, limit=0)
    await add(catalog, user)
