"""`kill -9` before any step of building a preview anew: what plays is always one whole generation.

MAMKIT_FAULT_ROUNDS=100 tries every step; without it, every fourth one is.
"""

import asyncio
import os
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mamkit import catalog as db
from mamkit.jobs.sql import SqlQueue
from mamkit.storage import preview_prefix
from tests.faults.deaths import deaths
from tests.faults.dying import build, open_parts

EVERY = 1 if int(os.environ.get("MAMKIT_FAULT_ROUNDS", "2")) >= 100 else 4
MOST = 400


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, UUID]:
    """A folder with a preview that is ready."""
    folder, version_id = tmp_path_factory.mktemp("template"), uuid4()
    db.upgrade(f"sqlite:///{folder / 'mamkit.db'}")

    async def begin() -> None:
        catalog, _, _, publisher, _ = open_parts(folder)
        assert isinstance(publisher._queue, SqlQueue)
        publisher._queue.create_schema()
        async with catalog:
            async with catalog.begin() as session:
                ada = await db.create_user(session, email="ada@example.org")
                asset = await db.create_asset(session, user_id=ada.id, title="x", staging_key="uploads/a")
                await db.add_version(
                    session, id=version_id, asset_id=asset.id, master_key=f"masters/{asset.id}/v1/original.mp4",
                    preview_prefix=preview_prefix(asset.id, version_id), size=1, sha256="0" * 64,
                )  # fmt: skip
                preview = await db.create_preview(session, version_id)
                preview.generation = 2  # so that `build` does not begin anew
            await publisher.start(version_id)

    async def as_the_first() -> None:
        catalog, *_ = open_parts(folder)
        async with catalog, catalog.begin() as session:
            (await db.preview_of(session, version_id, for_update=True)).generation = 1

    asyncio.run(begin())
    build(folder, version_id, 0, lambda _: None)
    asyncio.run(as_the_first())
    assert asyncio.run(playing(folder, version_id)) == 1
    return folder, version_id


async def playing(folder: Path, version_id: UUID) -> int:
    """Return which generation plays, once it is whole."""
    catalog, zones, _, publisher, _ = open_parts(folder)
    async with catalog:
        assert (await publisher.state(version_id)).status == "ready"
        async with catalog.read() as session:
            prefix = (await db.version_by_id(session, version_id)).preview_prefix
    for name in ("index.m3u8", "manifest.mpd", "360p/index.m3u8"):
        with zones.previews.get(prefix + name) as body:
            text = body.read().decode()
        assert "/" not in name or "#EXT-X-ENDLIST" in text
    return 2 if prefix.endswith(".2/") else 1


def test_killed_before_any_step_what_plays_is_whole_and_the_rest_is_made_up_for(
    template: tuple[Path, UUID], tmp_path: Path
) -> None:
    template_folder, version_id = template
    seen = set()
    for folder in deaths(
        template_folder, tmp_path, lambda folder: partial(build, folder, version_id), most=MOST, every=EVERY
    ):
        seen.add(asyncio.run(playing(folder, version_id)))
        build(folder, version_id, 0, lambda _: None)
        assert asyncio.run(playing(folder, version_id)) == 2
    assert 1 in seen
