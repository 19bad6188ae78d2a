"""Killed before any step of taking an upload in: nothing is lost, all can be done again, the janitor finds the rest."""

import asyncio
import hashlib
import os
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from mamkit import catalog as db
from mamkit.auth import ROLES
from mamkit.catalog import sync_engine
from mamkit.clock import utc_now
from mamkit.ids import uuid7
from mamkit.jobs.sql import SqlQueue
from mamkit.previews import Orphan, find_orphans, remove_orphan
from mamkit.storage import staging_key
from tests.apps.test_demo import run
from tests.faults.deaths import Work, deaths
from tests.faults.dying import known, open_parts, take_in

BODY = os.urandom(4096)
SHA256 = hashlib.sha256(BODY).hexdigest()
LATER = timedelta(days=8)
MOST = 60  # steps; taking an upload in has some twenty


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, UUID]:
    """An installation with one user."""
    folder = tmp_path_factory.mktemp("template")
    url = f"sqlite:///{folder / 'mamkit.db'}"
    db.upgrade(url)
    SqlQueue(sync_engine(url)).create_schema()

    async def make() -> UUID:
        async with db.Catalog(url) as catalog, catalog.begin() as session:
            await db.ensure_roles(session, ROLES)
            return (await db.create_user(session, email="ada@example.com", display_name="", password_hash="x")).id

    return folder, asyncio.run(make())


def upload(folder: Path, user_id: UUID) -> UUID:
    """Put bytes where a client puts them."""
    asset_id = uuid7()
    _, zones, *_ = open_parts(folder)
    zones.staging.put(staging_key(user_id, asset_id, "mp4"), BODY)
    return asset_id


async def orphans(folder: Path, *, remove: bool = False) -> list[Orphan]:
    catalog, zones, *_ = open_parts(folder)
    async with catalog:
        found = [each async for each in find_orphans(catalog, zones, now=utc_now() + LATER)]
        if remove:
            for each in found:
                assert await remove_orphan(zones, each)
    return found


def test_killed_before_any_step_it_can_be_done_again_and_leaves_nothing(
    template: tuple[Path, UUID], tmp_path: Path
) -> None:
    template_folder, user_id = template
    uploaded: dict[Path, UUID] = {}

    def begin(folder: Path) -> Work:
        uploaded[folder] = upload(folder, user_id)
        return partial(take_in, folder, user_id, uploaded[folder])

    for folder in deaths(template_folder, tmp_path, begin, most=MOST):
        asyncio.run(_nobody_comes_back(folder, tmp_path / f"{folder.name}-alone"))
        asyncio.run(_done_again(folder, user_id, uploaded[folder]))


async def _done_again(folder: Path, user_id: UUID, asset_id: UUID) -> None:
    """The client sends its requests again: the upload is one master, byte for byte, and nothing else is there."""
    catalog, zones, ingest, *_ = open_parts(folder)
    async with catalog:
        asset = await ingest.record(user_id, asset_id, title="A film", filename="film.mp4")
        version = await ingest.promote(asset)
        assert [each.id for each in await known(catalog, asset_id)] == [version.id]
        assert version.sha256 == SHA256
        with zones.masters.get(version.master_key) as body:
            assert b"".join(body) == BODY
        assert list(zones.staging.list("uploads/")) == []
    assert await orphans(folder) == []


async def _nobody_comes_back(folder: Path, copy: Path) -> None:
    """After a week the janitor removes what the crash left, and nothing that the catalog knows."""
    shutil.copytree(folder, copy)
    await orphans(copy, remove=True)
    assert await orphans(copy) == []
    catalog, zones, *_ = open_parts(copy)
    async with catalog, catalog.read() as session:
        masters = {info.key for info in zones.masters.list("masters/") if not info.key.endswith(".json")}
        assert masters == {version.master_key for version in await session.scalars(select(db.Version))}


def test_what_is_young_or_known_is_left_alone(template: tuple[Path, UUID], tmp_path: Path) -> None:
    template_folder, user_id = template
    folder = tmp_path / "a"
    shutil.copytree(template_folder, folder)
    asset_id = upload(folder, user_id)

    async def look() -> None:
        catalog, zones, ingest, *_ = open_parts(folder)
        async with catalog:
            for key in (f"masters/{uuid4()}/v1/original.mp4", f"previews/{uuid4()}/{uuid4()}/index.m3u8", "notes.txt"):
                zones.masters.put(key, b"x")
            assert [each async for each in find_orphans(catalog, zones, now=utc_now())] == []
            asset = await ingest.record(user_id, asset_id, title="A film", filename="film.mp4")
            version = await ingest.promote(asset)
            zones.previews.put(f"{version.preview_prefix}index.m3u8", b"#EXTM3U")
        found = await orphans(folder)
        assert sorted(each.zone for each in found) == ["masters", "previews"]
        assert not any(str(version.id) in each.key for each in found)

    asyncio.run(look())


def test_the_command_lists_first_and_then_removes(tmp_path: Path) -> None:
    data = tmp_path / ".mamkit"
    assert run("db", "upgrade", cwd=tmp_path).returncode == 0
    _, zones, *_ = open_parts(data)
    key = staging_key(uuid4(), uuid4(), "mp4")
    zones.staging.put(key, b"12345")
    old = (utc_now() - LATER).timestamp()
    for path in (data / "objects").rglob("*"):
        os.utime(path, (old, old))
    listed = run("gc", "--dry-run", cwd=tmp_path)
    assert (listed.stdout, listed.returncode) == (f"staging 5 {key}: was not promoted in time\n", 0)
    assert run("gc", cwd=tmp_path).stdout == listed.stdout
    assert run("gc", "--dry-run", cwd=tmp_path).stdout == ""
