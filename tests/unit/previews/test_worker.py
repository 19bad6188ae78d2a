"""The worker: what becomes of a job, whatever the file, the API and the process do."""

import asyncio
import hashlib
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from mamkit.jobs import Job, Lease, NewJob, Queue
from mamkit.previews import (
    Ack,
    Failed,
    Finished,
    Planned,
    PlanPolicy,
    PreviewWorker,
    Progress,
    Report,
    ReportNotTakenError,
    Room,
    builder,
    room,
)
from mamkit.storage import ByteRange, LocalStore, MemoryStore, ObjectStore, staging_key
from mamkit.storage._body import FileBody
from mamkit.transcode import Children, EncodeError, Part, PartResult, Plan, Segment, Sink, encode_part
from tests.media_factory import make_clip
from tests.unit.previews.bench import Bench, bench
from tests.unit.transcode.test_photo import photo

Answer = Callable[[Report], Ack]


async def upload(b: Bench, data: bytes, *, again: int = 0) -> UUID:
    """Stage and promote an upload of a new user; return its version."""
    user_id = await b.user()
    presigned_id = UUID(int=int.from_bytes(hashlib.sha256(data).digest()[:16]) ^ again)
    asset = await b.ingest.record(user_id, presigned_id, title="A film", filename="film.mp4")
    b.zones.staging.put(staging_key(user_id, presigned_id, "mp4"), data)
    return (await b.ingest.promote(asset)).id


async def work(
    b: Bench, *, through: Callable[[Report, Answer], Ack] | None = None, stop: threading.Event | None = None
) -> None:
    """Let a worker do all that waits; its reports go to the publisher, or first through a function."""
    loop = asyncio.get_running_loop()

    def deliver(report: Report) -> Ack:
        return asyncio.run_coroutine_threadsafe(b.publisher.take(report), loop).result()

    def report(report: Report) -> Ack:
        return deliver(report) if through is None else through(report, deliver)

    worker = PreviewWorker("worker-1", queue=b.queue, zones=b.zones, report=report, lease=timedelta(seconds=30))
    stop = stop or threading.Event()

    def run() -> None:
        with closing(worker):
            while worker.run_once(stop) and not stop.is_set():
                pass

    await asyncio.to_thread(run)


def until(so: Callable[[], bool]) -> None:
    """Return as soon as something is so."""
    while not so():
        time.sleep(0.01)


def jobs(queue: Queue, kind: str = "") -> list[Job]:
    return [job for job in queue.list() if job.kind.startswith(kind)]


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "objects")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = make_clip(tmp_path_factory.mktemp("clip") / "film.mp4", seconds=8, b_frames=2)
    return path.read_bytes()


def test_a_film_becomes_a_preview_from_any_store(tmp_path: Path, store: ObjectStore, clip: bytes) -> None:
    seen: list[str] = []

    async def scenario() -> None:
        async with bench(tmp_path, store) as b:
            version_id = await upload(b, clip)

            def watch(report: Report, deliver: Answer) -> Ack:
                ack = deliver(report)
                seen.append(report.type)
                return ack

            await work(b, through=watch)
            state = await b.publisher.state(version_id)
            assert (state.preview.status, state.progress) == ("ready", 1.0)
            assert {job.state for job in jobs(b.queue)} == {"done"}
            assert "#EXT-X-STREAM-INF" in b.playlists()["index.m3u8"]

    asyncio.run(scenario())
    assert seen[0] == "planned"
    assert seen.count("finished") == 4  # the first segment, the sound, the rest, the artwork
    pictures = {
        info.key.rpartition("/")[2]: info.content_type for info in store.list("previews/") if "/art/" in info.key
    }
    assert pictures == {
        "poster.jpg": "image/jpeg",
        "storyboard.vtt": "text/vtt",
        "storyboard_000.jpg": "image/jpeg",
        "waveform.json": "application/json",
        "waveform.png": "image/png",
    }


class Watched(Children):
    """Child processes, with what each was given to open."""

    opened: ClassVar[dict[int, list[str]]]

    def take(self, bounds: object = None) -> "subprocess.Popen[bytes]":
        taken = super().take(bounds)
        assert isinstance(bounds, tuple)
        source = bounds[0]
        self.opened.setdefault(taken.pid, []).append(str(getattr(source, "_identity", source)))
        return taken


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[str]]:
    """What the children of all rooms have opened, by their process id."""
    Watched.opened = {}
    monkeypatch.setattr(room, "Children", Watched)
    return Watched.opened


def test_an_image_and_its_pictures_are_one_childs_work(tmp_path: Path, opened: dict[int, list[str]]) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, photo(tmp_path / "in.jpg").read_bytes())
            await work(b)
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())
    [pieces] = opened.values()
    assert len(pieces) == 2


def test_one_child_makes_a_film_and_opens_nobody_elses(
    tmp_path: Path, store: ObjectStore, opened: dict[int, list[str]]
) -> None:
    """Two users' films take turns: even of the same bytes, each has a child of its own, from the probe to the end."""
    short = make_clip(tmp_path / "film.mp4", seconds=2).read_bytes()

    async def scenario() -> None:
        async with bench(tmp_path, store) as b:
            versions = [await upload(b, short), await upload(b, short, again=1)]
            await work(b)
            assert [await b.status(version_id) for version_id in versions] == ["ready", "ready"]

    asyncio.run(scenario())
    assert [len(pieces) for pieces in opened.values()] == [4, 4]  # the probe, pictures, sound, artwork
    assert [len(set(pieces)) for pieces in opened.values()] == [1, 1]
    assert len({piece for pieces in opened.values() for piece in pieces}) == 2


def test_what_the_probe_has_read_is_not_read_again(tmp_path: Path) -> None:
    short = make_clip(tmp_path / "film.mp4", seconds=2).read_bytes()

    class Counting(MemoryStore):
        read = 0

        def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
            if key.startswith("masters/") and byte_range is not None:
                Counting.read += (byte_range.stop or 0) - byte_range.start
            return super().get(key, byte_range)

    async def scenario() -> None:
        async with bench(tmp_path, Counting()) as b:
            await upload(b, short)
            await work(b)

    asyncio.run(scenario())
    assert Counting.read == len(short), "probe, pictures, sound and artwork"


def test_what_is_no_film_fails_at_once_with_its_reason_and_is_not_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, b"This is no film.\n" * 100)
            await work(b)
            preview = (await b.publisher.state(version_id)).preview
            assert (preview.status, preview.failure_code) == ("failed", "transcode.no_media")
            [job] = jobs(b.queue)
            assert (job.state, job.attempts) == ("dead", 1)

    asyncio.run(scenario())


def test_an_api_that_does_not_answer_costs_a_retry_and_nothing_else(tmp_path: Path, clip: bytes) -> None:
    failures = 3

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)

            def flaky(report: Report, deliver: Answer) -> Ack:
                nonlocal failures
                if isinstance(report, Finished) and failures:
                    failures -= 1
                    raise ReportNotTakenError("no answer")
                return deliver(report)

            deadline = asyncio.get_running_loop().time() + 60
            while await b.status(version_id) != "ready":  # retries wait for up to some seconds
                assert asyncio.get_running_loop().time() < deadline
                await work(b, through=flaky)
                await asyncio.sleep(0.05)
            assert max(job.attempts for job in jobs(b.queue)) >= 2

    asyncio.run(scenario())


def test_a_report_whose_answer_was_lost_is_harmless(tmp_path: Path, clip: bytes) -> None:
    """The API took the report, but the worker never learned of it: the part is found done and not encoded again."""
    reports: list[Report] = []
    lost = 1

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)

            def lose(report: Report, deliver: Answer) -> Ack:
                nonlocal lost
                reports.append(report)
                ack = deliver(report)
                if isinstance(report, Finished) and lost:
                    lost -= 1
                    raise ReportNotTakenError("the answer was lost")
                return ack

            while any(job.state in {"waiting", "running"} for job in jobs(b.queue)):
                await work(b, through=lose)
                await asyncio.sleep(0.05)
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())
    finished = [report.result.part for report in reports if isinstance(report, Finished)]
    assert sorted(finished) == [0, 1, 2, 3], "no part was encoded twice"


def test_a_worker_that_is_told_to_stop_hands_its_job_back_unharmed(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)
            stop = threading.Event()

            def stop_in_the_middle(report: Report, deliver: Answer) -> Ack:
                ack = deliver(report)
                if isinstance(report, Progress):
                    stop.set()
                return ack

            await work(b, through=stop_in_the_middle, stop=stop)
            waiting = [job for job in jobs(b.queue, "preview.part") if job.state == "waiting"]
            assert len(waiting) == 4
            assert {job.attempts for job in waiting} == {0}
            await work(b)
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())


def test_artwork_that_cannot_be_made_spoils_no_preview(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(source: Path, plan: Plan, part: Part, sink: Sink, **options: Any) -> PartResult:
        if part.kind == "artwork":
            raise EncodeError("no room for a picture")
        return encode_part(source, plan, part, sink, **options)

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)
            monkeypatch.setattr(builder, "encode_part", encode)
            monkeypatch.setattr(builder, "backoff", lambda _: timedelta(0))
            deadline = asyncio.get_running_loop().time() + 60
            while await b.status(version_id) != "ready":
                assert asyncio.get_running_loop().time() < deadline
                await work(b)
            [given_up] = [job for job in jobs(b.queue) if job.state == "dead"]
            assert "no room for a picture" in (given_up.reason or "")

    asyncio.run(scenario())


def test_a_failed_preview_stops_the_parts_that_are_under_way(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)
            failed = False

            def fail(report: Report, deliver: Answer) -> Ack:
                nonlocal failed
                if isinstance(report, Progress) and not failed:
                    failed = True
                    deliver(
                        Failed(
                            version_id=report.version_id,
                            job_id=report.job_id,
                            fence=report.fence,
                            code="x.y",
                            message="no",
                        )
                    )
                return deliver(report)

            await work(b, through=fail)
            assert await b.status(version_id) == "failed"
            assert {job.state for job in jobs(b.queue)} == {"done"}
            assert not any(info.key.endswith(".m4s") for info in b.zones.previews.list("previews/"))

    asyncio.run(scenario())


def test_a_worker_that_lost_its_lease_changes_nothing(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)
            thief: list[Lease] = []

            def steal(report: Report, deliver: Answer) -> Ack:
                if isinstance(report, Finished) and not thief:
                    b.queue.cancel(report.job_id)
                    b.queue.requeue(report.job_id)
                    thief.extend(lease for lease, _ in b.leases())
                    assert report.job_id in {lease.job.id for lease in thief}
                return deliver(report)

            await work(b, through=steal)
            assert await b.status(version_id) == "building"
            assert not any(part.status == "done" for part in await b.parts(version_id))
            for lease in thief:
                b.queue.release(lease)
            await work(b)
            assert await b.status(version_id) == "ready"

    asyncio.run(scenario())


def test_a_defect_in_the_worker_is_bounded_and_named(
    tmp_path: Path, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)

            def break_down(report: Report, deliver: Answer) -> Ack:
                if isinstance(report, Failed):
                    return deliver(report)
                raise ZeroDivisionError("a defect")

            deadline = asyncio.get_running_loop().time() + 90
            while await b.status(version_id) != "failed":
                assert asyncio.get_running_loop().time() < deadline
                await work(b, through=break_down)
                await asyncio.sleep(0.05)
            assert (await b.publisher.state(version_id)).preview.failure_code == "previews.worker_failed"
            [job] = jobs(b.queue)
            assert (job.state, job.attempts) == ("dead", job.max_attempts)

    asyncio.run(scenario())
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("payload", [{}, {"version_id": "none"}, {"version_id": [1]}, {"part": {"kind": "video"}}])
def test_a_job_that_nobody_understands_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: dict[str, Any]
) -> None:
    monkeypatch.setattr(builder, "MOST_LEASES", 0)
    monkeypatch.setattr(builder, "backoff", lambda _: timedelta(0))

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            [job_id] = b.queue.enqueue(NewJob(kind="preview.part", payload=payload))
            await work(b)
            job = b.queue.get(job_id)
            assert (job.state, job.attempts) == ("dead", job.max_attempts)
            assert "previews.invalid_message" in (job.reason or "")

    asyncio.run(scenario())


def test_a_job_that_a_later_version_understands_is_handed_back_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            [job_id] = b.queue.enqueue(NewJob(kind="preview.part", payload={"more": 1}))
            await work(b)
            job = b.queue.get(job_id)
            assert (job.state, job.attempts) == ("waiting", 0)
            assert f"job {job_id} is handed back: previews.invalid_message" in caplog.text

    asyncio.run(scenario())


def test_segments_are_in_the_store_before_they_are_published(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await upload(b, clip)

            def check(report: Report, deliver: Answer) -> Ack:
                ack = deliver(report)
                there = {"/".join(info.key.split("/")[3:]) for info in b.zones.previews.list("previews/")}
                for name, text in b.playlists().items():
                    folder = name.rpartition("/")[0]
                    for line in text.splitlines():
                        if line and not line.startswith("#"):
                            assert f"{folder}/{line}".lstrip("/") in there
                return ack

            await work(b, through=check)

    asyncio.run(scenario())


def test_the_preview_lasts_as_long_as_the_film(tmp_path: Path, clip: bytes) -> None:
    results: list[Segment] = []

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await upload(b, clip)

            def collect(report: Report, deliver: Answer) -> Ack:
                if isinstance(report, Finished):
                    results.extend(report.result.segments)
                return deliver(report)

            await work(b, through=collect)

    asyncio.run(scenario())
    for name in {segment.rendition for segment in results}:
        assert sum(segment.duration for segment in results if segment.rendition == name) == pytest.approx(
            Fraction(8), abs=0.05
        )


def test_a_part_that_does_not_fit_is_handed_back_unharmed_and_done_when_there_is_room(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, **more: Any) -> PartResult:
        began.set()
        assert go_on.wait(60)
        return encode_part(*arguments, **more)

    monkeypatch.setattr(builder, "encode_part", slow)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)

            def report(report: Report) -> Ack:
                return asyncio.run_coroutine_threadsafe(b.publisher.take(report), loop).result()

            room = Room(1)  # nothing fits beside anything
            workers = [PreviewWorker(f"w{n}", queue=b.queue, zones=b.zones, report=report, room=room) for n in range(2)]
            stop = threading.Event()
            assert await asyncio.to_thread(workers[0].run_once, stop)  # the plan
            first = asyncio.create_task(asyncio.to_thread(workers[0].run_once, stop))
            await asyncio.to_thread(began.wait, 60)
            second = asyncio.create_task(asyncio.to_thread(workers[1].run_once, stop))
            await asyncio.to_thread(until, lambda: room.awaited)
            [in_hand] = [job for job in jobs(b.queue) if job.state == "running"]
            assert all(job.attempts == 0 for job in jobs(b.queue, "preview.part") if job.id != in_hand.id)
            go_on.set()
            assert await first
            assert await second
            for worker in workers:
                while await asyncio.to_thread(worker.run_once, stop):
                    pass
                worker.close()
            assert await b.status(version_id) == "ready"
            assert {job.attempts for job in jobs(b.queue)} == {1}

    asyncio.run(scenario())


def test_what_an_operator_decides_is_what_a_plan_holds(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await upload(b, clip)
            policy = PlanPolicy(codecs=("h264", "hevc"), copy=False)
            told: list[Report] = []

            def report(report: Report) -> Ack:
                told.append(report)
                return Ack(wanted=True)

            worker = PreviewWorker("w", queue=b.queue, zones=b.zones, report=report, policy=policy)
            assert await asyncio.to_thread(worker.run_once, threading.Event())
            worker.close()
            [planned] = told
            assert isinstance(planned, Planned)
            assert {rendition.codec for rendition in planned.plan.video} == {"h264", "hevc"}
            assert not any(rendition.copied for rendition in planned.plan.video)

    asyncio.run(scenario())
