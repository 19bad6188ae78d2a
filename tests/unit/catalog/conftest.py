"""A migrated catalog in a file, and the people and things that the tests need in it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from mamkit import catalog as db
from mamkit.catalog import Asset, Catalog, User, Version
from tests.servers.postgres import Postgres
from tests.unit.catalog.manual_clock import Clock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database to copy: migrating is the slow part."""
    path = tmp_path_factory.mktemp("catalog") / "template.db"
    db.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path: Path, template: Path) -> str:
    path = tmp_path / "catalog.db"
    path.write_bytes(template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The name of the same on PostgreSQL. Its owner is no superuser, so that the policies of its tables hold."""
    url = postgres.new_database(role="tenant")
    db.upgrade(url)
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of either kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("url"))
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database(template=request.getfixturevalue("postgres_template"), role="tenant")


@pytest.fixture
async def any_catalog(any_url: str, clock: Clock) -> AsyncIterator[Catalog]:
    """A catalog in it."""
    async with Catalog(any_url, clock=clock) as catalog:
        yield catalog


@pytest.fixture
async def catalog(url: str, clock: Clock) -> AsyncIterator[Catalog]:
    async with Catalog(url, clock=clock) as catalog:
        yield catalog


@pytest.fixture
async def user(catalog: Catalog) -> User:
    async with catalog.begin() as session:
        return await db.create_user(session, email="ada@example.org", display_name="Ada")


@pytest.fixture
async def asset(catalog: Catalog, user: User) -> Asset:
    async with catalog.begin() as session:
        return await db.create_asset(session, user_id=user.id, title="Rushes", staging_key="uploads/rushes.mov")


@pytest.fixture
def add_version(catalog: Catalog, asset: Asset) -> Callable[[], Awaitable[Version]]:
    """Add one more version of the asset, in a transaction of its own."""

    async def add() -> Version:
        async with catalog.begin() as session:
            return await db.add_version(
                session,
                asset_id=asset.id,
                master_key=f"masters/{uuid4()}",
                preview_prefix=f"previews/{uuid4()}/",
                size=1 << 40,
                sha256="0" * 64,
            )

    return add


@pytest.fixture
async def version(add_version: Callable[[], Awaitable[Version]]) -> Version:
    return await add_version()
