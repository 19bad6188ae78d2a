"""`kill -9` before any step of publishing a first preview: it becomes whole, and the janitor finds nothing.

MAMKIT_FAULT_ROUNDS=100 tries every step; without it, every eighth one is.
"""

import asyncio
import os
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mamkit import catalog as db
from mamkit.catalog import sync_engine
from mamkit.jobs.sql import SqlQueue
from mamkit.storage import preview_prefix
from tests.faults.deaths import deaths
from tests.faults.dying import build, open_parts
from tests.faults.test_gc import orphans

EVERY = 1 if int(os.environ.get("MAMKIT_FAULT_ROUNDS", "2")) >= 100 else 8
MOST = 400
WHOLE = [*(f"segment_{number:05d}.m4s" for number in range(4)), "#EXT-X-ENDLIST"]  # of 20 s, 6 s each


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, UUID]:
    """A folder with a version whose preview is to be built."""
    folder, version_id = tmp_path_factory.mktemp("template"), uuid4()
    url = f"sqlite:///{folder / 'mamkit.db'}"
    db.upgrade(url)
    SqlQueue(sync_engine(url)).create_schema()

    async def begin() -> None:
        catalog, zones, _, publisher, _ = open_parts(folder)
        async with catalog:
            async with catalog.begin() as session:
                ada = await db.create_user(session, email="ada@example.org")
                asset = await db.create_asset(session, user_id=ada.id, title="x", staging_key="uploads/a")
                master_key = f"masters/{asset.id}/v1/original.mp4"
                await db.add_version(
                    session, id=version_id, asset_id=asset.id, master_key=master_key,
                    preview_prefix=preview_prefix(asset.id, version_id), size=1, sha256="0" * 64,
                )  # fmt: skip
                await db.create_preview(session, version_id)
            zones.masters.put(master_key, b"x")
            await publisher.start(version_id)

    asyncio.run(begin())
    return folder, version_id


async def _found(folder: Path, version_id: UUID) -> tuple[str, list[str]]:
    """Return the state of the preview, and what its playlist names; nothing where there is none yet."""
    catalog, zones, _, publisher, _ = open_parts(folder)
    async with catalog:
        status = (await publisher.state(version_id)).status
        async with catalog.read() as session:
            prefix = (await db.version_by_id(session, version_id)).preview_prefix
    keys = [info.key for info in zones.previews.list(prefix) if info.key.endswith("360p/index.m3u8")]
    if not keys:
        return status, []
    with zones.previews.get(keys[0]) as body:
        lines = body.read().decode().splitlines()
    return status, [line for line in lines if line.endswith((".m4s", "ENDLIST"))]


def test_killed_before_any_step_it_is_published_whole_and_leaves_nothing(
    template: tuple[Path, UUID], tmp_path: Path
) -> None:
    template_folder, version_id = template
    seen = set()
    for folder in deaths(
        template_folder, tmp_path, lambda folder: partial(build, folder, version_id, anew=False), most=MOST, every=EVERY
    ):
        status, names = asyncio.run(_found(folder, version_id))
        seen.add(status)
        assert names[:4] == WHOLE[: min(4, len(names))], "what a player is shown grows from the front"
        assert status != "ready" or names == WHOLE
        build(folder, version_id, 0, lambda _: None, anew=False)
        assert asyncio.run(_found(folder, version_id)) == ("ready", WHOLE)
        assert asyncio.run(orphans(folder)) == []
    assert seen >= {"queued", "building", "playable"}
