"""Turns on one machine: beside a film on its way to its first picture nothing is begun but what is as urgent."""

import asyncio
import threading
from contextlib import ExitStack, closing
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mamkit.ids import uuid7
from mamkit.jobs import Lease, MemoryQueue
from mamkit.previews import Ack, Finished, PlanJob, Planned, PreviewWorker, Progress, Report, Room
from mamkit.previews._ordering import in_order, new_job, priority_of, turn
from mamkit.previews._precedence import Precedence
from mamkit.previews.messages import PART_JOB, PLAN_JOB, PartJob
from mamkit.transcode import AudioStream, MediaInfo, Plan, VideoStream, make_plan
from tests.media_factory import make_clip
from tests.unit.previews.bench import Bench, bench
from tests.unit.previews.test_worker import until, upload


def plan_of(seconds: int) -> Plan:
    length = Fraction(seconds)
    video = VideoStream(
        index=0, codec="h264", width=640, height=360, frame_rate=Fraction(25), pixel_format="yuv420p", duration=length
    )
    audio = AudioStream(index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=length)
    return make_plan(MediaInfo(container="mp4", size=1, duration=length, video=(video,), audio=(audio,)))


class Machine:
    """A queue, and slots that take from it what they may; a context manager."""

    def __init__(self, at_once: int | None) -> None:
        self.queue = MemoryQueue()
        self.turns = Precedence(at_once)
        self.slots: dict[str, ExitStack] = {}

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.slots):
            self.done(name)

    def add(self, plan: Plan, films: int = 1) -> None:
        version_id = uuid7()
        for place, part in enumerate(in_order(plan.parts)):
            job = PartJob(version_id=version_id, master_key="m", prefix="p/", part=part)
            self.queue.enqueue(new_job(PART_JOB, job, f"{version_id}:{part.index}", priority_of(part, place, films)))

    def take(self, name: str) -> str | None:
        """Let a slot take a job; say what it took."""

        def ask(before: int | None) -> Lease | None:
            return self.queue.claim(name, lease=timedelta(minutes=5), before=before)

        stack = ExitStack()
        lease = stack.enter_context(self.turns.claim(ask))
        if lease is None:
            stack.close()
            return None
        self.slots[name] = stack
        stack.callback(self.queue.complete, lease)
        part: dict[str, Any] = lease.job.payload.get("part", {})
        return f"{part['kind']} {part['start']}" if part else "plan"

    def done(self, name: str) -> None:
        self.slots.pop(name).close()


async def ready(b: Bench, version_id: UUID) -> None:
    while (await b.status(version_id)) != "ready":  # noqa: ASYNC110 # it is the database that knows
        await asyncio.sleep(0.02)


def test_only_sound_is_begun_beside_the_first_picture() -> None:
    with Machine(0) as machine:
        machine.add(plan_of(60))
        assert [machine.take("a"), machine.take("b")] == ["video 0", "audio 0"]
        assert machine.take("c") is None
        machine.done("b")
        assert machine.take("b") is None
        machine.done("a")
        assert machine.take("b") == "video 1"
        assert machine.take("a") not in {None, "video 1"}


def test_other_first_pictures_and_plans_are_begun_all_the_same() -> None:
    with Machine(0) as machine:
        machine.add(plan_of(60))
        assert [machine.take("a"), machine.take("b")] == ["video 0", "audio 0"]
        machine.add(plan_of(60), films=2)
        assert [machine.take("c"), machine.take("d")] == ["video 0", "audio 0"]
        plan = PlanJob(version_id=uuid7(), master_key="m")
        machine.queue.enqueue(new_job(PLAN_JOB, plan, "p", turn(3)))
        assert machine.take("e") == "plan"
        for name in ("a", "c"):
            machine.done(name)
            assert machine.take(name) is None
        machine.done("e")
        assert machine.take("e") == "video 1"


def test_what_has_processors_to_spare_goes_on() -> None:
    with Machine(3) as machine:
        machine.add(plan_of(60))
        assert [machine.take("a"), machine.take("b")] == ["video 0", "audio 0"]
        assert machine.take("c") == "video 1"
        assert machine.take("d") is None
        machine.done("b")
        assert machine.take("d") is not None


def test_a_slot_that_fails_keeps_nobody_waiting() -> None:
    turns = Precedence(0)
    queue = MemoryQueue()
    queue.enqueue(new_job(PLAN_JOB, PlanJob(version_id=uuid7(), master_key="m"), "p", 0))

    def fail() -> None:
        with turns.claim(lambda _: queue.claim("a", lease=timedelta(minutes=1))):
            assert turns.insisted
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not turns.insisted


def test_nobody_can_make_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="fewer than no parts"):
        Room(at_once=-1)


def test_real_workers_make_nothing_beside_the_first_picture_but_its_sound(tmp_path: Path) -> None:
    """Of three slots on a small machine: by the order of their reports."""
    clip = make_clip(tmp_path / "film.mp4", seconds=20, width=64, height=64).read_bytes()
    told: list[tuple[str, int]] = []
    lock = threading.Lock()

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, clip)
            loop = asyncio.get_running_loop()

            def report(report: Report) -> Ack:
                with lock:
                    if isinstance(report, Progress) and not report.done:
                        told.append(("begun", report.part))
                    elif isinstance(report, Finished):
                        told.append(("made", report.result.part))
                    elif isinstance(report, Planned):
                        told.append(("planned", 0))
                return asyncio.run_coroutine_threadsafe(b.publisher.take(report), loop).result()

            room, ended = Room(at_once=0), threading.Event()

            def serve(name: str) -> None:
                worker = PreviewWorker(name, queue=b.queue, zones=b.zones, report=report, room=room)
                with closing(worker):
                    until(lambda: not worker.run_once(ended) and ended.is_set())

            slots = [asyncio.to_thread(serve, name) for name in "abc"]
            running = asyncio.gather(*slots)
            try:
                await asyncio.wait_for(ready(b, version_id), 60)
            finally:
                ended.set()
                await running

    asyncio.run(scenario())
    first, sound = 0, 1
    before = told[: told.index(("made", first))]
    assert {part for what, part in before if what == "begun"} <= {first, sound}
    assert {part for what, part in told if what == "made"} > {first, sound}
