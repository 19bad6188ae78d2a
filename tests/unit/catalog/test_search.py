"""Search: the same answers by both databases, in pages that neither drift nor grow slower."""

import asyncio
import base64
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mamkit import catalog as db
from mamkit.catalog import Asset, AssetQuery, Catalog, InvalidPageError, InvalidQueryError, User, _matching
from mamkit.catalog.search import Sort
from mamkit.catalog.search_models import AssetText
from mamkit.catalog.words import fold, words_of
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

TITLES = ["Über den Wolken", "uber alles", "Rushes_day 3", "CAFÉ (final)", "東京 2020", "O'Brien's AND NOT \"x\""]


@pytest.fixture
async def ada(any_catalog: Catalog, clock: Clock) -> User:
    """Somebody with assets of all the titles, a minute apart; every second one is a video of growing length."""
    async with any_catalog.begin() as session:
        ada = await db.create_user(session, email="ada@example.org")
        for number, title in enumerate(TITLES):
            clock.advance(timedelta(minutes=1))
            asset = await db.create_asset(
                session, id=UUID(int=100 + number), user_id=ada.id, title=title, staging_key=f"uploads/{number}"
            )
            if number % 2:
                version = await db.add_version(
                    session, asset_id=asset.id, master_key=f"m{number}", preview_prefix="p/", size=1, sha256="0" * 64
                )
                video = {"codec": "h264", "width": 1920, "height": 360 * number, "rotation": 90 * (number == 5)}
                await db.set_facts(session, version, {"duration": f"{number}01/10", "video": [video], "audio": []})
                await db.create_preview(session, version.id)
                await db.tag_asset(session, asset.id, ["Take", f" day   {number} "])
    return ada


async def find(catalog: Catalog, ada: User, **query: object) -> list[int]:
    """Return the numbers of what is found."""
    async with catalog.read() as session:
        page = await db.find_assets(session, AssetQuery(workspace_id=ada.id, **query))  # type: ignore[arg-type]
    return [asset.id.int - 100 for asset in page.assets]


FOUND_BY_TEXT: list[tuple[str, list[int]]] = [
    ("", [5, 4, 3, 2, 1, 0]),
    ("uber", [1, 0]),
    ("ÜBER", [1, 0]),
    ("wol über", [0]),
    ("wolken rushes", []),
    ("cafe", [3]),
    ("day", [5, 3, 2, 1]),
    ("3", [3, 2]),
    ("東京", [4]),
    ("202", [4]),
    ("h264", [5, 3, 1]),
    ("take fin", [3]),
    ("and not", [5]),
    ("o'brien", [5]),
    ("nothing", []),
    # The word by which a workspace's assets are found begins so, too.
    ("w", [0]),
    ("work", []),
    ("workspace", []),
    ("uber w", [0]),
    ("take w", []),
]


async def test_words_are_found_by_their_beginnings_whatever_accents_and_case(any_catalog: Catalog, ada: User) -> None:
    for text, found in FOUND_BY_TEXT:
        assert await find(any_catalog, ada, text=text) == found, text


async def test_no_text_is_taken_for_an_operator_of_the_database(any_catalog: Catalog, ada: User) -> None:
    for text in ['"', "a\"b'c", "x:* & !y | (z)", "NEAR(a b)", "words:a", "a*b^c", "\\", "':*"]:
        try:
            await find(any_catalog, ada, text=text)
        except InvalidQueryError:
            assert not any(character.isalnum() for character in text)


FOUND_BY_FILTER: list[tuple[dict[str, object], list[int]]] = [
    ({"kind": "video"}, [5, 3, 1]),
    ({"kind": "audio"}, []),
    ({"codec": "h264", "min_duration": 30.1}, [5, 3]),
    ({"min_duration": 30.1, "max_duration": 30.1}, [3]),
    ({"min_height": 1920}, [5]),  # it stands on its side
    ({"max_height": 360, "kind": "video"}, [1]),
    ({"status": "queued"}, [5, 3, 1]),
    ({"status": "new"}, [4, 2, 0]),
    ({"tags": frozenset({"take"})}, [5, 3, 1]),
    ({"tags": frozenset({"take", "day 3"})}, [3]),
    ({"owner_id": UUID(int=1)}, []),
    ({"sort": "oldest"}, [0, 1, 2, 3, 4, 5]),
    ({"sort": "title"}, [3, 5, 2, 1, 0, 4]),
    ({"sort": "-title"}, [4, 0, 1, 2, 5, 3]),
    ({"sort": "longest"}, [5, 3, 1, 4, 2, 0]),
    ({"sort": "shortest"}, [0, 2, 4, 1, 3, 5]),
    ({"trashed": True}, []),
]


async def test_filters_and_orders(any_catalog: Catalog, ada: User) -> None:
    for query, found in FOUND_BY_FILTER:
        assert await find(any_catalog, ada, **query) == found, query


async def test_times_include_the_start_and_exclude_the_stop(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    now = clock()
    assert await find(any_catalog, ada, created_from=now - timedelta(minutes=2)) == [5, 4, 3]
    assert await find(any_catalog, ada, created_before=now - timedelta(minutes=2)) == [2, 1, 0]


@pytest.mark.parametrize("sort", ["newest", "oldest", "title", "-title", "longest", "shortest"])
async def test_pages_hold_everything_once_while_assets_come_and_go(
    any_catalog: Catalog, ada: User, sort: db.search.Sort
) -> None:
    """Newer assets come between two pages, and the one that a page ended with is deleted."""
    before = await find(any_catalog, ada, sort=sort)
    seen: list[int] = []
    after = None
    while True:
        async with any_catalog.read() as session:
            page = await db.find_assets(session, AssetQuery(workspace_id=ada.id, sort=sort), after=after, limit=2)
        seen += [asset.id.int - 100 for asset in page.assets]
        if page.next is None:
            break
        after = page.next
        async with any_catalog.begin() as session:
            await db.create_asset(session, user_id=ada.id, title="Uber new", staging_key=f"uploads/{uuid4()}")
            await db.trash_asset(session, page.assets[-1].id)
    assert [number for number in seen if number < 100] == before


async def test_a_page_after_something_else_is_refused(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.read() as session:
        cursor = (await db.find_assets(session, AssetQuery(workspace_id=ada.id, sort="title"), limit=1)).next
        surrogate = base64.urlsafe_b64encode(b'["title", "\\udfff", "%032x"]' % 1).decode()
        with pytest.raises(InvalidQueryError):
            await db.find_assets(session, AssetQuery(workspace_id=ada.id, sort="title"), after=surrogate)
        for after in (cursor, "", "x", "bnVsbA", "W10", "WyJuZXdlc3QiLG51bGwsMV0", "é"):
            with pytest.raises(InvalidQueryError):
                await db.find_assets(session, AssetQuery(workspace_id=ada.id), after=after)
        with pytest.raises(InvalidQueryError):
            await db.find_assets(session, AssetQuery(workspace_id=ada.id, text=" ".join("abcdefghijklmnopqrstu")))
        for limit in (0, db.MAX_PAGE + 1):
            with pytest.raises(InvalidPageError):
                await db.find_assets(session, AssetQuery(workspace_id=ada.id), limit=limit)


async def test_facets_count_what_the_query_finds(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.read() as session:
        facets = await db.facets_of(session, AssetQuery(workspace_id=ada.id, text="day"))
    assert facets.counts == {
        "kind": {"video": 3, "unknown": 1},
        "codec": {"h264": 3, "": 1},
        "status": {"queued": 3, "new": 1},
        "owner": {str(ada.id): 4},
        "tag": {"take": 3, "day 1": 1, "day 3": 1, "day 5": 1},
    }
    assert facets.complete


async def test_facets_and_the_look_at_one_asset_find_what_a_page_does(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.read() as session:
        for text, found in FOUND_BY_TEXT:
            query = AssetQuery(workspace_id=ada.id, text=text)
            facets = await db.facets_of(session, query)
            seen = [await db.search.is_found(session, query, UUID(int=100 + number)) for number in range(6)]
            assert sum(facets.counts["owner"].values()) == len(found), text
            assert [number for number, each in enumerate(seen) if each] == sorted(found), text


async def test_words_follow_every_change(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        asset = await db.describe_asset(
            session, UUID(int=100), title="Below", description="in the fog", fields={"a": "Ufa"}
        )
        assert (asset.revision, asset.fields) == (2, {"a": "Ufa"})
        await db.tag_asset(session, UUID(int=101), [])
    assert await find(any_catalog, ada, text="wolken") == []
    assert await find(any_catalog, ada, text="fog") == await find(any_catalog, ada, text="ufa") == [0]
    assert await find(any_catalog, ada, text="take") == [5, 3]
    async with any_catalog.read() as session:
        assert await db.tags_of(session, [UUID(int=101), UUID(int=103)]) == {
            UUID(int=101): [],
            UUID(int=103): ["day 3", "take"],
        }


@pytest.mark.parametrize("sort", ["newest", "oldest", "title"])
async def test_words_are_found_however_frequent_they_are(
    any_catalog: Catalog, ada: User, sort: Sort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every order, page after page, whether the first assets fill a page, the next ones do, or the index must."""
    monkeypatch.setattr(_matching, "FIRST_WINDOW", 4)
    monkeypatch.setattr(_matching, "LAST_WINDOW", 40)
    words = {"every": 1, "third": 3, "ninth": 9, "fiftieth": 50, "never": 1000}
    async with any_catalog.begin() as session:
        for number in range(120):
            title = " ".join([f"{number:03}", *(word for word, share in words.items() if number % share == share - 1)])
            await db.create_asset(
                session, id=UUID(int=1000 + number), user_id=ada.id, title=title, staging_key=f"uploads/n{number}"
            )
    for word, share in words.items():
        wanted = [number for number in range(120) if number % share == share - 1]
        found, after = [], None
        while True:
            async with any_catalog.read() as session:
                query = AssetQuery(workspace_id=ada.id, text=word, sort=sort)
                page = await db.find_assets(session, query, after=after, limit=7)
            found += [asset.id.int - 1000 for asset in page.assets]
            if (after := page.next) is None:
                break
        assert found == (wanted[::-1] if sort == "newest" else wanted)


async def test_another_workspace_s_words_find_nothing_here(any_catalog: Catalog, ada: User) -> None:
    """Not even by the word that marks its assets."""
    async with any_catalog.begin() as session:
        eve = await db.create_user(session, email="eve@example.org")
    for text in ("uber", f"workspace{ada.id.hex}"):
        assert await find(any_catalog, eve, text=text) == []


async def test_an_asset_that_is_purged_leaves_no_words(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        await db.trash_asset(session, UUID(int=101))
        await db.condemn_asset(session, UUID(int=101))
        await db.forget_asset(session, UUID(int=101))
    assert await find(any_catalog, ada, text="uber") == [0]
    async with any_catalog.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(AssetText)) == len(TITLES) - 1


async def test_an_asset_shows_the_facts_and_the_state_of_its_newest_version(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        old = await db.latest_version(session, UUID(int=101))
        assert old is not None
        new = await db.add_version(
            session, asset_id=UUID(int=101), master_key="new", preview_prefix="p/", size=1, sha256="1" * 64
        )
        await db.create_preview(session, new.id)
        await db.set_facts(session, new, {"duration": "7", "video": [], "audio": [{"codec": "flac"}]})
        await db.set_facts(session, old, {"duration": "9", "video": [{"codec": "vp9"}]})
        await db.set_status(session, await db.preview_of(session, old.id), "failed")
    async with any_catalog.read() as session:
        asset = await db.asset_by_id(session, UUID(int=101))
    assert (asset.kind, asset.codec, asset.duration_sec, asset.status) == ("audio", "flac", 7.0, "queued")


@pytest.mark.parametrize("any_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("sort", ["newest", "oldest", "title", "longest"])
async def test_a_page_is_read_off_an_index(any_catalog: Catalog, ada: User, sort: db.search.Sort) -> None:
    """Not sorted: the cost does not grow with the number of assets."""
    plans: list[str] = []
    engine = any_catalog._engine.sync_engine

    def explain(connection: sa.Connection, _: object, statement: str, parameters: Any, *__: object) -> None:
        if "FROM assets" in statement:
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(" ".join(str(row[3]) for row in cursor.fetchall()))

    sa.event.listen(engine, "before_cursor_execute", explain)
    async with any_catalog.read() as session:
        page = await db.find_assets(session, AssetQuery(workspace_id=ada.id, sort=sort), limit=2)
        await db.find_assets(session, AssetQuery(workspace_id=ada.id, sort=sort), limit=2, after=page.next)
    sa.event.remove(engine, "before_cursor_execute", explain)
    assert len(plans) == 2
    assert all("USING INDEX ix_assets_workspace_id_trashed" in plan and "TEMP B-TREE" not in plan for plan in plans), (
        plans
    )


async def test_the_trash_gives_back_and_forgets(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    asset_id = UUID(int=100)
    async with any_catalog.begin() as session:
        with pytest.raises(db.AssetNotFoundError):
            await db.restore_asset(session, asset_id)
        await db.trash_asset(session, asset_id)
        for attempt in (
            db.asset_by_id(session, asset_id),
            db.trash_asset(session, asset_id),
            db.describe_asset(session, asset_id, title="x"),
        ):
            with pytest.raises(db.AssetNotFoundError):
                await attempt
        with pytest.raises(db.TrashedError):
            await db.forget_asset(session, asset_id)
        await db.restore_asset(session, asset_id)
        await db.trash_asset(session, asset_id)
    assert await find(any_catalog, ada, trashed=True, text="wolken") == [0]
    async with any_catalog.begin() as session:
        assert await db.old_trash(session, kept_for=timedelta(days=1)) == []
        clock.advance(timedelta(days=1))
        assert [asset.id for asset in await db.old_trash(session, kept_for=timedelta(days=1))] == [asset_id]
        await db.condemn_asset(session, asset_id)
        with pytest.raises(db.TrashedError):
            await db.restore_asset(session, asset_id)
        assert [asset.id for asset in await db.condemned_assets(session)] == [asset_id]
        assert await db.old_trash(session, kept_for=timedelta(0)) == []


async def test_changes_at_once_are_all_counted(any_catalog: Catalog, ada: User) -> None:
    async def rename(number: int) -> None:
        async with any_catalog.begin() as session:
            await db.describe_asset(session, UUID(int=100), title=f"take {number}")

    await asyncio.gather(*(rename(number) for number in range(8)))
    async with any_catalog.read() as session:
        asset = await session.get_one(Asset, UUID(int=100))
    assert asset.revision == 1 + 8


@given(st.lists(st.text()))
def test_words_are_folded_once_and_for_all(texts: list[str]) -> None:
    words = words_of(texts)
    assert words_of(words) == words
    assert all(word.isalnum() for word in words)
    assert all(fold(word) == word for word in words)
