"""A worker that is interrupted at any of its steps, in any way: every part is published once, and no job is left.

MAMKIT_FAULT_ROUNDS=100 tries every step; without it, every twenty-third one is, each way of interrupting others.
"""

import asyncio
import copy
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mamkit import catalog as db
from mamkit.jobs import QueueError, QueueUnavailableError
from mamkit.previews import Ack, ApiUnavailableError, PreviewWorker, Report, builder
from mamkit.storage import MemoryStore, StorageFullError, StorageUnavailableError
from mamkit.transcode import MediaInfo, Part, PartResult, Plan, Sink, Source, TranscodeInterruptedError
from tests.unit.previews.bench import Bench, bench
from tests.unit.previews.test_publisher import film, result

SECONDS = 8  # of a film of two segments: a first part, another one, sound and artwork
EVERY = 1 if int(os.environ.get("MAMKIT_FAULT_ROUNDS", "2")) >= 100 else 23
MOST = 400  # steps; such a film has some seventy
PATIENCE = 60  # tries until all is done
WAYS = ("stopped", "lost", "away", "full", "forgotten")
FORGOTTEN = 6  # steps that the queue does not know of any more, with all that it was told in them


class Steps:
    """Counts what a worker asks of others, and interrupts it before or after one of that."""

    def __init__(
        self, fatal: int, interrupt: Callable[[str], None], *, late: bool, remember: Callable[[], None]
    ) -> None:
        self.taken = 0
        self._remember = remember
        self._fatal = fatal
        self._interrupt = interrupt
        self._late = late

    def around(self, kind: str, ask: Callable[[], Any]) -> Any:
        self.taken += 1
        self._remember()
        now = self.taken == self._fatal
        if now and not self._late:
            self._interrupt(kind)
        answer = ask()
        if now and self._late:
            self._interrupt(kind)
        return answer


class Stepping:
    """Something that takes a step around each call but those that come from elsewhere, as renewals do."""

    def __init__(self, inner: Any, kind: str, steps: Steps) -> None:
        self._inner, self._kind, self._steps = inner, kind, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "renew":
            return found
        return lambda *args, **more: self._steps.around(self._kind, lambda: found(*args, **more))


def probed(source: Source, **_: Any) -> MediaInfo:
    """Say what a probe would, without a child process."""
    assert not isinstance(source, (str, Path))
    assert source.read(0, 1) == b"x"
    return film(SECONDS)


def encoded(source: Source, plan: Plan, part: Part, sink: Sink, *, cancelled: Any, **_: Any) -> PartResult:
    """Hand over what encoding a part would have made."""
    made = result(plan, part)
    for init in made.inits:
        sink.init(init, b"init")
    for segment in made.segments:
        if cancelled.is_set():
            raise TranscodeInterruptedError("it was asked to stop")
        sink.segment(segment, b"segment")
        sink.progress(Fraction(1, 2))
    for file in made.art:
        sink.art(file, b"art")
    return made


class World:
    """A platform, and workers one after the other, of which the first is interrupted once."""

    def __init__(self, b: Bench) -> None:
        self._b = b
        self._loop = asyncio.get_running_loop()
        self.stop = threading.Event()
        self._past: deque[Any] = deque(maxlen=FORGOTTEN)

    def deliver(self, report: Report) -> Ack:
        return asyncio.run_coroutine_threadsafe(self._b.publisher.take(report), self._loop).result()

    def work(self, steps: Steps | None = None) -> None:
        """Let a worker do what there is until it is stopped or nothing waits."""
        queue: Any = self._b.queue if steps is None else Stepping(self._b.queue, "queue", steps)
        zones: Any = self._b.zones
        report = self.deliver
        if steps is not None:
            store: Any = Stepping(self._b.zones.previews, "store", steps)
            zones = type(zones)(staging=store, masters=store, previews=store)

            def report(report: Report) -> Ack:
                answer: Ack = steps.around("api", lambda: self.deliver(report))
                return answer

        with closing(PreviewWorker("w", queue=queue, zones=zones, report=report)) as worker:
            try:
                while not self.stop.is_set() and worker.run_once(self.stop):
                    pass
            except QueueError:
                pass  # the service waits, and asks again

    def steal(self, _: str) -> None:
        """Let somebody else have the job in hand, who is killed."""
        for job in self._b.queue.list(state="running"):
            self._b.queue.cancel(job.id)
            self._b.queue.requeue(job.id)

    def remember(self) -> None:
        """Keep the queue as it is, to go back to."""
        with self._b.queue._lock:
            self._past.append(copy.deepcopy(self._b.queue._entries))

    def fail_over(self, _: str) -> None:
        """Let a replica become the queue that has not heard of the last steps."""
        with self._b.queue._lock:
            self._b.queue._entries = self._past[0]

    def end_leases(self) -> None:
        """Let the time of all leases be over, as it is some time after a worker was lost."""
        for job in self._b.queue.list(state="running"):
            self._b.queue.cancel(job.id)
            self._b.queue.requeue(job.id)


def _interruptions(world: World) -> dict[str, Callable[[str], None]]:
    errors: dict[str, dict[str, Exception]] = {
        "away": {
            "queue": QueueUnavailableError("gone"),
            "store": StorageUnavailableError("x", "gone"),
            "api": ApiUnavailableError("gone"),
        },
        "full": {"store": StorageFullError("x"), "queue": QueueUnavailableError("no memory")},
    }

    def fail(how: str) -> Callable[[str], None]:
        def interrupt(kind: str) -> None:
            if kind in errors[how]:
                raise errors[how][kind]

        return interrupt

    return {
        "stopped": lambda _: world.stop.set(),
        "lost": world.steal,
        "forgotten": world.fail_over,
        "away": fail("away"),
        "full": fail("full"),
    }


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("how", WAYS)
def test_interrupted_at_any_step_each_part_is_published_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str, late: bool
) -> None:
    monkeypatch.setattr(builder, "probe", probed)
    monkeypatch.setattr(builder, "encode_part", encoded)
    monkeypatch.setattr(builder, "backoff", lambda _: timedelta(0))
    caplog.set_level("INFO", logger="mamkit.previews.publisher")

    async def scenario() -> None:
        async with bench(tmp_path, MemoryStore()) as b:
            for fatal in range(1 + (WAYS.index(how) + 4 * late) % EVERY, MOST, EVERY):
                caplog.clear()
                version_id = await b.version()
                async with b.catalog.read() as session:
                    master_key = (await db.version_by_id(session, version_id)).master_key
                b.zones.masters.put(master_key, b"x" * 100)
                await b.publisher.start(version_id)
                world = World(b)
                steps = Steps(fatal, _interruptions(world)[how], late=late, remember=world.remember)
                await asyncio.to_thread(world.work, steps)
                over = steps.taken < fatal
                world.stop.clear()
                for _ in range(PATIENCE):
                    if await b.status(version_id) in {"ready", "failed"}:
                        break
                    world.end_leases()
                    await b.publisher.reconcile()
                    await asyncio.to_thread(world.work)
                assert await b.status(version_id) == "ready", f"step {fatal}"
                await asyncio.to_thread(world.work)
                world.end_leases()
                await asyncio.to_thread(world.work)
                said = [record.getMessage() for record in caplog.records if "is published" in record.getMessage()]
                parts = await b.parts(version_id)
                assert len(said) == len(parts), f"step {fatal}: {said}"
                assert not [job for job in b.queue.list() if job.state in {"waiting", "running", "dead"}], f"{fatal}"
                if over:
                    assert fatal > 20, "every step was tried"
                    return
            pytest.fail("there are more steps than were tried")

    asyncio.run(scenario())
