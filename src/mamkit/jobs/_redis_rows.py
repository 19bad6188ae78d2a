"""What the script of `RedisQueue` answers, as values; with and without `decode_responses`."""

import json
from typing import Any
from uuid import UUID

from mamkit.jobs._micros import moment
from mamkit.jobs.models import Job, JobEvent, JobState, Lease

__all__ = ["text", "to_job", "to_lease", "to_standing"]


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _fields(found: Any) -> tuple[UUID, dict[str, str]]:
    """Return id and fields of a job, as the script gives them to clients with and without `decode_responses`."""
    job_id, flat = found
    texts = [text(value) for value in flat]
    return UUID(text(job_id)), dict(zip(texts[::2], texts[1::2], strict=True))


def to_job(found: Any) -> Job:
    job_id, fields = _fields(found)
    state: Any = fields["state"]
    return Job(
        id=job_id,
        kind=fields["kind"],
        payload=json.loads(fields["payload"]),
        state=state,
        priority=int(fields["priority"]),
        dedupe_key=fields.get("dedupe_key"),
        attempts=int(fields["attempts"]),
        max_attempts=int(fields["max_attempts"]),
        run_at=moment(int(fields["run_at"])),
        created_at=moment(int(fields["created_at"])),
        reason=fields.get("reason"),
        progress=_progress(state, fields.get("progress")),
        traceparent=fields.get("traceparent"),
        worker=fields["worker"] if state == "running" else None,
        lease_until=moment(int(fields["lease_until"])) if state == "running" else None,
    )


def to_lease(found: Any) -> Lease:
    _, fields = _fields(found)
    return Lease(
        job=to_job(found),
        worker=fields["worker"],
        fence=int(fields["fence"]),
        expires_at=moment(int(fields["lease_until"])),
    )


def to_standing(found: Any) -> tuple[UUID, JobState, JobEvent | None]:
    """Return a job that runs or has ended, its state, and what is told of it."""
    values = [None if value is None else text(value) for value in found]
    job_id, told = UUID(values[0]), values[1]
    state: Any = told
    kind, dedupe_key, progress, fence, reason, told_at, finished_at = values[2:]
    at = told_at if state == "running" else finished_at
    if at is None:
        return job_id, state, None
    event = JobEvent(
        job_id=job_id,
        kind=kind or "",
        dedupe_key=dedupe_key,
        state=state,
        progress=_progress(state, progress),
        fence=int(fence or 0),
        reason=reason,
        at=moment(int(at)),
    )
    return job_id, state, event


def _progress(state: JobState, told: str | None) -> float:
    return 1.0 if state == "done" else float(told or 0)
