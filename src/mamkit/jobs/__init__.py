"""A durable queue of jobs with leases: what is lost with a killed worker is done by the next one.

A worker claims a job for a while and renews its lease as long as it works. When it dies, the lease runs out and another
worker claims the job under a larger *fence*; the first can then change nothing more.

    queue = SqlQueue(create_engine("sqlite:///jobs.db"))  # from mamkit.jobs.sql, extra [jobs]
    queue.create_schema()
    queue.enqueue(NewJob(kind="greet", payload={"name": "Ada"}))
    lease = queue.claim("worker-1", lease=timedelta(seconds=30))
    if lease is not None:
        with Heartbeat(queue, lease, duration=timedelta(seconds=30)):
            print("Hello,", lease.job.payload["name"])
        queue.complete(lease)
"""

from mamkit.jobs.errors import (
    DedupeKeyTakenError,
    InvalidJobError,
    InvalidPayloadError,
    JobNotFoundError,
    LeaseLostError,
    QueueError,
    QueueUnavailableError,
    UnsupportedDatabaseError,
    UnsupportedServerError,
)
from mamkit.jobs.memory import MemoryQueue
from mamkit.jobs.models import FinishedState, Job, JobEvent, JobState, Lease, NewJob, QueueDepth
from mamkit.jobs.protocol import CanBatch, CanTell, CanWait, Queue, Watch
from mamkit.jobs.runner import Heartbeat, backoff

__all__ = [
    "CanBatch",
    "CanTell",
    "CanWait",
    "DedupeKeyTakenError",
    "FinishedState",
    "Heartbeat",
    "InvalidJobError",
    "InvalidPayloadError",
    "Job",
    "JobEvent",
    "JobNotFoundError",
    "JobState",
    "Lease",
    "LeaseLostError",
    "MemoryQueue",
    "NewJob",
    "Queue",
    "QueueDepth",
    "QueueError",
    "QueueUnavailableError",
    "UnsupportedDatabaseError",
    "UnsupportedServerError",
    "Watch",
    "backoff",
]
