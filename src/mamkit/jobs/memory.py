"""A queue in the memory of one process: the reference that other backends are compared with, and for tests."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import dropwhile, islice
from threading import RLock
from typing import get_args
from uuid import UUID

from mamkit.clock import Clock, utc_now
from mamkit.ids import uuid7
from mamkit.jobs._check import (
    LEASE_RAN_OUT,
    check_claim,
    check_duration,
    check_job,
    check_limit,
    check_progress,
    clip_reason,
)
from mamkit.jobs._clocks import SLACK
from mamkit.jobs._watching import TELL_APART, Memory, PollingWatch, Standing
from mamkit.jobs.errors import DedupeKeyTakenError, JobNotFoundError, LeaseLostError
from mamkit.jobs.models import FinishedState, Job, JobEvent, JobState, Lease, NewJob, QueueDepth
from mamkit.jobs.protocol import Watch

__all__ = ["MemoryQueue"]

PAUSE = timedelta(seconds=0.05)  # between two looks of a watch


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A job and what its leases need; entries are changed only under the queue's lock."""

    sequence: int
    id: UUID
    new: NewJob
    payload: str
    created_at: datetime
    run_at: datetime
    dated_at: datetime
    """When `run_at` or `lease_until` was set last, whichever the job goes by."""
    state: JobState = "waiting"
    attempts: int = 0
    fence: int = 0
    worker: str = ""
    lease_until: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    progress: float = 0.0
    told_at: datetime | None = None

    @property
    def active(self) -> bool:
        return self.state in {"waiting", "running"}

    def runnable_since(self, now: datetime) -> datetime | None:
        """Return since when the job could have been claimed, or None if it cannot be."""
        since = {"waiting": self.run_at, "running": self.lease_until}.get(self.state)
        return since if since is not None and (since <= now or since <= self.dated_at) else None

    def set_right(self, now: datetime) -> None:
        """Bring what is waited for as near as it was, if the clock has gone back since; see `mamkit.jobs._clocks`."""
        gone_back = self.dated_at - now
        if gone_back <= SLACK:
            return
        if self.state == "running" and self.lease_until is not None:
            self.lease_until, self.dated_at = self.lease_until - gone_back, now
        elif self.run_at > self.dated_at:
            self.run_at, self.dated_at = self.run_at - gone_back, now

    def to_job(self) -> Job:
        return Job(
            id=self.id,
            kind=self.new.kind,
            payload=json.loads(self.payload),
            state=self.state,
            priority=self.new.priority,
            dedupe_key=self.new.dedupe_key,
            attempts=self.attempts,
            max_attempts=self.new.max_attempts,
            run_at=self.run_at,
            created_at=self.created_at,
            reason=self.reason,
            progress=self.shown_progress,
            traceparent=self.new.traceparent,
            worker=self.worker if self.state == "running" else None,
            lease_until=self.lease_until if self.state == "running" else None,
        )

    @property
    def shown_progress(self) -> float:
        return 1.0 if self.state == "done" else self.progress

    def to_event(self) -> JobEvent | None:
        """Return how the job stands, or None if there is nothing to tell."""
        at = {"waiting": None, "running": self.told_at}.get(self.state, self.finished_at)
        if at is None:
            return None
        return JobEvent(
            job_id=self.id,
            kind=self.new.kind,
            dedupe_key=self.new.dedupe_key,
            state=self.state,
            progress=self.shown_progress,
            fence=self.fence,
            reason=self.reason,
            at=at,
        )


class MemoryQueue:
    """A `Queue` that lives and dies with its process, and may be used by several of its threads.

    Args:
        clock: Says what time it is for delays and leases.
    """

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._entries: dict[UUID, _Entry] = {}
        self._count = 0
        self._lock = RLock()

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """See `Queue.enqueue`."""
        payloads = [check_job(job) for job in jobs]
        with self._lock:
            now = self._clock()
            return [self._add(job, payload, now) for job, payload in zip(jobs, payloads, strict=True)]

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """See `Queue.claim`."""
        return next(iter(self.claim_many(worker, 1, kinds=kinds, lease=lease, before=before)), None)

    def claim_many(
        self,
        worker: str,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        lease: timedelta,
        before: int | None = None,
    ) -> list[Lease]:
        """See `CanBatch.claim_many`."""
        check_claim(worker, limit, kinds=kinds, lease=lease, before=before)
        with self._lock:
            now = self._clock()
            for entry in self._entries.values():
                entry.set_right(now)
            runnable = [entry for entry in self._entries.values() if entry.runnable_since(now) is not None]
            for entry in runnable:
                if entry.attempts >= entry.new.max_attempts:
                    self._finish(entry, "dead", reason=LEASE_RAN_OUT)
            wanted = [
                entry
                for entry in runnable
                if entry.active
                and (kinds is None or entry.new.kind in kinds)
                and (before is None or entry.new.priority < before)
            ]
            first = nsmallest(limit, wanted, key=lambda entry: (entry.new.priority, entry.run_at, entry.sequence))
            for entry in first:
                entry.state = "running"
                entry.attempts += 1
                entry.fence += 1
                entry.worker = worker
                entry.progress, entry.told_at = 0.0, None
            return [self._lease(entry, now, lease) for entry in first]

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """See `Queue.renew`."""
        check_duration("by", by, positive=True)
        with self._lock:
            return self._lease(self._held(lease), self._clock(), by)

    def holds(self, job_id: UUID, fence: int) -> bool:
        """See `Queue.holds`."""
        with self._lock:
            entry = self._entries.get(job_id)
            return entry is not None and entry.state == "running" and entry.fence == fence

    def complete(self, lease: Lease) -> None:
        """See `Queue.complete`."""
        if self.complete_many([lease]):
            raise LeaseLostError(lease.job.id, lease.fence)

    def complete_many(self, leases: Sequence[Lease]) -> list[Lease]:
        """See `CanBatch.complete_many`."""
        lost = []
        with self._lock:
            for lease in leases:
                try:
                    self._finish(self._held(lease), "done", reason=None)
                except LeaseLostError:
                    lost.append(lease)
        return lost

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        check_duration("delay", delay)
        with self._lock:
            entry = self._held(lease)
            if entry.attempts >= entry.new.max_attempts:
                self._finish(entry, "dead", reason=clip_reason(reason))
            else:
                entry.state, entry.reason = "waiting", clip_reason(reason)
                entry.dated_at = now = self._clock()
                entry.run_at = now + delay
            return entry.state

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        check_duration("delay", delay)
        with self._lock:
            entry = self._held(lease)
            entry.state = "waiting"
            entry.attempts -= 1
            now = self._clock()
            entry.run_at = now + delay if delay else entry.run_at
            entry.dated_at = now if delay else max(now, entry.run_at)
            if reason is not None:
                entry.reason = clip_reason(reason)

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        with self._lock:
            self._finish(self._held(lease), "dead", reason=clip_reason(reason))

    def tell(self, lease: Lease, progress: float) -> bool:
        """See `CanTell.tell`."""
        check_progress(progress)
        with self._lock:
            entry, now = self._held(lease), self._clock()
            if entry.told_at is not None and (
                progress <= entry.progress or entry.told_at <= now < entry.told_at + TELL_APART
            ):
                return False
            entry.progress, entry.told_at = float(progress), now
            return True

    def watch(self, *, jobs: Collection[UUID] | None = None, since: datetime | None = None) -> Watch:
        """See `CanTell.watch`."""
        return PollingWatch(Memory(self._look, now=self._clock, jobs=jobs, since=since), pause=PAUSE)

    def cancel(self, job_id: UUID) -> None:
        """See `Queue.cancel`."""
        with self._lock:
            entry = self._entry(job_id)
            if entry.active:
                self._finish(entry, "cancelled", reason=entry.reason)

    def requeue(self, job_id: UUID) -> None:
        """See `Queue.requeue`."""
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None or entry.state not in {"dead", "cancelled"}:
                raise JobNotFoundError(job_id, "dead or cancelled job")
            key = entry.new.dedupe_key
            if key is not None and self._active_with(key) is not None:
                raise DedupeKeyTakenError(job_id)
            entry.state, entry.attempts = "waiting", 0
            entry.run_at = entry.dated_at = self._clock()
            entry.finished_at = entry.reason = None

    def drop(self, job_id: UUID) -> None:
        """See `Queue.drop`."""
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None or entry.active:
                raise JobNotFoundError(job_id, "finished job")
            del self._entries[job_id]

    def get(self, job_id: UUID) -> Job:
        """See `Queue.get`."""
        with self._lock:
            return self._entry(job_id).to_job()

    def list(self, *, state: JobState | None = None, limit: int = 100, before: UUID | None = None) -> list[Job]:
        """See `Queue.list`."""
        check_limit(limit)
        with self._lock:
            newest = iter(reversed(self._entries.values()))
            if before is not None:
                if before not in self._entries:
                    raise JobNotFoundError(before)
                newest = dropwhile(lambda entry: entry.id != before, newest)
                next(newest)
            found = (entry.to_job() for entry in newest if state is None or entry.state == state)
            return [*islice(found, limit)]

    def depth(self) -> QueueDepth:
        """See `Queue.depth`."""
        with self._lock:
            now = self._clock()
            counts = Counter(entry.state for entry in self._entries.values())
            runnable = (entry.runnable_since(now) for entry in self._entries.values())
            return QueueDepth(
                counts={state: counts[state] for state in get_args(JobState)},
                oldest_waiting=min((since for since in runnable if since is not None), default=None),
            )

    def purge(self, *, finished_before: datetime, states: Collection[FinishedState] = ("done", "cancelled")) -> int:
        """See `Queue.purge`."""
        with self._lock:
            old = [
                entry.id
                for entry in self._entries.values()
                if entry.state in states and entry.finished_at is not None and entry.finished_at < finished_before
            ]
            for job_id in old:
                del self._entries[job_id]
            return len(old)

    def _look(self, ids: Collection[UUID], since: datetime | None) -> Standing:
        with self._lock:
            entries = [entry for job_id in ids if (entry := self._entries.get(job_id)) is not None]
            if since is not None:
                entries += [
                    entry
                    for entry in self._entries.values()
                    if entry.state == "running" or (entry.finished_at is not None and entry.finished_at >= since)
                ]
            return Standing(
                events=[event for entry in entries if (event := entry.to_event()) is not None],
                running=[entry.id for entry in entries if entry.state == "running"],
            )

    def _add(self, new: NewJob, payload: str, now: datetime) -> UUID:
        if new.dedupe_key is not None and (twin := self._active_with(new.dedupe_key)) is not None:
            return twin
        self._count += 1
        entry = _Entry(
            sequence=self._count,
            id=uuid7(),
            new=new,
            payload=payload,
            created_at=now,
            run_at=now + new.delay,
            dated_at=now,
        )
        self._entries[entry.id] = entry
        return entry.id

    def _active_with(self, dedupe_key: str) -> UUID | None:
        twins = (entry.id for entry in self._entries.values() if entry.active and entry.new.dedupe_key == dedupe_key)
        return next(twins, None)

    def _entry(self, job_id: UUID) -> _Entry:
        try:
            return self._entries[job_id]
        except KeyError:
            raise JobNotFoundError(job_id) from None

    def _held(self, lease: Lease) -> _Entry:
        if not self.holds(lease.job.id, lease.fence) or self._entries[lease.job.id].worker != lease.worker:
            raise LeaseLostError(lease.job.id, lease.fence)
        return self._entries[lease.job.id]

    def _lease(self, entry: _Entry, now: datetime, term: timedelta) -> Lease:
        entry.dated_at, entry.lease_until = now, (expires_at := now + term)
        return Lease(job=entry.to_job(), worker=entry.worker, fence=entry.fence, expires_at=expires_at)

    def _finish(self, entry: _Entry, state: FinishedState, *, reason: str | None) -> None:
        entry.state, entry.reason, entry.finished_at = state, reason, self._clock()
