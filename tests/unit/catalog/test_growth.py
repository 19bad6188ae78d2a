"""What a database reads for one request does not grow with the library: counted in rows, or in steps, by itself."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from benchmarks._seed import ADA, asset_id, seed, version_id
from mamkit import catalog as db
from mamkit.catalog import AssetQuery, Catalog, Scope
from mamkit.catalog._matching import _rare as rare_words
from mamkit.catalog.words import workspace_word
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.anyio

COUNT = 20_000
BOUND = 3_000  # rows that one request may read by an index: a search looks at the first 500 assets, and at their words
SEEN = Scope(actor_id=ADA, workspaces=frozenset({ADA}))
MIDDLE = base64.urlsafe_b64encode(json.dumps(["newest", None, asset_id(COUNT // 2).hex]).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    """A library of 20,000 assets, of somebody for whom the policies of rows hold."""
    url = postgres.new_database(role="tenant")
    db.upgrade(url)
    seed(url, COUNT)
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        # As for disks that need not turn. Otherwise all words of so small a library are read rather than those of 500.
        connection.execute(sql.SQL("ALTER DATABASE {} SET random_page_cost = 1.1").format(sql.Identifier(name)))
    return url


@pytest.fixture(scope="module")
def small_and_large(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two libraries on SQLite, of 1,000 and of 10,000 assets."""
    urls = [f"sqlite:///{tmp_path_factory.mktemp('library')}/{count}.db" for count in (1_000, 10_000)]
    for url, count in zip(urls, (1_000, 10_000), strict=True):
        db.upgrade(url)
        seed(url, count)
    return urls


async def page(catalog: Catalog, text: str = "", after: str | None = None) -> None:
    async with catalog.read(SEEN) as session:
        found = await db.find_assets(session, AssetQuery(workspace_id=ADA, text=text), after=after)
        await db.tags_of(session, [asset.id for asset in found.assets])
    assert found.assets


async def comment(catalog: Catalog) -> None:
    async with catalog.begin(SEEN) as session:
        await db.add_comment(session, asset_id=asset_id(7), user_id=ADA, content="dark", start=1.0)
    async with catalog.read(SEEN) as session:
        assert await db.comments_of(session, asset_id(7))


async def version(catalog: Catalog) -> None:
    async with catalog.read(SEEN) as session:
        found = await db.version_by_id(session, version_id(7))
        await db.asset_by_id(session, found.asset_id)


async def preview(catalog: Catalog) -> None:
    async with catalog.read(SEEN) as session:
        await db.preview_of(session, version_id(7))


async def asset(catalog: Catalog) -> None:
    await db.asset_with_tags(catalog, asset_id(7), SEEN)
    await db.standing_of(catalog, ADA)


REQUESTS: Mapping[str, Callable[[Catalog], Awaitable[None]]] = {
    "list": page,
    "list, a page from the middle": lambda catalog: page(catalog, after=MIDDLE),
    "search, a word of one asset": lambda catalog: page(catalog, text="number0 h264"),
    "search, words of all": lambda catalog: page(catalog, text="take h2"),
    "get": asset,
    "comment": comment,
    "sign": version,
    "preview": preview,
}


def read_so_far(postgres: Postgres, url: str) -> dict[str, tuple[int, int]]:
    """Return for each table of the library how many rows were read one after the other, and how many by an index."""
    with psycopg.connect(postgres.url(url.rpartition("/")[2])) as connection:
        query = "SELECT relname, seq_tup_read, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
        return {name: (one_by_one, by_index) for name, one_by_one, by_index in connection.execute(query)}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_reads_no_more_rows_than_it_needs(postgres: Postgres, url: str, name: str) -> None:
    before = read_so_far(postgres, url)
    async with Catalog(url) as catalog:
        for _ in range(8):  # by then the driver has prepared the statement, and the server planned it for any value
            await REQUESTS[name](catalog)
    after = read_so_far(postgres, url)  # connections tell the counters when they end
    for table in ("assets", "asset_texts", "asset_tags", "versions", "previews"):
        one_by_one, by_index = (after[table][kind] - before[table][kind] for kind in range(2))
        assert one_by_one == 0, table
        assert by_index <= 8 * BOUND, table
    assert any(after[table][1] > before[table][1] for table in ("assets", "versions"))


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
async def test_the_index_of_words_is_asked_for_rare_words_alone(
    url: str, small_and_large: list[str], dialect: str
) -> None:
    """Of a frequent one it would collect the whole library. What is found is what all words say."""
    asked: list[str] = []

    def note(_: object, __: object, ___: object, parameters: Any, *____: object) -> None:
        given = parameters.values() if isinstance(parameters, dict) else parameters
        asked.extend(each for each in given if isinstance(each, str) and workspace_word(ADA) in each)

    library = url if dialect == "postgresql" else small_and_large[1]
    async with Catalog(library) as catalog, catalog.read(SEEN) as session:
        newest = sa.select(db.Asset).order_by(db.Asset.id.desc())
        for words, rare in (
            (["number8765", "h264"], ["number8765"]),
            (["h264", "scene7", "number7777"], ["scene7", "number7777"]),
            (["take", "h264"], ["take", "h264"]),
            (["h264"], ["h264"]),
        ):
            assert await rare_words(session, newest, words) == rare
        sa.event.listen(catalog._engine.sync_engine, "before_cursor_execute", note)
        for text, numbers in (
            ("number8765 h264", {8765}),
            ("h264 scene7 number77", {77, *range(7700, 7800), *range(770, 780)} & set(range(7000, 8000))),
            ("number8765 h265", set()),
            ("scene0 number8765 take", set()),
            ("number8765 w", set()),  # as the word of the workspace begins, which all have
        ):
            asked.clear()
            query = AssetQuery(workspace_id=ADA, text=text)
            found = await db.find_assets(session, query, limit=1000)
            assert {asset.id for asset in found.assets} == {asset_id(number) for number in numbers}
            assert any("h264" not in each and "take" not in each for each in asked), "the index, for what is rare"
            if dialect == "sqlite":
                assert len(asked) == 1, "the first assets are looked at without it"
                assert '"w"' not in asked[0]


async def steps_of(url: str, name: str) -> int:
    """Return how many instructions of SQLite's machine a request takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    async with Catalog(url) as catalog:
        await REQUESTS[name](catalog)

        @sa.event.listens_for(catalog._engine.sync_engine, "checkout")
        def connected(connection: Any, *_: object) -> None:
            connection.run_async(lambda driver: driver.set_progress_handler(count, 1))

        await REQUESTS[name](catalog)
    return steps


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - {"list, a page from the middle"}))
async def test_on_sqlite_a_request_takes_as_many_steps_however_large_the_library_is(
    name: str, small_and_large: list[str]
) -> None:
    taken = [await steps_of(url, name) for url in small_and_large]
    assert taken[0] > 0
    assert taken[1] <= 1.3 * taken[0], taken
