"""A real queue, catalog and publisher whose workers sleep instead of encoding."""

import asyncio
import random
import threading
import time
from collections.abc import Coroutine
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Catalog, CatalogUnavailableError
from mamkit.ids import uuid7
from mamkit.jobs import Lease, Queue
from mamkit.jobs.redis import RedisQueue
from mamkit.previews import Finished, PartJob, Planned, Publisher
from mamkit.storage import MemoryStore, Zones, master_key, preview_prefix
from mamkit.transcode import (
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
from tests.redis_server import RedisServer

__all__ = ["Simulation", "coordinate", "film_of"]

T = TypeVar("T")

LEASE = timedelta(minutes=5)
SOUND = 0.02  # what a segment of sound takes, in segments of pictures
ARTWORK = 4.0  # what the artwork of a long film takes, likewise: it is bounded, whatever the length


def film_of(*, hours: float) -> MediaInfo:
    """Say what a probe would of a film of 1080p at 25 frames a second, with sound."""
    seconds = Fraction(round(hours * 3600))
    video = VideoStream(index=0, codec="h264", width=1920, height=1080, frame_rate=Fraction(25),
                        pixel_format="yuv420p", duration=seconds)  # fmt: skip
    audio = AudioStream(index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=seconds)
    return MediaInfo(container="mp4", size=1000, duration=seconds, video=(video,), audio=(audio,))


def work_of(part: Part) -> float:
    """Return what a part takes, in segments of pictures."""
    if part.kind == "artwork":
        return ARTWORK
    return (part.stop - part.start) * (1.0 if part.kind == "video" else SOUND)


def result_of(plan: Plan, part: Part) -> PartResult:
    """Make up what encoding a part would have made."""
    names = {"video": [v.name for v in plan.video], "audio": [a.name for a in plan.audio], "artwork": []}[part.kind]
    segments = []
    for name in names:
        for index in range(part.start, part.stop):
            start = index * plan.segment_duration
            keys = tuple(KeyFrame(offset=n * 90_000, size=30_000, time=start + 2 * n) for n in range(3))
            segments.append(
                Segment(rendition=name, index=index, duration=min(plan.segment_duration, plan.duration - start),
                        size=900_000, key_frames=keys if part.kind == "video" else ()),
            )  # fmt: skip
    codecs = "avc1.64001e" if part.kind == "video" else "mp4a.40.2"
    inits = tuple(Init(rendition=name, size=700, codecs=codecs, sha256="1" * 64) for name in names)
    return PartResult(part=part.index, inits=inits, segments=tuple(segments))


class Stage:
    """A preview that is planned, and a publisher in a thread of its own; a context manager."""

    def __init__(self, folder: Path, queue: Queue, info: MediaInfo) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{folder / 'catalog.db'}"
        db.upgrade(url)
        store = MemoryStore()
        self.queue = queue
        self.plan = make_plan(info)
        self._results = [result_of(self.plan, part) for part in self.plan.parts]  # an encoder's work, not ours
        self.catalog = Catalog(url)
        self.publisher = Publisher(self.catalog, queue, Zones(staging=store, masters=store, previews=store))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.version_id = uuid7()

    def __enter__(self) -> Self:
        self._thread.start()
        self.ask(self._record())
        self.ask(self.publisher.start(self.version_id))
        lease = self.claim("planner")
        assert lease is not None
        self.ask(
            self.publisher.take(
                Planned(version_id=self.version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=self.plan)
            )
        )
        self.queue.complete(lease)
        return self

    def __exit__(self, *_: object) -> None:
        self.ask(self.catalog.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Do something in the publisher's thread."""
        return asyncio.run_coroutine_threadsafe(question, self._loop).result()

    def claim(self, worker: str) -> Lease | None:
        """Take a job."""
        return self.queue.claim(worker, lease=LEASE)

    def report(self, lease: Lease, part: Part) -> None:
        """Say that a part is done."""
        self.ask(self.publisher.take(self.finished(lease, part)))

    def finished(self, lease: Lease, part: Part) -> Finished:
        """Return the report that a part is done."""
        result = self._results[part.index]
        return Finished(version_id=self.version_id, job_id=lease.job.id, fence=lease.fence, result=result)

    def status(self) -> str:
        """Say how the preview stands."""
        return str(self.ask(self.publisher.state(self.version_id)).preview.status)

    async def _record(self) -> None:
        asset_id, version_id = uuid7(), self.version_id
        async with self.catalog.begin() as session:
            user = await db.create_user(
                session, email=f"{UUID(int=1)}@example.com", display_name="Ada", password_hash=None
            )
            await db.create_asset(session, id=asset_id, user_id=user.id, title="A film", staging_key=f"u/{asset_id}")
            await db.add_version(
                session, id=version_id, asset_id=asset_id, number=1, master_key=master_key(asset_id, 1, "mp4"),
                preview_prefix=preview_prefix(asset_id, version_id), size=1, sha256="0" * 64,
            )  # fmt: skip
            await db.create_preview(session, version_id)


class Simulation:
    """One film and a queue in Redis; a context manager.

    Args:
        folder: For both.
        info: The film.
    """

    def __init__(self, folder: Path, info: MediaInfo) -> None:
        self._folder = folder
        self._info = info
        self.work = sum(work_of(part) for part in make_plan(info).parts)
        """What all parts take, in segments of pictures."""

    def __enter__(self) -> Self:
        self._server = RedisServer(self._folder / "redis").__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()

    def run(self, workers: int, seconds: float) -> float:
        """Let workers make the film, each of which sleeps so many seconds a segment; return how long it took."""
        queue = RedisQueue.from_url(self._server.url)
        with Stage(self._folder, queue, self._info) as stage:
            start = time.perf_counter()
            crew = [threading.Thread(target=self._work, args=(stage, str(n), seconds)) for n in range(workers)]
            for worker in crew:
                worker.start()
            for worker in crew:
                worker.join()
            taken = time.perf_counter() - start
            assert stage.status() == "ready"
        queue.close()
        return taken

    def _work(self, stage: Stage, name: str, seconds: float) -> None:
        while (lease := stage.claim(f"worker-{name}")) is not None:
            part = PartJob.model_validate(lease.job.payload).part
            time.sleep(work_of(part) * seconds)
            while True:
                try:
                    stage.report(lease, part)
                    break
                except CatalogUnavailableError:  # as a worker does whom a busy coordinator did not hear
                    time.sleep(random.random())  # noqa: S311 - no secret
            stage.queue.complete(lease)


def coordinate(folder: Path, info: MediaInfo) -> float:
    """Let parts come in as from a hundred workers, and return the CPU time of the publisher for each, seconds.

    The parts are claimed and their reports made beforehand; what is left is the publisher's own work and its catalog's.
    """
    with RedisServer(folder / "redis") as server:
        queue = RedisQueue.from_url(server.url)
        with Stage(folder, queue, info) as stage:
            leases = []
            while (lease := stage.claim("worker")) is not None:
                leases.append((lease, PartJob.model_validate(lease.job.payload).part))
            reports = [stage.finished(lease, part) for lease, part in leases]
            began = time.process_time()
            for report in reports:
                stage.ask(stage.publisher.take(report))
            taken = time.process_time() - began
            assert stage.status() == "ready"
        queue.close()
    return taken / len(reports)
