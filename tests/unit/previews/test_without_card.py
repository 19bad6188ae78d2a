"""Films that a card has begun in HEVC or AV1: if no card goes on with them they are made anew, and never mixed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.jobs import Lease, MemoryQueue, NewJob
from mamkit.previews import Card, Failed, PlanJob, Planned, Publisher
from mamkit.previews._card_watch import CardWatch
from mamkit.previews.messages import PART_JOB, PLAN_JOB, SHARED_JOB, is_for_card, part_kind
from mamkit.previews.publisher import CARD_WAIT
from mamkit.transcode import Codec, Plan, make_plan
from tests.unit.previews.bench import LEASE, Bench, bench
from tests.unit.previews.test_publisher import film, finished

MARK = "0123456789abcdef"
HEVC = f"preview.part.card.hevc-{MARK}"
AT_ONCE = timedelta(0)


@asynccontextmanager
async def begun(
    folder: Path, *, card_wait: timedelta = CARD_WAIT, queue: MemoryQueue | None = None
) -> AsyncIterator[tuple[Bench, UUID, Plan]]:
    """Give a platform with a version whose film was planned, in HEVC, for a card."""
    async with bench(folder) as b:
        b.queue = queue or b.queue
        b.publisher = publisher(b, card_wait)
        version_id = await b.version()
        await b.publisher.start(version_id)
        yield b, version_id, await planned(b, version_id, card=True)


def publisher(b: Bench, card_wait: timedelta) -> Publisher:
    """Return one more publisher of a platform."""
    return Publisher(b.catalog, b.queue, b.zones, card_wait=card_wait)


async def planned(b: Bench, version_id: UUID, *, card: bool) -> Plan:
    lease = b.queue.claim("planner", kinds=[PLAN_JOB], lease=LEASE)
    assert lease is not None
    plan = make_plan(film(40), part_segments=2, codecs=["hevc"])
    if card:
        headers = {rendition.name: b"header" for rendition in plan.video}
        plan = plan.model_copy(
            update={"devices": {"hevc": "nvenc"}, "marks": {"hevc": MARK}, "shared_headers": headers}
        )
    report = Planned(version_id=version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=plan)
    await b.publisher.take(report)
    b.queue.complete(lease)
    return plan


def claimed(b: Bench, *kinds: str) -> Lease:
    lease = b.queue.claim("worker", kinds=kinds, lease=LEASE)
    assert lease is not None
    return lease


def wanted(b: Bench) -> PlanJob:
    """Return what the one planner that is waited for is asked for."""
    [job] = [job for job in b.queue.list(state="waiting") if job.kind == PLAN_JOB]
    return PlanJob.model_validate(job.payload)


def waiting(b: Bench) -> set[str]:
    return {job.kind for job in b.queue.list(state="waiting")}


async def to_its_end(b: Bench, version_id: UUID) -> None:
    """Plan what begins anew, and make it as workers without a card do."""
    assert wanted(b).by_processor
    plan = await planned(b, version_id, card=False)
    assert waiting(b) == {PART_JOB}
    for lease, part in b.leases():
        await b.publisher.take(finished(version_id, lease, plan, part))
    assert await b.status(version_id) == "ready"


@pytest.mark.parametrize(
    ("codecs", "kind"),
    [
        ((), PART_JOB),
        (("h264",), SHARED_JOB),
        (("hevc",), HEVC),
        (("h264", "hevc"), HEVC),
        (("av1",), f"preview.part.card.av1-{MARK}"),
        (("hevc", "av1"), f"preview.part.card.av1-{MARK}.hevc-{MARK}"),
    ],
)
def test_the_kind_of_a_job_says_who_can_do_it(codecs: tuple[Codec, ...], kind: str) -> None:
    found = {"devices": dict.fromkeys(codecs, "nvenc"), "marks": dict.fromkeys(codecs, MARK)}
    plan = make_plan(film(20)).model_copy(update=found)
    assert {part.kind: part_kind(plan, part) for part in plan.parts} == {
        "video": kind, "audio": PART_JOB, "artwork": PART_JOB,
    }  # fmt: skip
    if kind not in {PART_JOB, SHARED_JOB}:
        assert is_for_card(kind)
        assert kind in Card(lambda: dict.fromkeys(("h264", "hevc", "av1"), MARK), sessions=1).kinds


def test_nobody_without_the_card_is_given_its_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path) as (b, _, _):
            assert waiting(b) == {HEVC, PART_JOB}

    asyncio.run(scenario())


def test_a_film_whose_card_is_gone_is_made_by_processors(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path, card_wait=AT_ONCE) as (b, version_id, plan):
            first, lease = await b.prefix(version_id), claimed(b, HEVC)
            await b.publisher.reconcile()
            assert await b.status(version_id) == "building"  # somebody works on it
            part = next(part for part in plan.parts if part.index == lease.job.payload["part"]["index"])
            await b.publisher.take(finished(version_id, lease, plan, part))
            b.queue.complete(lease)
            await b.publisher.reconcile()
            assert await b.status(version_id) == "queued"
            assert waiting(b) == {PLAN_JOB}  # nothing waits in the queue for ever
            await to_its_end(b, version_id)
            assert await b.prefix(version_id) != first

    asyncio.run(scenario())


def test_it_waits_for_a_card_as_long_as_was_said() -> None:
    queue, now = MemoryQueue(), 0.0
    watch = CardWatch(queue, timedelta(seconds=300), lambda: now)
    queue.enqueue(NewJob(kind=HEVC, payload={}), NewJob(kind=HEVC, payload={}))

    def looks(count: int, *, every: float = 10) -> list[bool]:
        nonlocal now
        found = []
        for _ in range(count):
            now += every
            watch.begin()
            [job, *_] = queue.list(state="waiting")
            found.append(watch.is_in_vain(job))
        return found

    assert looks(31) == [False] * 30 + [True]
    lease = queue.claim("card", kinds=[HEVC], lease=LEASE)
    assert lease is not None
    assert looks(100) == [False] * 100  # one of them is being made
    queue.complete(lease)
    assert looks(31) == [False] * 29 + [True] * 2
    for _ in range(2):
        watch.begin()  # and nothing waited
    assert looks(1, every=10_000) == [False]


def test_a_part_that_was_handed_back_for_later_is_a_sign_of_life() -> None:
    clock = [0.0]
    queue = MemoryQueue()
    watch = CardWatch(queue, timedelta(seconds=300), lambda: clock[0])
    queue.enqueue(NewJob(kind=HEVC, payload={}, delay=timedelta(minutes=5)))
    [job] = queue.list()
    assert not watch.is_in_vain(job)
    clock[0] += 1000
    assert not watch.is_in_vain(job)


def test_what_a_card_fails_at_is_made_by_processors_and_fails_only_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path) as (b, version_id, _):
            lease = claimed(b, HEVC)
            failed = Failed(
                version_id=version_id, job_id=lease.job.id, fence=lease.fence, code="transcode.encode", message="no"
            )
            assert (await b.publisher.take(failed)).wanted
            assert await b.status(version_id) == "queued"
            assert not b.queue.holds(lease.job.id, lease.fence)  # whoever holds it has lost it
            await planned(b, version_id, card=False)
            lease = claimed(b, PART_JOB)
            failed = failed.model_copy(update={"job_id": lease.job.id, "fence": lease.fence})
            await b.publisher.take(failed)
            assert await b.status(version_id) == "failed"

    asyncio.run(scenario())


def test_a_part_that_killed_its_workers_sends_the_film_to_processors(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path) as (b, version_id, _):
            b.queue.bury(claimed(b, HEVC), reason="its lease ran out")
            await b.publisher.reconcile()
            await to_its_end(b, version_id)

    asyncio.run(scenario())


def test_an_operator_who_cancels_a_part_has_the_last_word(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path) as (b, version_id, _):
            [job, *_] = [job for job in b.queue.list() if job.kind == HEVC]
            b.queue.cancel(job.id)
            await b.publisher.reconcile()
            assert await b.status(version_id) == "failed"

    asyncio.run(scenario())


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", range(8))
def test_a_crash_between_any_two_steps_is_mended_by_the_next_look(tmp_path: Path, step: int) -> None:
    """The API dies before its n-th word to queue or catalog; another one, without patience, goes on."""

    class Dying(MemoryQueue):
        left = step

        def cancel(self, job_id: UUID) -> None:
            self._step()
            super().cancel(job_id)

        def enqueue(self, *jobs: NewJob) -> list[UUID]:
            if any(PlanJob.model_validate(job.payload).by_processor for job in jobs if job.kind == PLAN_JOB):
                self._step()
            return super().enqueue(*jobs)

        def _step(self) -> None:
            if self.left == 0:
                self.left = -1
                raise Killed
            self.left -= 1

    async def scenario() -> None:
        async with begun(tmp_path, card_wait=AT_ONCE, queue=Dying()) as (b, version_id, _):
            died = False
            try:
                await b.publisher.reconcile()
            except Killed:
                died = True
            assert died or step >= 6  # it has five parts of pictures and two others
            b.publisher = publisher(b, timedelta(days=1))
            for _ in range(2):
                await b.publisher.reconcile()
            assert await b.status(version_id) == "queued"
            assert waiting(b) == {PLAN_JOB}
            await to_its_end(b, version_id)

    asyncio.run(scenario())


def test_two_apis_that_find_it_out_at_once_begin_it_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path, card_wait=AT_ONCE) as (b, version_id, _):
            other = publisher(b, AT_ONCE)
            await asyncio.gather(b.publisher.reconcile(), other.reconcile())
            await asyncio.gather(b.publisher.reconcile(), other.reconcile())
            assert await b.status(version_id) == "queued"
            async with b.catalog.read() as session:
                assert (await db.preview_of(session, version_id)).generation == 2
            await to_its_end(b, version_id)

    asyncio.run(scenario())


def test_a_late_plan_for_a_card_is_not_taken_once_there_is_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path, card_wait=AT_ONCE) as (b, version_id, _):
            await b.publisher.reconcile()
            await planned(b, version_id, card=True)
            assert await b.status(version_id) == "queued"
            await b.publisher.rebuild(version_id)  # nothing: it is being built
            await b.publisher.reconcile()
            await to_its_end(b, version_id)

    asyncio.run(scenario())


def test_a_rebuild_may_have_a_card_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with begun(tmp_path, card_wait=AT_ONCE) as (b, version_id, _):
            await b.publisher.reconcile()
            await to_its_end(b, version_id)
            await b.publisher.rebuild(version_id)
            assert not wanted(b).by_processor

    asyncio.run(scenario())
