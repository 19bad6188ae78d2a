"""The worker's side: take a job, do it in a child process, put its objects into the store, report.

A worker holds no state between jobs and writes nothing to the catalog. It can be killed at any moment: its lease runs
out, another worker takes the job, encodes the same bytes again under the same keys, and reports under a newer fence.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from mamkit.errors import MamkitError
from mamkit.jobs import Heartbeat, Lease, LeaseLostError, Queue, backoff
from mamkit.previews._master import open_master
from mamkit.previews._stills import STILL_PLAN, facts_of_still, is_of_still
from mamkit.previews._upload import UPLOADS, StoreSink
from mamkit.previews.card import CardBusyError
from mamkit.previews.errors import ApiUnavailableError, InvalidMessageError, ReportNotTakenError, StaleReportError
from mamkit.previews.layout import plan_key
from mamkit.previews.messages import (
    PART_JOB,
    PLAN_JOB,
    SHARED_JOB,
    Ack,
    Failed,
    Finished,
    PartJob,
    PlanJob,
    Planned,
    Progress,
    Report,
    parse_job,
    parse_plan,
)
from mamkit.previews.policy import PlanPolicy
from mamkit.previews.room import NoRoomError, Room, memory_of
from mamkit.storage import ObjectReader, StorageFullError, StorageUnavailableError, Zones
from mamkit.transcode import (
    Codec,
    ContainmentError,
    Device,
    EncodeError,
    MediaError,
    MediaInfo,
    Part,
    PartResult,
    Plan,
    Source,
    StillImageError,
    TranscodeInterruptedError,
    encode_part,
    make_thumbnails,
    probe,
    size_of,
)

__all__ = ["PreviewWorker", "Reporter"]

log = logging.getLogger(__name__)

Reporter = Callable[[Report], Ack]
"""Delivers a report to the API and returns its answer.

Raises:
    StaleReportError: The API refused it, because the job has another holder now.
    ApiUnavailableError: The API did not answer, or not for a reason that lies in the report.
    ReportNotTakenError: The API refused the report.
"""

MOST_LEASES = 100  # of one job; with a pause of up to 5 minutes after each, a store may be away for some hours
_NOT_OF_THE_JOB = (StorageUnavailableError, StorageFullError, ApiUnavailableError, InvalidMessageError)
"""What says nothing about the job or its file. A job that is not understood is for a worker of a later version, one of
which comes when an installation is upgraded."""


class PreviewWorker:
    """Builds previews, one job at a time; `close` it when no more are to come.

    Several in one process, each in a thread of its own, share a `Room`. The child process that has done one part of a
    film goes on with the next, whichever of them has it; it never opens another film.

    Args:
        name: Who holds the leases, e.g. host name and process id.
        queue: Where the jobs wait.
        zones: Masters are read, previews are written.
        report: Delivers reports to the API.
        lease: How long a job stays this worker's without a sign of life; renewed all along.
        policy: How plans are made; `PlanPolicy()` if None.
        room: Bounds of the child processes that open the media; `Room()` if None.
    """

    def __init__(
        self,
        name: str,
        *,
        queue: Queue,
        zones: Zones,
        report: Reporter,
        lease: timedelta = timedelta(seconds=30),
        policy: PlanPolicy | None = None,
        room: Room | None = None,
    ) -> None:
        self._name = name
        self._queue = queue
        self._zones = zones
        self._report = report
        self._lease = lease
        self._policy = policy or PlanPolicy()
        self._room = room or Room()
        self._room.join()
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload")

    def prepare(self) -> None:
        """Have a child process for each worker of the room, so that the next job begins at once."""
        self._room.prepare()

    def close(self) -> None:
        """Leave the room and end the threads; to be called once, between two jobs, when no more come."""
        self._room.leave()
        self._uploads.shutdown()

    def around(self, step: Literal["job", "probe", "encode"], lease: Lease) -> AbstractContextManager[object]:
        """Return what is entered before a step and left after it; for subclasses that measure or trace, here nothing.

        Args:
            step: The whole `job`, or the run of its child process: `probe` or `encode`. An error that ends such a run
                passes through; at the end of the job, the queue and the API have been told of it already.
            lease: Of the job, as it was claimed.
        """
        del step, lease
        return nullcontext()

    def kinds(self, *, card: bool = False) -> tuple[str, ...]:
        """Return which jobs are taken: by a slot of the processors, or by one of the machine's card."""
        if not card:
            return PLAN_JOB, PART_JOB, SHARED_JOB
        return () if self._room.card is None else self._room.card.kinds

    def run_once(self, stop: threading.Event, *, card: bool = False) -> bool:
        """Take one job and bring it to an end: done, handed back, or given up; return False if none was waiting.

        Whatever fails in the job is told to the queue and the API, never raised. A job waits where it is not its turn;
        see `Room`.

        Args:
            stop: When set, the running child is ended and the job handed back unharmed.
            card: Whether to take none but pictures that the machine's card encodes. Without, such are taken, too: the
                card makes them where it is free, and the processors where not.

        Raises:
            QueueError: The queue itself cannot be reached.
        """
        self._room.pass_by(stop)
        if not (kinds := self.kinds(card=card)):
            return False
        try:
            with self._room.precedence.claim(partial(self._claim, kinds)) as lease:
                if lease is None:
                    return False
                with self.around("job", lease), Heartbeat(self._queue, lease, duration=self._lease) as heartbeat:
                    cancelled = _Either(stop, heartbeat.lost)
                    # A job that is lost is somebody else's now, and their word counts.
                    with suppress(LeaseLostError, StaleReportError):
                        self._settle(lease, cancelled, stop, card=card)
        except NoRoomError as error:
            self._room.wait(error.need, stop)
        except CardBusyError as error:
            if self._room.card is not None:
                self._room.card.wait(error.need, stop)
        return True

    def _claim(self, kinds: Sequence[str], before: int | None) -> Lease | None:
        return self._queue.claim(self._name, kinds=kinds, lease=self._lease, before=before)

    def _settle(self, lease: Lease, cancelled: "_Either", stop: threading.Event, *, card: bool) -> None:
        """Do the job and tell the queue how it ended."""
        try:
            self._do(lease, cancelled, card=card)
        except (NoRoomError, CardBusyError):
            self._queue.release(lease)  # it keeps its place, and may fit on another machine
            raise
        except TranscodeInterruptedError:
            if stop.is_set():
                self._queue.release(lease)
            else:
                self._queue.complete(lease)  # the preview is no longer wanted; a lost lease is refused here
        except (StaleReportError, LeaseLostError):
            raise
        except MediaError as error:
            self._give_up(lease, error)  # the input's own fault: the next try would fail alike
        except Exception as error:  # a defect of ours, too, must not stop the worker: the queue bounds the attempts
            if not isinstance(error, MamkitError | OSError):
                log.exception("job %s failed", lease.job.id)
            if isinstance(error, _NOT_OF_THE_JOB) and lease.fence < MOST_LEASES:
                # However long the API or a store is away, or full, no preview fails for it.
                log.warning("job %s is handed back: %s", lease.job.id, _reason(error))
                self._queue.release(lease, delay=backoff(lease.fence), reason=_reason(error))
            elif lease.job.attempts >= lease.job.max_attempts:
                self._give_up(lease, error)
            else:
                self._queue.retry(lease, reason=_reason(error), delay=backoff(lease.job.attempts))
        else:
            self._queue.complete(lease)

    def _give_up(self, lease: Lease, error: Exception) -> None:
        code = error.code if isinstance(error, MamkitError) else "previews.worker_failed"
        try:
            version_id = UUID(str(lease.job.payload.get("version_id")))
            self._report(
                self._without_artwork(lease)
                or Failed(version_id=version_id, job_id=lease.job.id, fence=lease.fence, code=code, message=str(error))
            )
        except ValueError:
            log.warning("job %s is about no preview: %s", lease.job.id, _reason(error))
        except ReportNotTakenError:
            if lease.job.attempts < lease.job.max_attempts:
                self._queue.retry(lease, reason=_reason(error), delay=backoff(lease.job.attempts))
                return  # the API must learn of the failure, so the next attempt tells it
        self._queue.bury(lease, reason=_reason(error))

    def _without_artwork(self, lease: Lease) -> Finished | None:
        """Return the report of artwork that has none: a film is worth watching without it."""
        try:
            job = parse_job(lease.job.kind, lease.job.payload)
        except InvalidMessageError:
            return None
        if not isinstance(job, PartJob) or job.part.kind != "artwork" or is_of_still(job.part):
            return None
        nothing = PartResult(part=job.part.index, inits=(), segments=())
        return Finished(version_id=job.version_id, job_id=lease.job.id, fence=lease.fence, result=nothing)

    def _do(self, lease: Lease, cancelled: "_Either", *, card: bool) -> None:
        job = parse_job(lease.job.kind, lease.job.payload)
        if isinstance(job, PlanJob):
            self._plan(lease, job, cancelled)
        else:
            self._encode(lease, job, cancelled, card=card)

    def _plan(self, lease: Lease, job: PlanJob, cancelled: "_Either") -> None:
        with (
            self._room.take(memory_of()),
            open_master(self._zones.masters, job.master_key) as source,
            self.around("probe", lease),
        ):
            try:
                info = probe(source, limits=self._room.limits, cancelled=cancelled, children=self._room.children)
                facts, plan = json.loads(info.model_dump_json()), self._planned(info, job, cancelled)
            except StillImageError as still:
                facts, plan = facts_of_still(still, size_of(source)), STILL_PLAN
        self._report(
            Planned(
                version_id=job.version_id,
                job_id=lease.job.id,
                fence=lease.fence,
                facts=facts,
                plan=plan,
            )
        )

    def _planned(self, info: MediaInfo, job: PlanJob, cancelled: "_Either") -> Plan:
        plan, card = self._policy.plan(info), self._room.card
        if card is None or job.by_processor:
            return plan
        return card.plan(plan, limits=self._room.limits, cancelled=cancelled, children=self._room.children)

    def _encode(self, lease: Lease, job: PartJob, cancelled: "_Either", *, card: bool) -> None:
        plan = _read_plan(self._zones.previews, job.prefix)
        with self._room.take(memory_of(plan, job.part)), self._devices(plan, job.part, insist=card) as devices:
            self._make(lease, job, plan, devices, cancelled)

    def _devices(self, plan: Plan, part: Part, *, insist: bool) -> AbstractContextManager[Mapping[Codec, Device]]:
        if self._room.card is None or part.kind != "video":
            return nullcontext({})
        return self._room.card.take(plan, insist=insist)

    def _make(
        self, lease: Lease, job: PartJob, plan: Plan, devices: Mapping[Codec, Device], cancelled: "_Either"
    ) -> None:
        sink = StoreSink(
            self._zones.previews,
            job.prefix,
            self._uploads,
            lambda done: self._report(
                Progress(
                    version_id=job.version_id, job_id=lease.job.id, fence=lease.fence, part=job.part.index, done=done
                )
            ),
        )
        if not sink.announce():
            return
        try:
            with open_master(self._zones.masters, job.master_key) as source, self.around("encode", lease):
                result = self._made(source, plan, job.part, sink, cancelled, devices=devices)
            sink.finish()
        finally:
            sink.abandon()
        self._report(Finished(version_id=job.version_id, job_id=lease.job.id, fence=lease.fence, result=result))

    def _made(
        self,
        source: Source,
        plan: Plan,
        part: Part,
        sink: StoreSink,
        cancelled: "_Either",
        *,
        devices: Mapping[Codec, Device],
    ) -> PartResult:
        limits, children = self._room.limits, self._room.children
        if is_of_still(part):
            art = make_thumbnails(source, sink, limits=limits, cancelled=cancelled, children=children)
            return PartResult(part=part.index, inits=(), segments=(), art=art)
        make = partial(
            encode_part, source, plan, part, sink,
            devices=devices, limits=limits, cancelled=cancelled, children=children,
        )  # fmt: skip
        if self._room.card is None or not devices:
            return make()
        try:
            result = make()
        except (EncodeError, ContainmentError):
            self._room.card.note(failed=True)
            raise
        self._room.card.note(failed=bool(result.notes))
        for note in result.notes:
            log.warning("part %d: %s", part.index, note)
        return result


class _Either:
    """Set when either of two events is; the face of `threading.Event` that a transcode looks at."""

    def __init__(self, *events: threading.Event) -> None:
        self._events = events

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)


def _read_plan(previews: ObjectReader, prefix: str) -> Plan:
    """Return the plan that lies beside a preview.

    Raises:
        ObjectNotFoundError: There is none.
        InvalidMessageError: It is of another version of mamkit.
    """
    with previews.get(plan_key(prefix)) as body:
        return parse_plan(body.read())


def _reason(error: Exception) -> str:
    code = error.code if isinstance(error, MamkitError) else type(error).__name__
    return f"{code}: {error}"
