"""`mamkit jobs …`: what waits, runs and has failed in the queue, and what to do about it."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from mamkit.clock import utc_now
from mamkit_apps.cli._installation import DATA_DIR, installed, load_settings
from mamkit_apps.terminal import duration_text, one_line

if TYPE_CHECKING:
    from mamkit.jobs import Job, JobState, Queue, QueueDepth
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]

IDS = click.argument("ids", metavar="ID…", type=click.UUID, nargs=-1, required=True)
NARROW = 60  # characters of a reason in the list; `show` gives all of it
LONG = 60  # seconds that a job waits while none runs: workers look several times a second


def _queue(data_dir: Path | None) -> "Queue":
    from mamkit_apps.wiring import open_queue

    settings = load_settings(data_dir)
    return open_queue(settings if settings.redis_url else installed(data_dir))


def _as_json(job: "Job") -> dict[str, Any]:
    names = ("kind", "state", "priority", "dedupe_key", "attempts", "max_attempts", "reason", "payload")
    fields = {name: getattr(job, name) for name in names}
    return {
        "id": str(job.id),
        "created_at": job.created_at.isoformat(),
        "run_at": job.run_at.isoformat(),
        **fields,
        "progress": job.progress,
        "worker": job.worker,
        "lease_until": job.lease_until and job.lease_until.isoformat(),
    }


def _each(ids: tuple[UUID, ...], act: Callable[[UUID], None], done: str) -> None:
    for job_id in ids:
        act(job_id)
        click.echo(f"{job_id} {done}")


@click.group()
def jobs() -> None:
    """The queue: look, try again, take out."""


@jobs.command("list")
@click.option("--state", type=click.Choice(["waiting", "running", "done", "dead", "cancelled"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--before", type=click.UUID, help="Only jobs that came before this one, the last of the page before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: counts, oldest_waiting and jobs.")
@DATA_DIR
def list_jobs(
    *, state: "JobState | None", limit: int, before: UUID | None, as_json: bool, data_dir: Path | None
) -> None:
    """List jobs, newest first, under a line of how many there are.

    A line each: id, state, kind, when it was made (UTC), tries, how it stands, what it is about.
    """
    queue = _queue(data_dir)
    depth, found = queue.depth(), queue.list(state=state, limit=limit, before=before)
    if as_json:
        oldest = depth.oldest_waiting and depth.oldest_waiting.isoformat()
        listed = [_as_json(job) for job in found]
        click.echo(json.dumps({"counts": depth.counts, "oldest_waiting": oldest, "jobs": listed}))
        return
    now = utc_now()
    click.echo(_summary(depth, now))
    for job in found:
        facts = (
            f"{job.id}  {job.state:<9}  {job.kind:<14}  {job.created_at:%Y-%m-%d %H:%M:%S}",
            f"{job.attempts}/{job.max_attempts}",
            *filter(None, (_standing(job, now), _about(job))),
        )
        click.echo(one_line("  ".join(facts)))


def _summary(depth: "QueueDepth", now: datetime) -> str:
    """Return how many jobs there are in each state, and whether nobody seems to take them."""
    text = "  ".join(f"{count} {name}" for name, count in depth.counts.items())
    if depth.oldest_waiting is None or (waits := (now - depth.oldest_waiting).total_seconds()) < 1:
        return text
    idle = not depth.counts.get("running") and waits > LONG
    return f"{text}  the oldest waits for {duration_text(waits)}{': does a worker run?' if idle else ''}"


def _standing(job: "Job", now: datetime) -> str:
    """Return how far a job is and at whom, when its turn comes, or why it failed."""
    reason = " ".join(one_line(job.reason or "").split())
    reason = reason if len(reason) <= NARROW else f"{reason[: NARROW - 1]}…"
    after = f", after {reason}" if reason else ""
    if job.lease_until is not None:
        silent = (now - job.lease_until).total_seconds()
        lease = f"silent for {duration_text(silent)}" if silent > 0 else f"lease for {duration_text(-silent)}"
        return f"{job.progress:.0%} at {job.worker}, {lease}{after}"
    if job.state == "waiting" and (left := (job.run_at - now).total_seconds()) > 0:
        return f"in {duration_text(left)}{after}"
    return reason


def _about(job: "Job") -> str:
    part, version = job.payload.get("part"), job.payload.get("version_id")
    what = f"{part.get('kind')} {part.get('index')} of " if isinstance(part, dict) else ""
    return "" if version is None else f"[{what}version {version}]"


@jobs.command()
@IDS
@DATA_DIR
def show(*, ids: tuple[UUID, ...], data_dir: Path | None) -> None:
    """Print jobs as JSON, with payload and reason."""
    queue = _queue(data_dir)
    for job_id in ids:
        click.echo(json.dumps(_as_json(queue.get(job_id)), indent=2))


@jobs.command()
@IDS
@DATA_DIR
def retry(*, ids: tuple[UUID, ...], data_dir: Path | None) -> None:
    """Let dead or cancelled jobs wait again, their attempts counted anew; previews that failed with them go on."""
    import asyncio

    from mamkit_apps.wiring import open_queue

    settings = installed(data_dir)
    queue = open_queue(settings)
    _each(ids, queue.requeue, "waits again")
    asyncio.run(_resume(settings, [queue.get(job_id) for job_id in ids]))


async def _resume(settings: "ServiceSettings", found: "list[Job]") -> None:
    from mamkit.previews import InvalidMessageError
    from mamkit_apps.publishing import open_publisher

    async with open_publisher(settings) as publisher:
        for job in found:
            with suppress(InvalidMessageError):  # a job of somebody else's in the same queue
                await publisher.resume(job)


@jobs.command()
@IDS
@DATA_DIR
def drop(*, ids: tuple[UUID, ...], data_dir: Path | None) -> None:
    """Forget jobs that are done, dead or cancelled."""
    _each(ids, _queue(data_dir).drop, "forgotten")


@jobs.command()
@IDS
@DATA_DIR
def cancel(*, ids: tuple[UUID, ...], data_dir: Path | None) -> None:
    """Take waiting or running jobs out; the preview that a job is for fails."""
    queue = _queue(data_dir)
    for job_id in ids:
        queue.cancel(job_id)
        click.echo(f"{job_id} {queue.get(job_id).state}")


commands = [jobs]
