"""Previews: each change counted once, late and repeated reports harmless."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import (
    Catalog,
    InvalidProgressError,
    PartNotFoundError,
    Preview,
    PreviewNotFoundError,
    PreviewPart,
    PreviewStateError,
    Version,
    VersionNotFoundError,
)
from mamkit.catalog.models import PreviewStatus
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

PLAN = {"segments": 3, "duration": "1001/100"}
PARTS = [(0, "video"), (1, "video"), (2, "audio")]


@pytest.fixture
async def preview(catalog: Catalog, version: Version) -> Preview:
    async with catalog.begin() as session:
        return await db.create_preview(session, version.id)


@pytest.fixture
async def building(catalog: Catalog, preview: Preview) -> Preview:
    async with catalog.begin() as session:
        await db.start_building(session, preview, plan=PLAN, parts=PARTS)
    return await read(catalog, preview)


async def read(catalog: Catalog, preview: Preview) -> Preview:
    async with catalog.read() as session:
        return await db.preview_of(session, preview.version_id)


async def move(catalog: Catalog, preview: Preview, *statuses: PreviewStatus) -> Preview:
    async with catalog.begin() as session:
        for status in statuses:
            preview = await db.set_status(session, preview, status, failure_code="x.y", failure="it broke")
    return await read(catalog, preview)


async def test_a_preview_begins_queued(preview: Preview, clock: Clock) -> None:
    assert (preview.status, preview.plan, preview.revision) == ("queued", None, 1)
    assert preview.created_at == preview.updated_at == clock.now


async def finish(session: AsyncSession, preview: Preview, index: int, result: Mapping[str, Any] | None = None) -> None:
    """Record that a part is done, as a publisher does."""
    held = await db.preview_of(session, preview.version_id, for_update=True)
    await db.finish_part(session, held, await db.part_of(session, preview.version_id, index), result or {})


async def tell(session: AsyncSession, preview: Preview, progress: Mapping[int, float]) -> None:
    """Record how far parts are, as a publisher does."""
    await db.record_progress(session, await db.preview_of(session, preview.version_id, for_update=True), progress)


async def test_creating_a_preview_again_returns_the_first(catalog: Catalog, building: Preview) -> None:
    async with catalog.begin() as session:
        again = await db.create_preview(session, building.version_id)
    assert (again.status, again.revision) == ("building", building.revision)


async def test_a_preview_needs_a_version(catalog: Catalog) -> None:
    async with catalog.begin() as session:
        with pytest.raises(VersionNotFoundError):
            await db.create_preview(session, uuid4())


async def test_what_is_not_there_is_not_found(catalog: Catalog, preview: Preview) -> None:
    async with catalog.begin() as session:
        for for_update in (False, True):
            with pytest.raises(PreviewNotFoundError):
                await db.preview_of(session, uuid4(), for_update=for_update)
        for index in (0, -1, 2**31 - 1):
            with pytest.raises(PartNotFoundError):
                await db.part_of(session, preview.version_id, index)
        with pytest.raises(PartNotFoundError):
            await db.part_of(session, uuid4(), 0)


async def test_building_begins_with_a_plan_and_waiting_parts(catalog: Catalog, building: Preview) -> None:
    assert (building.status, building.plan, building.revision) == ("building", PLAN, 2)
    async with catalog.read() as session:
        parts = await db.parts_of(session, building.version_id)
    assert [(part.index, part.kind) for part in parts] == PARTS
    assert {(part.status, part.progress, part.result, part.job_id) for part in parts} == {("waiting", 0.0, None, None)}


async def test_the_same_plan_again_changes_nothing(catalog: Catalog, building: Preview) -> None:
    """A job that is done twice does not undo the parts that are finished."""
    async with catalog.begin() as session:
        await finish(session, building, 0)
        await db.start_building(session, building, plan=PLAN, parts=PARTS)
        parts = await db.parts_of(session, building.version_id)
    assert [part.status for part in parts] == ["done", "waiting", "waiting"]
    assert (await read(catalog, building)).revision == building.revision + 1


async def test_another_plan_is_refused_while_one_is_built(catalog: Catalog, building: Preview) -> None:
    async with catalog.begin() as session:
        with pytest.raises(PreviewStateError):
            await db.start_building(session, building, plan={"segments": 4}, parts=PARTS)


async def test_a_failed_preview_can_be_planned_anew(catalog: Catalog, building: Preview) -> None:
    await move(catalog, building, "failed")
    async with catalog.begin() as session:
        await db.start_building(session, building, plan={"segments": 1}, parts=[(0, "audio")])
        parts = await db.parts_of(session, building.version_id)
    assert [(part.index, part.kind) for part in parts] == [(0, "audio")]
    again = await read(catalog, building)
    assert (again.status, again.plan, again.failure) == ("building", {"segments": 1}, None)


async def test_a_failed_preview_can_go_on_with_what_it_has(catalog: Catalog, building: Preview) -> None:
    async with catalog.begin() as session:
        await finish(session, building, 0)
    failed = await move(catalog, building, "failed")
    assert (failed.failure_code, failed.failure) == ("x.y", "it broke")
    async with catalog.begin() as session:
        again = await db.set_status(session, building, "building")
        parts = await db.parts_of(session, building.version_id)
    assert (again.status, again.plan, again.failure_code) == ("building", PLAN, None)
    assert [part.status for part in parts] == ["done", "waiting", "waiting"]


async def test_times_are_those_of_the_first_playable_and_the_ready_state(
    catalog: Catalog, building: Preview, clock: Clock
) -> None:
    clock.advance(timedelta(seconds=2))
    playable_at = clock.now
    playable = await move(catalog, building, "playable")
    assert (playable.playable_at, playable.ready_at) == (playable_at, None)
    clock.advance(timedelta(seconds=5))
    ready = await move(catalog, building, "playable", "ready")
    assert (ready.playable_at, ready.ready_at, ready.updated_at) == (playable_at, clock.now, clock.now)
    anew = await move(catalog, building, "queued")
    assert (anew.playable_at, anew.ready_at) == (None, None)


async def test_a_short_preview_is_playable_when_it_is_ready(catalog: Catalog, building: Preview, clock: Clock) -> None:
    ready = await move(catalog, building, "ready")
    assert ready.playable_at == ready.ready_at == clock.now


STATUSES: list[PreviewStatus] = ["queued", "building", "playable", "ready", "failed"]
WAYS = {
    ("queued", "building"),
    ("queued", "failed"),
    ("building", "playable"),
    ("building", "ready"),
    ("building", "failed"),
    ("building", "queued"),
    ("playable", "ready"),
    ("playable", "failed"),
    ("playable", "queued"),
    ("ready", "queued"),
    ("ready", "building"),
    ("failed", "queued"),
    ("failed", "building"),
}


@pytest.mark.parametrize("start", STATUSES)
async def test_only_these_ways_lead_from_state_to_state(
    catalog: Catalog, preview: Preview, start: PreviewStatus
) -> None:
    for end in STATUSES:
        async with catalog.begin() as session:
            await session.execute(sa.update(Preview).values(status=start))
        before = (await read(catalog, preview)).revision
        async with catalog.begin() as session:
            if start == end or (start, end) in WAYS:
                moved = await db.set_status(session, preview, end)
                assert (moved.status, moved.revision) == (end, before + (start != end))
            else:
                with pytest.raises(PreviewStateError) as caught:
                    await db.set_status(session, preview, end)
                assert (caught.value.status, caught.value.wanted) == (start, end)


async def test_how_far_parts_are_is_recorded_with_when(catalog: Catalog, building: Preview, clock: Clock) -> None:
    clock.advance(timedelta(seconds=1))
    async with catalog.begin() as session:
        await tell(session, building, {1: 0.25, 2: 0.5})
        await tell(session, building, {2: 0.0})  # another worker begins it anew
        parts = await db.parts_of(session, building.version_id)
    assert [(part.status, part.progress) for part in parts] == [("waiting", 0.0), ("running", 0.25), ("running", 0.0)]
    assert [part.updated_at == clock.now for part in parts] == [False, True, True]
    assert (await read(catalog, building)).revision == building.revision + 2


async def test_a_part_that_is_done_stays_done(catalog: Catalog, building: Preview) -> None:
    """Whatever a worker says that has lost its lease."""
    async with catalog.begin() as session:
        await finish(session, building, 0, {"size": 1})
    async with catalog.begin() as session:
        await tell(session, building, {0: 0.1})
        done = await db.part_of(session, building.version_id, 0)
    assert (done.status, done.progress, done.result) == ("done", 1.0, {"size": 1})


@pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan"), float("inf"), -1e300])
async def test_progress_lies_between_nothing_and_all(catalog: Catalog, building: Preview, progress: float) -> None:
    async with catalog.begin() as session:
        with pytest.raises(InvalidProgressError):
            await tell(session, building, {0: progress})


async def test_reports_at_once_lose_nothing(catalog: Catalog, building: Preview) -> None:
    async def report(index: int, progress: float) -> None:
        async with catalog.begin() as session:
            await tell(session, building, {index: progress})

    await asyncio.gather(*(report(index, step / 10) for index in range(3) for step in range(1, 8)))
    async with catalog.read() as session:
        parts = await db.parts_of(session, building.version_id)
    assert all(part.status == "running" and part.progress > 0 for part in parts)
    assert (await read(catalog, building)).revision == building.revision + 21


async def test_a_preview_read_before_is_not_trusted(catalog: Catalog, building: Preview) -> None:
    """What was read without a lock may be old: changes look again."""
    stale = await read(catalog, building)
    await move(catalog, building, "playable", "ready")
    async with catalog.begin() as session:
        with pytest.raises(PreviewStateError):
            await db.set_status(session, stale, "failed")


async def test_the_janitor_finds_what_is_unfinished_oldest_first(
    catalog: Catalog, building: Preview, clock: Clock
) -> None:
    async with catalog.read() as session:
        assert [p.version_id for p in await db.unfinished_previews(session)] == [building.version_id]
        assert await db.unfinished_previews(session, quiet_for=timedelta(minutes=1)) == []
    clock.advance(timedelta(minutes=1))
    async with catalog.read() as session:
        assert len(await db.unfinished_previews(session, quiet_for=timedelta(minutes=1))) == 1
        assert await db.unfinished_previews(session, limit=0) == []
    statuses: list[PreviewStatus] = ["playable", "ready", "queued", "failed"]
    for status in statuses:
        await move(catalog, building, status)
        async with catalog.read() as session:
            assert len(await db.unfinished_previews(session)) == (status in {"playable", "queued"})


async def test_a_version_takes_its_preview_and_parts_with_it(catalog: Catalog, building: Preview) -> None:
    async with catalog.begin() as session:
        await session.execute(sa.delete(Version).where(Version.id == building.version_id))
        assert await session.scalar(sa.select(sa.func.count()).select_from(Preview)) == 0
        assert await session.scalar(sa.select(sa.func.count()).select_from(PreviewPart)) == 0
