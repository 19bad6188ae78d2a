"""A preview that is built anew: the one before plays until the new one takes its place at once, or for ever."""

import asyncio
import re
import threading
from datetime import timedelta
from fractions import Fraction
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.catalog.leftovers import leftovers_due
from mamkit.jobs import Lease
from mamkit.previews import Ack, Failed, PreviewWorker, Progress, Report, Trash
from mamkit.previews._growth import TELL_APART
from mamkit.storage import LocalStore, ObjectStore
from mamkit.transcode import MANIFEST_NAME, Part, Plan
from tests.media_factory import make_clip
from tests.unit.catalog.manual_clock import Clock
from tests.unit.previews.bench import Bench, bench
from tests.unit.previews.test_publisher import film, finished
from tests.unit.previews.test_worker import upload

URI = re.compile(r'URI="([^"]+)"')


def read_all(store: ObjectStore, prefix: str) -> int:
    """Read a preview as a player does that has a URL of its index; return how many objects it is made of.

    Raises:
        ObjectNotFoundError: Something that a playlist names is not there.
    """
    waiting, seen = [PurePosixPath("index.m3u8")], set[PurePosixPath]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        with store.get(f"{prefix}{name}") as body:
            data = body.read()
        assert data
        if name.suffix != ".m3u8":
            continue
        text = data.decode()
        assert "#EXT-X-ENDLIST" in text or name.parent == PurePosixPath()  # the multivariant playlist has no end
        found = [*URI.findall(text), *(line for line in text.splitlines() if line and not line.startswith("#"))]
        waiting += [name.parent / each for each in found]
    return len(seen)


async def deliver(b: Bench, version_id: UUID, plan: Plan, leases: list[tuple[Lease, Part]]) -> None:
    for lease, part in leases:
        await b.publisher.take(finished(version_id, lease, plan, part))
        b.queue.complete(lease)


async def ready(b: Bench) -> tuple[UUID, Plan]:
    """Return a version with a preview that is ready."""
    version_id = await b.version()
    plan = await b.plan(version_id, film(20))
    await deliver(b, version_id, plan, b.leases())
    assert await b.status(version_id) == "ready"
    return version_id, plan


async def asset_status(b: Bench, version_id: UUID) -> str:
    async with b.catalog.read() as session:
        version = await db.version_by_id(session, version_id)
        return (await db.asset_by_id(session, version.asset_id)).status


def test_the_old_one_is_what_plays_until_all_of_the_new_one_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, _ = await ready(b)
            old, index = await b.prefix(version_id), b.playlists()
            await b.publisher.rebuild(version_id)
            await b.publisher.rebuild(version_id)  # a second click
            plan = await b.plan(version_id, film(20))
            leases = b.leases()
            for lease, part in leases:
                state = await b.publisher.state(version_id)
                assert (state.status, state.preview.serving, await b.prefix(version_id)) == ("ready", True, old)
                assert b.playlists() == index, "nothing of what plays is touched"
                assert await asset_status(b, version_id) == "ready"
                await b.publisher.take(finished(version_id, lease, plan, part))
            new = await b.prefix(version_id)
            assert new == f"{old.removesuffix('/')}.2/"
            state = await b.publisher.state(version_id)
            assert (state.status, state.preview.serving, state.progress) == ("ready", False, 1.0)
            with b.zones.previews.get(f"{new}index.m3u8") as found:
                assert found.read().decode() == index["index.m3u8"]

    asyncio.run(scenario())


def test_one_that_fails_leaves_the_old_one_playing_and_can_be_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, _ = await ready(b)
            old = await b.prefix(version_id)
            await b.publisher.rebuild(version_id)
            plan = await b.plan(version_id, film(20))
            [(lease, _), *others] = b.leases()
            failure = Failed(version_id=version_id, job_id=lease.job.id, fence=lease.fence, code="x.y", message="no")
            await b.publisher.take(failure)
            b.queue.bury(lease, reason="no")
            state = await b.publisher.state(version_id)
            assert (state.status, state.preview.status, state.preview.failure) == ("ready", "failed", "no")
            assert (await b.prefix(version_id), await asset_status(b, version_id)) == (old, "ready")
            for held, _ in others:
                b.queue.release(held)
            await b.publisher.restart(version_id)
            await deliver(b, version_id, plan, b.leases())
            assert (await b.publisher.state(version_id)).preview.status == "ready"
            assert await b.prefix(version_id) != old

    asyncio.run(scenario())


def test_what_was_given_up_publishes_nothing(tmp_path: Path) -> None:
    """Workers that are still at the generation before tell of parts with the numbers of the next one's."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, plan = await ready(b)
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(20))
            [(first, _), *stale] = b.leases()
            failure = Failed(version_id=version_id, job_id=first.job.id, fence=first.fence, code="x.y", message="no")
            await b.publisher.take(failure)
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(20))
            for lease, part in stale:
                assert await b.publisher.take(finished(version_id, lease, plan, part)) == Ack(wanted=False)
                late = failure.model_copy(update={"job_id": lease.job.id, "fence": lease.fence})
                assert await b.publisher.take(late) == Ack(wanted=False)
            assert {part.status for part in await b.parts(version_id)} == {"waiting"}
            await deliver(b, version_id, plan, b.leases())
            assert (await b.prefix(version_id)).endswith(".3/")

    asyncio.run(scenario())


def test_the_old_objects_go_when_no_url_can_lead_to_them_any_more_and_the_new_ones_stay(tmp_path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with bench(tmp_path, clock=clock) as b:
            version_id, _ = await ready(b)
            old = await b.prefix(version_id)
            await b.publisher.rebuild(version_id)
            plan = await b.plan(version_id, film(20))
            await deliver(b, version_id, plan, b.leases())
            trash = Trash(b.catalog, b.zones)
            clock.advance(timedelta(hours=24))
            await trash.empty()
            assert list(b.zones.previews.list(old))
            clock.advance(timedelta(hours=1))
            await trash.empty()
            assert not list(b.zones.previews.list(old))
            assert [info for info in b.zones.previews.list(await b.prefix(version_id)) if info.key.endswith(".m3u8")]
            async with b.catalog.read() as session:
                assert await leftovers_due(session) == []

    asyncio.run(scenario())


def test_a_worker_that_is_late_leaves_nothing_of_a_purged_asset(tmp_path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with bench(tmp_path, clock=clock) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(20))
            [(lease, part), *_] = b.leases()
            prefix = await b.prefix(version_id)
            async with b.catalog.begin() as session:
                asset_id = (await db.version_by_id(session, version_id)).asset_id
                await db.trash_asset(session, asset_id)
            trash = Trash(b.catalog, b.zones)
            await trash.condemn(asset_id)
            assert await trash.empty() == 1
            b.zones.previews.put(f"{prefix}360p/segment_00000.m4s", b"late")
            assert await b.publisher.take(finished(version_id, lease, plan, part)) == Ack(wanted=False)
            clock.advance(timedelta(hours=1))
            await trash.empty()
            assert not list(b.zones.previews.list(prefix))

    asyncio.run(scenario())


def test_all_that_is_of_an_asset_goes_with_it(tmp_path: Path) -> None:
    """The generation that plays, the one in the making, and the one that stays for those who have a URL."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, plan = await ready(b)
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(20))
            await deliver(b, version_id, plan, b.leases())
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(20))
            assert len({info.key.split("/")[2] for info in b.zones.previews.list("previews/")}) == 3
            async with b.catalog.begin() as session:
                asset_id = (await db.version_by_id(session, version_id)).asset_id
                await db.trash_asset(session, asset_id)
            trash = Trash(b.catalog, b.zones)
            await trash.condemn(asset_id)
            await trash.empty()
            assert not list(b.zones.previews.list("previews/"))

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "film.mp4", seconds=8).read_bytes()


def test_players_read_whole_previews_all_the_while(tmp_path: Path, clip: bytes) -> None:
    """A real worker builds anew; who begins to play at any moment reads to the end what they began."""

    async def scenario() -> None:
        store, loop = LocalStore(tmp_path / "objects"), asyncio.get_running_loop()
        async with bench(tmp_path, store) as b:
            version_id = await upload(b, clip)

            def report(report: Report) -> Ack:
                return asyncio.run_coroutine_threadsafe(b.publisher.take(report), loop).result()

            worker = PreviewWorker("w", queue=b.queue, zones=b.zones, report=report)

            def work() -> None:
                while worker.run_once(threading.Event()):
                    pass

            await asyncio.to_thread(work)
            old = await b.prefix(version_id)
            whole = read_all(store, old)
            assert whole > 8
            await b.publisher.rebuild(version_id)
            building = asyncio.create_task(asyncio.to_thread(work))
            reads = 0
            while not building.done():
                assert await asyncio.to_thread(read_all, store, await b.prefix(version_id)) == whole
                reads += 1
            await building
            worker.close()
            new = await b.prefix(version_id)
            assert new != old
            assert read_all(store, new) == whole
            assert read_all(store, old) == whole, "who began with the old one reads it to its end"
            assert store.head(f"{new}{MANIFEST_NAME}").size == store.head(f"{old}{MANIFEST_NAME}").size
            assert reads > 1

    asyncio.run(scenario())


def test_many_reports_of_progress_are_recorded_together_and_a_stale_one_not_at_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, _ = await ready(b)
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(120))
            leases = b.leases()

            async def tell(lease: Lease, part: Part, done: Fraction) -> bool:
                report = Progress(
                    version_id=version_id, job_id=lease.job.id, fence=lease.fence, part=part.index, done=done
                )
                return (await b.publisher.take(report)).wanted

            for lease, part in leases:
                assert await tell(lease, part, Fraction(0))
            before = await b.publisher.revision(version_id)
            for _ in range(20):
                for lease, part in leases:
                    assert await tell(lease, part, Fraction(1, 2))
            assert await b.publisher.revision(version_id) - before < 20 * len(leases)
            await asyncio.sleep(TELL_APART)  # so that the next one is recorded, with all that was held back
            assert await tell(*leases[0], Fraction(3, 4))
            assert sorted(part.progress for part in await b.parts(version_id)) == [*[0.5] * (len(leases) - 1), 0.75]
            (first, _), *_ = leases
            failure = Failed(version_id=version_id, job_id=first.job.id, fence=first.fence, code="x.y", message="no")
            await b.publisher.take(failure)
            assert not await tell(*leases[1], Fraction(3, 4))
            await b.publisher.rebuild(version_id)
            await b.plan(version_id, film(120))
            fresh = b.leases()
            assert await tell(*fresh[0], Fraction(1, 4))
            assert not await tell(*leases[1], Fraction(3, 4))
            assert {part.progress for part in await b.parts(version_id)} == {0.0, 0.25}

    asyncio.run(scenario())
