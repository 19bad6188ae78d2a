"""The publisher: reports in any order, twice, late and false; what it publishes and what it refuses."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.catalog import Catalog, PreviewNotFoundError
from mamkit.ids import uuid7
from mamkit.jobs import Job, Lease, MemoryQueue, NewJob, QueueUnavailableError
from mamkit.previews import (
    Failed,
    Finished,
    InvalidMessageError,
    PartJob,
    Planned,
    Progress,
    Publisher,
    StaleReportError,
)
from mamkit.previews._growth import Nursery
from mamkit.previews._ordering import in_order, priority_of, turn
from mamkit.previews._orders import Orders
from mamkit.previews.messages import PART_JOB, PLAN_JOB
from mamkit.transcode import (
    ArtFile,
    AudioStream,
    Init,
    KeyFrame,
    MediaInfo,
    Part,
    PartResult,
    Plan,
    Segment,
    VideoStream,
    make_plan,
)
from tests.unit.previews.bench import bench


def film(seconds: int = 40, *, sound: bool = True) -> MediaInfo:
    """Say what a probe would of a film of 640x360 at 25 frames a second."""
    video = VideoStream(
        index=0, codec="h264", width=640, height=360, frame_rate=Fraction(25), pixel_format="yuv420p",
        duration=Fraction(seconds),
    )  # fmt: skip
    audio = AudioStream(
        index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=Fraction(seconds)
    )
    return MediaInfo(
        container="mp4", size=1000, duration=Fraction(seconds), video=(video,), audio=(audio,) if sound else ()
    )


def result(plan: Plan, part: Part) -> PartResult:
    """Make up what encoding a part would have made."""
    if part.kind == "artwork":
        return PartResult(part=part.index, inits=(), segments=(), art=(ArtFile(name="art/poster.jpg", size=1),))
    names = [rendition.name for rendition in (plan.video if part.kind == "video" else plan.audio)]
    codecs = "avc1.64001e" if part.kind == "video" else "mp4a.40.2"
    segments = []
    for name in names:
        for index in range(part.start, part.stop):
            start = index * plan.segment_duration
            duration = min(plan.segment_duration, plan.duration - start)
            keys = (KeyFrame(offset=0, size=500, time=start),) if part.kind == "video" else ()
            segments.append(Segment(rendition=name, index=index, duration=duration, size=9000, key_frames=keys))
    inits = tuple(Init(rendition=name, size=700, codecs=codecs, sha256="1" * 64) for name in names)
    return PartResult(part=part.index, inits=inits, segments=tuple(segments))


def finished(version_id: UUID, lease: Lease, plan: Plan, part: Part) -> Finished:
    return Finished(version_id=version_id, job_id=lease.job.id, fence=lease.fence, result=result(plan, part))


@pytest.mark.parametrize("seed", range(8))
def test_parts_in_any_order_and_twice_give_the_same_playlists(tmp_path: Path, seed: int) -> None:
    async def deliver(folder: Path, shuffle: random.Random | None) -> dict[str, str]:
        folder.mkdir()
        async with bench(folder) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film())
            reports = [finished(version_id, lease, plan, part) for lease, part in b.leases()]
            if shuffle is not None:
                reports = shuffle.sample(reports, len(reports))
                reports += shuffle.choices(reports, k=3)  # late repetitions
            lengths: list[int] = []
            for report in reports:
                await b.publisher.take(report)
                if "index.m3u8" in b.playlists():
                    assert await b.status(version_id) in {"playable", "ready"}
                    lengths.append(b.playlists()["360p/index.m3u8"].count("#EXTINF"))
            assert lengths == sorted(lengths), "a growing playlist must never shrink"
            assert await b.status(version_id) == "ready"
            return b.playlists()

    async def both() -> tuple[dict[str, str], dict[str, str]]:
        return await deliver(tmp_path / "1", None), await deliver(tmp_path / "2", random.Random(seed))

    straight, shuffled = asyncio.run(both())
    assert straight == shuffled
    assert all("#EXT-X-ENDLIST" in text for name, text in straight.items() if "/" in name)


def test_it_is_playable_with_the_first_parts_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film())
            leases = b.leases()
            assert [part.start for _, part in leases[:2]] == [0, 0], "what makes it playable comes first"
            (first, video), (second, audio) = leases[:2]
            await b.publisher.take(finished(version_id, first, plan, video))
            assert (await b.status(version_id), b.playlists()) == ("building", {})
            await b.publisher.take(finished(version_id, second, plan, audio))
            assert await b.status(version_id) == "playable"
            assert "EVENT" in b.playlists()["360p/index.m3u8"]
            assert "#EXT-X-ENDLIST" not in b.playlists()["360p/index.m3u8"]

    asyncio.run(scenario())


def test_a_report_under_an_older_lease_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film())
            [(old, part), *_] = b.leases()
            b.queue.release(old)
            new = b.claim()
            assert new is not None
            assert new.job.id == old.job.id
            reports: Sequence[Failed | Finished | Progress] = (
                Failed(version_id=version_id, job_id=old.job.id, fence=old.fence, code="x.y", message="gone"),
                finished(version_id, old, plan, part),
                Progress(version_id=version_id, job_id=old.job.id, fence=old.fence, part=part.index, done=Fraction(1)),
            )
            for report in reports:
                with pytest.raises(StaleReportError):
                    await b.publisher.take(report)
            assert (await b.publisher.state(version_id)).progress == 0
            assert await b.status(version_id) == "building"

    asyncio.run(scenario())


def test_a_failed_part_fails_its_own_preview_only_with_its_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            bad, good = await b.version(), await b.version()
            await b.plan(bad, film(6))
            bad_leases = b.leases()
            plan = await b.plan(good, film(6))
            good_leases = b.leases()
            lease, _ = bad_leases[0]
            await b.publisher.take(
                Failed(version_id=bad, job_id=lease.job.id, fence=lease.fence, code="transcode.encode", message="no")
            )
            preview = (await b.publisher.state(bad)).preview
            assert (preview.status, preview.failure_code, preview.failure) == ("failed", "transcode.encode", "no")
            later, part = bad_leases[1]
            ack = await b.publisher.take(
                Progress(version_id=bad, job_id=later.job.id, fence=later.fence, part=part.index, done=Fraction(1, 2))
            )
            assert ack.wanted is False, "work for a failed preview stops"
            for lease, part in good_leases:
                await b.publisher.take(finished(good, lease, plan, part))
            assert await b.status(good) == "ready"

    asyncio.run(scenario())


def test_a_failed_preview_can_be_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(6))
            [(lease, part), (other, _), (last, artwork)] = b.leases()
            for held, done in ((lease, part), (last, artwork)):
                await b.publisher.take(finished(version_id, held, plan, done))
                b.queue.complete(held)
            await b.publisher.take(
                Failed(version_id=version_id, job_id=other.job.id, fence=other.fence, code="x.y", message="no")
            )
            b.queue.bury(other, reason="no")
            await b.publisher.restart(version_id)
            assert await b.status(version_id) == "building"
            [(lease, part)] = b.leases()
            assert part.index == PartJob.model_validate(other.job.payload).part.index, "only what is missing"
            await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())


class _CrashError(Exception):
    """Stands for a process that ends here."""


class _CrashingQueue(MemoryQueue):
    """Fails once where it is told to, before anything is enqueued."""

    crash = False

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        if self.crash:
            self.crash = False
            raise _CrashError
        return super().enqueue(*jobs)


def test_what_a_crash_left_between_two_steps_is_taken_up_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            b.queue = _CrashingQueue()
            b.publisher = Publisher(b.catalog, b.queue, b.zones)
            version_id = await b.version()
            b.queue.crash = True
            with pytest.raises(_CrashError):
                await b.publisher.start(version_id)
            assert await b.publisher.reconcile() == 1
            lease = b.claim()
            assert lease is not None, "the plan job was put into the queue after all"
            plan = make_plan(film())
            report = Planned(version_id=version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=plan)
            b.queue.crash = True
            with pytest.raises(_CrashError):
                await b.publisher.take(report)
            assert b.claim() is None
            await b.publisher.reconcile()
            await b.publisher.reconcile()  # twice is harmless
            leases = b.leases()
            assert sorted(part.index for _, part in leases) == [part.index for part in plan.parts]
            for lease, part in leases:
                await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"
            assert await b.publisher.reconcile() == 0

    asyncio.run(scenario())


def test_nothing_is_ordered_of_a_film_that_was_removed_for_good_meanwhile(tmp_path: Path) -> None:
    """Between a report and the orders that follow from it: as everywhere, that is told as a preview that is no more."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            orders = Orders(b.catalog, b.queue, Nursery())
            for order in (orders.plan, orders.parts):
                with pytest.raises(PreviewNotFoundError):
                    await order(uuid7())
            assert b.queue.list() == []

    asyncio.run(scenario())


def test_a_job_that_died_without_a_word_fails_its_preview(tmp_path: Path) -> None:
    """A worker that is killed at every attempt reports nothing; the preview must not wait for ever."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            await b.plan(version_id, film(6))
            for lease, _ in b.leases():
                b.queue.bury(lease, reason="the lease ran out 5 times")
            await b.publisher.reconcile()
            preview = (await b.publisher.state(version_id)).preview
            assert (preview.status, preview.failure_code) == ("failed", "previews.gave_up")
            assert "the lease ran out" in str(preview.failure)

    asyncio.run(scenario())


def test_a_plan_whose_job_died_once_it_was_there_fails_nothing(tmp_path: Path) -> None:
    """Its worker was killed at the last attempt, between its report and the end of the job."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            await b.publisher.start(version_id)
            lease = b.claim()
            assert lease is not None
            plan = make_plan(film(6))
            planned = Planned(version_id=version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=plan)
            await b.publisher.take(planned)
            b.queue.bury(lease, reason="the lease of the last attempt ran out")
            await b.publisher.reconcile()
            assert await b.status(version_id) == "building"
            for lease, part in b.leases():
                await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())


def test_one_preview_that_cannot_be_looked_after_keeps_no_other_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However many there are, and although nothing is wrong with most."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            broken, *others = [await b.version() for _ in range(3)]
            await b.plan(broken, film(6))
            async with b.catalog.begin() as session:
                preview = await db.preview_of(session, broken, for_update=True)
                preview.plan, preview.job_id = {"of": "a later version"}, None
                for part in await db.parts_of(session, broken):
                    part.job_id = None
            page = db.unfinished_previews
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(db, "unfinished_previews", partial(page, limit=1))
                assert await b.publisher.reconcile() == 3
            waiting = {job.payload["version_id"] for job in b.queue.list(state="waiting") if job.kind == PLAN_JOB}
            assert waiting == set(map(str, others))

    asyncio.run(scenario())
    assert "cannot be looked after" in caplog.text


def test_what_waits_costs_a_look_and_no_writing(tmp_path: Path) -> None:
    """Ten thousand films that wait for a worker are looked at again and again."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            planned = await b.version()
            await b.plan(planned, film(60))
            waiting = await b.version()
            await b.publisher.start(waiting)
            before = [await b.publisher.revision(each) for each in (planned, waiting)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(b.queue, "enqueue", None)
                patch.setattr(b.catalog, "begin", None)
                assert await b.publisher.reconcile() == 2
            assert [await b.publisher.revision(each) for each in (planned, waiting)] == before

    asyncio.run(scenario())


def test_a_queue_that_is_away_is_said_and_not_logged_for_each_preview(tmp_path: Path) -> None:
    class Away(MemoryQueue):
        def get(self, job_id: UUID) -> Job:
            raise QueueUnavailableError("gone")

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await b.publisher.start(await b.version())
            with pytest.raises(QueueUnavailableError):
                await Publisher(b.catalog, Away(), b.zones).reconcile()

    asyncio.run(scenario())


def test_thousands_of_films_of_one_user_stop_nobody_elses() -> None:
    """A film that is watched while it grows needs its later parts: it gets half of what is done."""
    queue, plan = MemoryQueue(), make_plan(film(1800), part_segments=2)
    for films in range(1, 2001):
        queue.enqueue(NewJob(kind=PLAN_JOB, payload={"of": "many"}, priority=turn(films)))
    for place, part in enumerate(in_order(plan.parts)):
        queue.enqueue(NewJob(kind=PART_JOB, payload={"of": "one"}, priority=priority_of(part, place, 1)))
    order = []
    while (lease := queue.claim("worker", lease=timedelta(minutes=5))) is not None:
        order.append(lease.job.payload["of"])
        queue.complete(lease)
    ends = max(place for place, of in enumerate(order) if of == "one")
    assert order[: ends + 1].count("many") <= len(plan.parts) + 12


def test_a_cancelled_job_fails_its_preview_which_can_be_tried_again(tmp_path: Path) -> None:
    """An operator who takes a job out does not see it come back by itself."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            await b.plan(version_id, film(6))
            b.queue.cancel(b.queue.list(state="waiting")[0].id)
            await b.publisher.reconcile()
            preview = (await b.publisher.state(version_id)).preview
            assert (preview.status, preview.failure_code) == ("failed", "previews.cancelled")
            await b.publisher.restart(version_id)
            await b.publisher.reconcile()
            assert await b.status(version_id) == "building"

    asyncio.run(scenario())


def test_reports_at_once_lose_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(120))
            reports = [finished(version_id, lease, plan, part) for lease, part in b.leases()]
            await asyncio.gather(*(b.publisher.take(report) for report in reports for _ in range(2)))
            assert await b.status(version_id) == "ready"
            assert b.playlists()["360p/index.m3u8"].count("#EXTINF") == plan.segment_count

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(2))
def test_two_coordinators_publish_as_one(tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Each hears of some parts only, of some both at once, and both look after what is unfinished all the while."""
    caplog.set_level("INFO", logger="mamkit.previews.publisher")

    async def scenario() -> None:
        shuffle = random.Random(seed)
        async with bench(tmp_path) as b, Catalog(f"sqlite:///{tmp_path / 'catalog.db'}") as catalog:
            version_id = await b.version()
            plan = await b.plan(version_id, film(36))
            both = (b.publisher, Publisher(catalog, b.queue, b.zones))
            leases = b.leases()
            shuffle.shuffle(leases)
            while leases:
                taken = [leases.pop() for _ in range(min(len(leases), shuffle.randint(1, 4)))]
                tellings = [(shuffle.choice(both), each) for each in taken]
                tellings += [(shuffle.choice(both), each) for each in taken if shuffle.random() < 0.5]
                await asyncio.gather(
                    *(publisher.take(finished(version_id, lease, plan, part)) for publisher, (lease, part) in tellings),
                    *(publisher.reconcile() for publisher in both if shuffle.random() < 0.3),
                )
                for lease, _ in taken:
                    b.queue.complete(lease)
            assert await b.status(version_id) == "ready"
            assert b.playlists()["360p/index.m3u8"].count("#EXTINF") == plan.segment_count
            assert [await publisher.reconcile() for publisher in both] == [0, 0]
        said = [record.getMessage() for record in caplog.records if "is published" in record.getMessage()]
        assert len(said) == len(plan.parts)

    asyncio.run(scenario())


def test_nobody_waits_for_the_artwork(tmp_path: Path) -> None:
    """It comes after what makes the film playable; all can be played without it, and with it the preview is ready."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(40))
            leases = b.leases()
            [(lease, part)] = [found for found in leases if found[1].kind == "artwork"]
            assert lease.job.priority > leases[0][0].job.priority
            leases.remove((lease, part))
            for other, encoded in leases:
                await b.publisher.take(finished(version_id, other, plan, encoded))
            assert await b.status(version_id) == "playable"
            assert b.playlists()["360p/index.m3u8"].count("#EXTINF") == plan.segment_count
            await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"
            assert "#EXT-X-ENDLIST" in b.playlists()["360p/index.m3u8"]

    asyncio.run(scenario())


def test_a_manifest_is_published_once_all_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(20))
            published = []
            for lease, part in b.leases():
                await b.publisher.take(finished(version_id, lease, plan, part))
                manifests = [i for i in b.zones.previews.list("previews/") if i.key.endswith("/manifest.mpd")]
                published.append((await b.status(version_id), [info.content_type for info in manifests]))
            assert ("playable", []) in published
            assert published[-1] == ("ready", ["application/dash+xml"])
            assert all(not types for status, types in published if status != "ready")

    asyncio.run(scenario())


def test_a_film_without_sound_needs_no_sound(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(12, sound=False))
            for lease, part in b.leases():
                await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"
            assert not any("audio" in name for name in b.playlists())

    asyncio.run(scenario())


def test_a_holder_may_speak_of_its_own_job_only(tmp_path: Path) -> None:
    """A valid lease of one part is no licence to finish another part, or another preview."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            mine, other = await b.version(), await b.version()
            plan = await b.plan(mine, film(20))
            [(lease, part), (_, second), *_] = b.leases()
            await b.plan(other, film(20))
            for report in (
                finished(other, lease, plan, part),
                finished(mine, lease, plan, second),
                Planned(version_id=mine, job_id=lease.job.id, fence=lease.fence, facts={}, plan=plan),
                Failed(version_id=other, job_id=lease.job.id, fence=lease.fence, code="x.y", message="no"),
            ):
                with pytest.raises(StaleReportError):
                    await b.publisher.take(report)
            assert [await b.status(version_id) for version_id in (mine, other)] == ["building", "building"]
            assert {part.status for part in await b.parts(mine)} == {"waiting"}

    asyncio.run(scenario())


def test_parts_that_do_not_join_are_never_published_together(tmp_path: Path) -> None:
    """Two workers of different versions: the preview fails with the reason, and is built anew from nothing."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(20, sound=False))
            [(first, one), (second, two), *_] = b.leases()
            await b.publisher.take(finished(version_id, first, plan, one))
            foreign = finished(version_id, second, plan, two)
            inits = tuple(init.model_copy(update={"sha256": "2" * 64}) for init in foreign.result.inits)
            await b.publisher.take(
                foreign.model_copy(update={"result": foreign.result.model_copy(update={"inits": inits})})
            )
            preview = (await b.publisher.state(version_id)).preview
            assert (preview.status, preview.failure_code) == ("failed", "previews.parts_disagree")
            assert b.playlists()["360p/index.m3u8"].count("#EXTINF") == 1
            await b.publisher.restart(version_id)
            assert await b.status(version_id) == "queued"

    asyncio.run(scenario())


def test_the_revision_grows_with_every_change(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            seen = [await b.publisher.revision(version_id)]
            plan = await b.plan(version_id, film(6))
            seen.append(await b.publisher.revision(version_id))
            for lease, part in b.leases():
                await b.publisher.take(finished(version_id, lease, plan, part))
                seen.append(await b.publisher.revision(version_id))
            assert seen == sorted(set(seen))
            assert (await b.publisher.state(version_id)).progress == 1.0

    asyncio.run(scenario())


def test_films_take_turns_and_so_do_users(tmp_path: Path) -> None:
    """A film of an hour waits for no film of a day to end, and whoever has one film for no one who has many."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            ada = await b.user()
            long, other, short = await b.version(ada), await b.version(ada), await b.version()
            await b.plan(long, film(600))
            await b.plan(other, film(600))
            await b.plan(short, film(60))
            order = [PartJob.model_validate(lease.job.payload) for lease, _ in b.leases()]
            later = [job for job in order if job.part.start > 0]
            first = {job.version_id for job in order[:4]}
            assert {short, long} <= first, "what makes the first film of each playable comes first"
            ends = max(place for place, job in enumerate(later) if job.version_id == short)
            before = [job.version_id for job in later[:ends]]
            assert abs(before.count(short) - before.count(long) - before.count(other)) <= 3

    asyncio.run(scenario())


def test_parts_that_come_in_quickly_are_published_together_and_none_is_held_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film(120, sound=False))
            leases = [found for found in b.leases() if found[1].kind == "video"]
            for lease, part in leases[:-1]:
                await b.publisher.take(finished(version_id, lease, plan, part))
            assert b.playlists()["360p/index.m3u8"].count("#EXTINF") < leases[-1][1].start
            # No part follows; whoever looks after previews publishes what is there, on a busy machine somewhat later.
            async with asyncio.timeout(60):
                while b.playlists()["360p/index.m3u8"].count("#EXTINF") < leases[-1][1].start:
                    await asyncio.sleep(0.2)
                    await b.publisher.reconcile()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "twist",
    [
        lambda made: {"segments": [each.model_copy(update={"rendition": "../../masters/x"}) for each in made.segments]},
        lambda made: {"inits": [*made.inits, made.inits[0].model_copy(update={"rendition": "4320p"})]},
        lambda made: {"segments": [*made.segments, made.segments[0].model_copy(update={"index": 5})]},
        lambda made: {"segments": [*made.segments, made.segments[0]]},
    ],
    ids=["a strange name", "a strange rendition", "of another part", "twice"],
)
def test_what_cannot_have_come_of_a_part_is_refused_and_stops_no_film(
    tmp_path: Path, twist: Callable[[PartResult], dict[str, object]]
) -> None:
    """Of a worker that errs, or of somebody who has its secret: recorded, it would keep the film from ever growing."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await b.version()
            plan = await b.plan(version_id, film())
            (lease, part), *others = b.leases()
            honest = finished(version_id, lease, plan, part)
            false = honest.model_copy(update={"result": honest.result.model_copy(update=twist(honest.result))})
            with pytest.raises(InvalidMessageError):
                await b.publisher.take(false)
            assert [each.status for each in await b.parts(version_id)].count("done") == 0
            await b.publisher.take(honest)
            for lease, part in others:
                await b.publisher.take(finished(version_id, lease, plan, part))
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())
