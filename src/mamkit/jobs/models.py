"""What a queue keeps: jobs, leases and counts. Frozen values; times are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

__all__ = ["FinishedState", "Job", "JobEvent", "JobState", "Lease", "NewJob", "QueueDepth"]

FinishedState = Literal["done", "dead", "cancelled"]
"""`dead` is a job that will not be tried again; it keeps its reason until somebody requeues or purges it."""

JobState = Literal["waiting", "running", FinishedState]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to put into the queue."""

    kind: str
    """What a worker looks at to choose its handler, e.g. `preview.part`."""
    payload: Mapping[str, Any]
    """JSON values only."""
    dedupe_key: str | None = None
    """While a job with this key waits or runs, another one is not added."""
    priority: int = 0
    """Smaller runs sooner."""
    delay: timedelta = timedelta(0)
    max_attempts: int = 5
    traceparent: str | None = None
    """The trace that the job is part of, as W3C Trace Context writes it (section 3.2); the queue only keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the queue keeps it."""

    id: UUID
    kind: str
    payload: Mapping[str, Any]
    state: JobState
    priority: int
    dedupe_key: str | None
    attempts: int
    """How often the job was leased."""
    max_attempts: int
    run_at: datetime
    """When it may run next."""
    created_at: datetime
    reason: str | None = None
    """Why the last attempt failed."""
    progress: float = 0.0
    """How far the newest attempt is, from 0 to 1, as its worker told; 1 once the job is done."""
    traceparent: str | None = None
    """As `NewJob.traceparent`."""
    worker: str | None = None
    """Who runs it; None unless it is running."""
    lease_until: datetime | None = None
    """Until when that worker has it, unless it renews; None unless it is running. Once this is over, the worker has
    given no sign of life for as long as it asked for, and the job goes to the next one that looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """How a job stands, told when it got on (`state` is `running`) or ended."""

    job_id: UUID
    kind: str
    dedupe_key: str | None
    state: JobState
    progress: float
    """As `Job.progress`."""
    fence: int
    """Of the lease that it ran under last; 0 for a job that never ran."""
    reason: str | None
    at: datetime
    """When it came to stand so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right of one worker to one job until `expires_at`.

    `fence` grows with every lease of the job: whoever shows an older one has lost the job and can change nothing, nor
    can another worker than `worker`: a server that has forgotten a lease, after a failover, gives its fence once more.
    """

    job: Job
    worker: str
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """How much work there is."""

    counts: Mapping[JobState, int] = field(default_factory=dict)
    oldest_waiting: datetime | None = None
    """When the job that has been runnable for longest could have started."""
