"""Transactions: whole or not at all, patient with each other, and clear about what cannot work."""

import asyncio
import sys
import threading
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.auth.sql import SqlSessionStore
from mamkit.catalog import (
    Catalog,
    CatalogUnavailableError,
    DatabaseUrlError,
    EmailTakenError,
    NaiveDatetimeError,
    ReadOnlyError,
    User,
    sync_engine,
)
from mamkit.catalog import engine as engines
from mamkit.catalog.models import SESSIONS, Base, Comment
from mamkit.errors import MissingExtraError
from mamkit.testing.sessions import NOW, make_session, make_successor

pytestmark = pytest.mark.anyio


async def emails(catalog: Catalog) -> list[str]:
    async with catalog.read() as session:
        return list(await session.scalars(sa.select(User.email).order_by(User.email)))


async def test_what_a_block_did_is_there_afterwards(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        await db.create_user(session, email="b@example.org")
        await db.create_user(session, email="a@example.org")
    assert await emails(catalog) == ["a@example.org", "b@example.org"]


async def test_an_error_that_leaves_a_block_undoes_it_whole(catalog: Catalog) -> None:
    async def twice() -> None:
        async with catalog.begin() as session:
            await db.create_user(session, email="a@example.org")
            await db.create_user(session, email="a@example.org")

    with pytest.raises(EmailTakenError):
        await twice()
    assert await emails(catalog) == []


async def test_a_block_that_is_cancelled_is_undone_and_holds_up_nobody(catalog: Catalog) -> None:
    """As when a client hangs up in the middle of its request."""
    written = asyncio.Event()

    async def hang() -> None:
        async with catalog.begin() as session:
            await db.create_user(session, email="a@example.org")
            written.set()
            await asyncio.Event().wait()

    for _ in range(20):
        task = asyncio.create_task(hang())
        await asyncio.wait_for(written.wait(), 5)
        written.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with catalog.begin() as session:
        await db.create_user(session, email="b@example.org")
    assert await emails(catalog) == ["b@example.org"]


async def test_a_block_cancelled_in_the_middle_of_a_statement_holds_up_nobody(catalog: Catalog) -> None:
    async def work() -> None:
        async with catalog.begin() as session:
            for number in range(100):
                await db.create_user(session, email=f"{number}@example.org")

    for pause in range(10):
        task = asyncio.create_task(work())
        for _ in range(pause * 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with catalog.begin() as session:
        await db.create_user(session, email="b@example.org")
    assert await emails(catalog) == ["b@example.org"]


async def test_rows_can_be_read_after_their_session(catalog: Catalog, user: User) -> None:
    async with catalog.read() as session:
        read = await db.user_by_id(session, user.id)
    assert (user.email, read.email, read.authz_version) == ("ada@example.org", "ada@example.org", 1)


async def test_a_reading_block_refuses_changes(catalog: Catalog, user: User) -> None:
    """Rather than losing them, whether or not something was read in between."""
    with pytest.raises(ReadOnlyError):
        async with catalog.read() as session:
            (await db.user_by_id(session, user.id)).display_name = "Eve"
    with pytest.raises(ReadOnlyError):
        async with catalog.read() as session:
            await db.create_user(session, email="eve@example.org")
    with pytest.raises(ReadOnlyError):
        async with catalog.read() as session:
            await session.execute(sa.update(User).values(display_name="Eve"))
    with pytest.raises(ReadOnlyError):
        async with catalog.read() as session:
            await session.delete(await db.user_by_id(session, user.id))
    assert await emails(catalog) == [user.email]


async def test_readers_wait_for_no_writer_and_see_one_state(catalog: Catalog, user: User) -> None:
    async with catalog.read() as reading:
        assert await db.count_users(reading) == 1
        async with catalog.begin() as writing:
            await db.create_user(writing, email="b@example.org")
            await asyncio.wait_for(emails(catalog), 5)
        assert await db.count_users(reading) == 1
    assert len(await emails(catalog)) == 2
    assert user.email in await emails(catalog)


async def test_foreign_keys_are_enforced(catalog: Catalog, url: str) -> None:
    comment = {"asset_id": uuid4(), "user_id": uuid4(), "timestamp_sec": 0, "content": "?"}
    with pytest.raises(sa.exc.IntegrityError):
        async with catalog.begin() as session:
            await session.execute(sa.insert(Comment).values(comment))
    engine = sync_engine(url)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(Comment).values(comment))
    engine.dispose()


async def test_connections_are_set_up(catalog: Catalog, url: str) -> None:
    """Write-ahead log, synchronous NORMAL (1), foreign keys, and 10 s of patience, on both sides."""
    wanted = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000}
    async with catalog.read() as session:
        connection = await session.connection()
        assert {name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in wanted} == wanted
    engine = sync_engine(url)
    with engine.connect() as sync_connection:
        assert {name: sync_connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted
    engine.dispose()


async def test_naive_datetimes_are_refused(catalog: Catalog, user: User) -> None:
    naive = user.created_at.replace(tzinfo=None)
    with pytest.raises(NaiveDatetimeError):
        async with catalog.begin() as session:
            (await db.user_by_id(session, user.id)).updated_at = naive
    with pytest.raises(NaiveDatetimeError):
        async with catalog.read() as session:
            await session.scalar(sa.select(User).where(User.created_at < naive))


async def test_times_come_back_in_utc_whatever_zone_they_went_in_with(catalog: Catalog, user: User) -> None:
    from datetime import timezone

    elsewhere = user.created_at.astimezone(timezone(timedelta(hours=5, minutes=45)))
    async with catalog.begin() as session:
        (await db.user_by_id(session, user.id)).updated_at = elsewhere
    async with catalog.read() as session:
        read = await db.user_by_id(session, user.id)
    assert read.updated_at == elsewhere
    assert read.updated_at.utcoffset() == timedelta(0)
    assert read.updated_at.microsecond == 123456


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "postgres//user:hunter2@host/db",
        "postgresql://user:hunter2@host:port/db",
        "mysql://user:hunter2@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:hunter2?mode=memory&uri=true",
    ],
)
def test_urls_that_cannot_work_are_refused_without_being_shown(url: str) -> None:
    for use in (Catalog, sync_engine, db.upgrade):
        with pytest.raises(DatabaseUrlError) as caught:
            use(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_database_whose_driver_is_missing_names_the_extra(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed
    with pytest.raises(MissingExtraError) as caught:
        Catalog(f"{scheme}://user:hunter2@host/db")
    assert caught.value.extra == "postgres"
    assert "hunter2" not in str(caught.value)


def test_a_catalog_shows_no_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    catalog = Catalog(url)
    assert "catalog.db" in repr(catalog)
    monkeypatch.setattr(catalog, "_engine", type("E", (), {"url": sa.make_url("postgresql://u:hunter2@host/db")}))
    assert "hunter2" not in repr(catalog)


async def test_a_driver_in_the_url_is_ignored(url: str) -> None:
    async with Catalog(url.replace("sqlite:", "sqlite+pysqlite:")) as catalog:
        assert await emails(catalog) == []


async def test_a_database_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    async with Catalog(f"sqlite:///{tmp_path}/no/such/folder.db") as catalog:
        with pytest.raises(CatalogUnavailableError) as caught:
            await emails(catalog)
    assert isinstance(caught.value.__cause__, sa.exc.OperationalError)
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:  # the driver ends that of a failed connection in its own time
            await asyncio.to_thread(thread.join, 10)


async def test_a_database_without_tables_is_an_error_of_ours(tmp_path: Path) -> None:
    async with Catalog(f"sqlite:///{tmp_path}/empty.db") as catalog:
        with pytest.raises(CatalogUnavailableError):
            await emails(catalog)


async def test_parameters_are_hidden_from_messages(tmp_path: Path) -> None:
    """There are hashes and addresses among them."""
    async with Catalog(f"sqlite:///{tmp_path}/empty.db") as catalog:
        with pytest.raises(CatalogUnavailableError) as caught:
            async with catalog.begin() as session:
                await db.user_by_email(session, "hunter2@example.org")
    assert "hunter2" not in str(caught.value.__cause__)


async def test_a_block_within_a_block_fails_instead_of_waiting_for_ever(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    async with catalog.begin() as outer:
        await db.create_user(outer, email="a@example.org")
        with pytest.raises(CatalogUnavailableError):
            async with catalog.begin():
                pytest.fail("two transactions that may write are open at once")
    assert await emails(catalog) == ["a@example.org"]


async def test_a_lock_that_is_never_given_back_is_an_error_of_ours(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    async with Catalog(url) as holder, Catalog(url) as waiter, holder.begin() as held:
        await db.create_user(held, email="a@example.org")
        with pytest.raises(CatalogUnavailableError):
            async with waiter.begin() as session:
                await db.count_users(session)


# One file, many writers


def write_elsewhere(url: str, name: str, count: int) -> None:
    """Add users in a process of its own."""

    async def work() -> None:
        async with Catalog(url) as catalog:
            for number in range(count):
                async with catalog.begin() as session:
                    await db.count_users(session)  # read first: the case that fails without BEGIN IMMEDIATE
                    await db.create_user(session, email=f"{name}-{number}@example.org")

    asyncio.run(work())


async def test_writers_of_all_kinds_wait_for_each_other(catalog: Catalog, url: str, user: User) -> None:
    """Coroutines, threads with the synchronous engine, and two more processes: nobody finds the database locked."""
    engine = sync_engine(url)
    store = SqlSessionStore(engine, SESSIONS)

    def rotate_sessions(count: int) -> None:
        link = make_session(user.id)
        store.add(link)
        for _ in range(count):
            successor = make_successor(link)
            assert store.rotate(link.jti, successor, at=NOW)
            assert store.find(successor.refresh_token_hash) == successor
            link = successor

    async def add_users(name: str, count: int) -> None:
        for number in range(count):
            async with catalog.begin() as session:
                await db.count_users(session)
                await db.create_user(session, email=f"{name}-{number}@example.org")

    spawn = get_context("spawn")
    processes = [spawn.Process(target=write_elsewhere, args=(url, f"process{n}", 25)) for n in range(2)]
    for process in processes:
        process.start()
    await asyncio.gather(
        *(add_users(f"coroutine{n}", 10) for n in range(20)),
        *(asyncio.to_thread(rotate_sessions, 25) for _ in range(4)),
    )
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0, 0]
    async with catalog.read() as session:
        assert await db.count_users(session) == 1 + 20 * 10 + 2 * 25
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SESSIONS)) == 4 * 26
    engine.dispose()


def test_the_tables_make_themselves_known() -> None:
    """A table that is added is added to the migrations and to this list."""
    assert sorted(Base.metadata.tables) == [
        "api_keys",
        "assets",
        "audit_events",
        "comments",
        "email_verifications",
        "identities",
        "kept_answers",
        "login_attempts",
        "login_flows",
        "parts",
        "passkeys",
        "previews",
        "recovery_codes",
        "roles",
        "second_factors",
        "sessions",
        "shares",
        "user_roles",
        "users",
        "versions",
    ]
