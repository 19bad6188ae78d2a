"""`mamkit jobs …`: what waits, runs and has failed in the queue, and what to do about it."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from mamkit_apps.cli._installation import DATA_DIR, installed, load_settings
from mamkit_apps.terminal import one_line

if TYPE_CHECKING:
    from mamkit.jobs import Job, JobState, Queue
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]

IDS = click.argument("ids", metavar="ID…", type=click.UUID, nargs=-1, required=True)
NARROW = 60  # characters of a reason in the list; `show` gives all of it


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
@click.option("--json", "as_json", is_flag=True, help="One JSON object: depth and jobs.")
@DATA_DIR
def list_jobs(
    *, state: "JobState | None", limit: int, before: UUID | None, as_json: bool, data_dir: Path | None
) -> None:
    """List jobs, newest first, under a line of how many there are."""
    queue = _queue(data_dir)
    counts, found = queue.depth().counts, queue.list(state=state, limit=limit, before=before)
    if as_json:
        click.echo(json.dumps({"counts": counts, "jobs": [_as_json(job) for job in found]}))
        return
    click.echo("  ".join(f"{count} {name}" for name, count in counts.items()))
    for job in found:
        reason = " ".join(one_line(job.reason or "").split())
        reason = reason if len(reason) <= NARROW else f"{reason[: NARROW - 1]}…"
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        click.echo(f"{job.id}  {job.state:<9}  {job.kind:<14}  {created}  {job.attempts}/{job.max_attempts}  {reason}")


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

    queue = _queue(data_dir)
    _each(ids, queue.requeue, "waits again")
    asyncio.run(_resume(load_settings(data_dir), [queue.get(job_id) for job_id in ids]))


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
