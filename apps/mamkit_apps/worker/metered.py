"""A queue that notes what its worker does with it: how long jobs take, how they end, which leases are lost.

It tells its log, too: that of a worker says of each job when it was taken, how it ended and why.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from uuid import UUID

from mamkit.jobs import (
    Job,
    JobState,
    Lease,
    LeaseLostError,
    Queue,
    QueueUnavailableError,
)
from mamkit.previews import Finished
from mamkit_apps.queues import QueueWrapper
from mamkit_apps.terminal import one_line

__all__ = ["BUCKETS", "MeteredQueue", "Numbers", "about"]

log = logging.getLogger(__name__)

ENDS = {
    "done": (logging.INFO, "is done"),
    "retried": (logging.WARNING, "failed, and is tried again"),
    "released": (logging.INFO, "is handed back"),
    "dead": (logging.ERROR, "is given up"),
    "lost": (logging.WARNING, "is lost: its lease ran out, or it was cancelled"),
    "unsaid": (logging.WARNING, "ended while the queue was away, and is done once more"),
}

SAID = 1000  # characters of a reason that the log has: the last ones, which say most; `mamkit jobs show` has more

BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Upper ends, in seconds, of the classes of durations: from a probe to a long part on a slow machine."""


@dataclass(kw_only=True)
class Numbers:
    """What a worker has done since it started."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many leases ended, by kind of job and outcome: `done`, `retried`, `released`, `dead` or `lost`; `unsaid`
    where the queue was away at the end, and will hand the job out again once the lease has run out."""
    below: Counter[tuple[str, float]] = field(default_factory=Counter)
    """How many jobs were done within a bucket, by kind of job and the bucket's end."""
    seconds: Counter[str] = field(default_factory=Counter)
    """How long all jobs that were done took, by kind."""
    part_seconds: Counter[str] = field(default_factory=Counter)
    """How long all parts that were made took, by what they are of: `video`, `audio`, `subtitles`, `artwork`."""
    media_seconds: Counter[str] = field(default_factory=Counter)
    """How long they play: over `part_seconds`, how fast this worker encodes."""
    errors: Counter[str] = field(default_factory=Counter)
    """How many tries of jobs failed, by the code of the error."""


class MeteredQueue(QueueWrapper):
    """The queue of one worker, with its numbers.

    Args:
        queue: Does the work.
    """

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue)
        self._numbers = Numbers()
        # When each lease in hand began, on the monotonic clock, and for what it is.
        self._held: dict[tuple[UUID, int], tuple[float, Job]] = {}
        self._lock = Lock()

    def numbers(self) -> Numbers:
        """Return a copy of the numbers as they are now."""
        with self._lock:
            return Numbers(
                ended=self._numbers.ended.copy(),
                below=self._numbers.below.copy(),
                seconds=self._numbers.seconds.copy(),
                part_seconds=self._numbers.part_seconds.copy(),
                errors=self._numbers.errors.copy(),
                media_seconds=self._numbers.media_seconds.copy(),
            )

    def in_hand(self) -> int:
        """Return how many jobs the worker holds."""
        with self._lock:
            return len(self._held)

    def made(self, report: Finished) -> None:
        """Note a part that was made, before its job is completed."""
        with self._lock:
            since, job = self._held.get((report.job_id, report.fence), (None, None))
            if since is None or job is None:
                return
            part = str(job.payload["part"]["kind"])
            played: Counter[str] = Counter()
            for segment in report.result.segments:
                played[segment.rendition] += float(segment.duration)  # type: ignore[assignment] # as below
            self._numbers.part_seconds[part] += time.monotonic() - since  # type: ignore[assignment] # as below
            self._numbers.media_seconds[part] += max(played.values(), default=0)

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """See `Queue.claim`."""
        found = self._queue.claim(worker, kinds=kinds, lease=lease, before=before)
        if found is not None:
            with self._lock:
                self._held[found.job.id, found.fence] = time.monotonic(), found.job
            job = found.job
            log.info(
                "job %s is begun: %s, try %d of %d, as %s", job.id, about(job), job.attempts, job.max_attempts, worker
            )
        return found

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """See `Queue.renew`."""
        with self._losing(lease):
            return self._queue.renew(lease, by=by)

    def complete(self, lease: Lease) -> None:
        """See `Queue.complete`."""
        with self._losing(lease, last=True):
            self._queue.complete(lease)
        self._end(lease, "done")

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        with self._losing(lease, last=True):
            state = self._queue.retry(lease, reason=reason, delay=delay)
        self._end(lease, "dead" if state == "dead" else "retried", reason)
        return state

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        with self._losing(lease, last=True):
            self._queue.release(lease, delay=delay, reason=reason)
        self._end(lease, "released", reason)

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        with self._losing(lease, last=True):
            self._queue.bury(lease, reason=reason)
        self._end(lease, "dead", reason)

    @contextmanager
    def _losing(self, lease: Lease, *, last: bool = False) -> Iterator[None]:
        """Note a lease that turns out to be lost, and one whose `last` word the queue did not take."""
        try:
            yield
        except LeaseLostError:
            self._end(lease, "lost")
            raise
        except QueueUnavailableError:
            if last:
                self._end(lease, "unsaid")
            raise

    def _end(self, lease: Lease, outcome: str, reason: str | None = None) -> None:
        """Note how a lease ended; a loss is noticed by the heartbeat and by the job's end, and counts once.

        A reason begins with the code of the error, or with its type.
        """
        with self._lock:
            held = self._held.pop((lease.job.id, lease.fence), None)
            if held is None:
                return
            kind, seconds = lease.job.kind, time.monotonic() - held[0]
            self._numbers.ended[kind, outcome] += 1
            if reason is not None:
                self._numbers.errors[reason.partition(":")[0]] += 1
            if outcome == "done":
                self._numbers.seconds[kind] += seconds  # type: ignore[assignment] # a counter sums fractions, too
                self._numbers.below.update((kind, bucket) for bucket in BUCKETS if seconds <= bucket)
        if outcome == "released" and reason is not None:
            return  # the worker itself says so
        level, what = ENDS[outcome]
        why = f": {one_line(reason[-SAID:])}" if reason else ""
        log.log(level, "job %s %s after %.1f s: %s%s", lease.job.id, what, seconds, about(lease.job), why)


def about(job: Job) -> str:
    """Return what a job is about, in words: `video part 3 of version 0198…`."""
    part = job.payload.get("part")
    what = f"{part.get('kind')} part {part.get('index')}" if isinstance(part, Mapping) else job.kind
    version = job.payload.get("version_id")
    return what if version is None else f"{what} of version {version}"
