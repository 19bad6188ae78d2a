"""Two versions over one catalog, and a queue that has forgotten: nothing is lost, and somebody says what is wrong."""

import asyncio
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.jobs import LeaseLostError
from mamkit.previews import InvalidMessageError, Progress, Publisher, StaleReportError
from mamkit.previews.messages import PLAN_JOB
from tests.unit.previews.bench import LEASE, Bench, bench
from tests.unit.previews.test_publisher import film, finished


async def change_plan(b: Bench, version_id: UUID, **more: Any) -> None:
    """Let a plan say something that this version does not know; None takes it away again."""
    async with b.catalog.begin() as session:
        preview = await db.preview_of(session, version_id, for_update=True)
        preview.plan = {name: value for name, value in ((preview.plan or {}) | more).items() if value is not None}


def test_a_film_that_a_later_version_has_planned_is_shown_and_left_to_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, _ = await b.version(), await b.version()
            plan = await b.plan(version_id, film())
            leases = b.leases()
            for lease, part in leases[:3]:
                await b.publisher.take(finished(version_id, lease, plan, part))
            before = await b.publisher.state(version_id)
            await change_plan(b, version_id, mood="bright")
            older = Publisher(b.catalog, b.queue, b.zones)
            after = await older.state(version_id)
            assert (after.status, after.progress) == (before.status, before.progress)
            assert 0 < after.progress < 1
            lease, part = leases[3]
            for report in (
                finished(version_id, lease, plan, part),
                Progress(
                    version_id=version_id, job_id=lease.job.id, fence=lease.fence, part=part.index, done=Fraction(0)
                ),
            ):
                with pytest.raises(InvalidMessageError):
                    await older.take(report)
            b.queue.complete(lease)  # without a word, so that its preview is to be looked after
            await older.reconcile()
            assert await b.status(version_id) == before.status
            assert b.queue.claim("worker", kinds=[PLAN_JOB], lease=LEASE) is not None, "the other was looked after"
            [said] = [record.getMessage() for record in caplog.records]
            assert said.startswith(
                f"preview {version_id} cannot be looked after by this version, and is left to a later one"
            )

            # The later version goes on, and is gone when all is done.
            await change_plan(b, version_id, mood=None)
            await b.publisher.reconcile()
            for lease, part in [*leases[4:], *b.leases()]:
                await b.publisher.take(finished(version_id, lease, plan, part))
            await change_plan(b, version_id, mood="bright")
            ready = await older.state(version_id)
            assert (ready.status, ready.progress) == ("ready", 1.0)

    caplog.set_level(logging.WARNING)
    asyncio.run(scenario())


def test_a_queue_that_is_emptied_while_parts_are_made_costs_those_parts_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a Redis that is flushed, or comes back without its file: who had a part is refused, and it is made again."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id, queued = await b.version(), await b.version()
            plan = await b.plan(version_id, film())
            (first, part), (second, its_part), *_ = b.leases()
            await b.publisher.start(queued)
            await b.publisher.take(finished(version_id, first, plan, part))
            b.queue._entries.clear()
            with pytest.raises(StaleReportError):
                await b.publisher.take(finished(version_id, second, plan, its_part))
            with pytest.raises(LeaseLostError):
                b.queue.complete(second)
            assert await b.publisher.reconcile() == 2
            assert {
                f"preview {version_id}: the queue has lost {len(plan.parts) - 1} of its jobs, which are put in again",
                f"preview {queued}: the queue has lost 1 of its jobs, which are put in again",
            } == {record.getMessage() for record in caplog.records}
            assert b.queue.claim("worker", kinds=[PLAN_JOB], lease=LEASE) is not None
            for lease, again in b.leases():
                await b.publisher.take(finished(version_id, lease, plan, again))
            assert await b.status(version_id) == "ready"

    caplog.set_level(logging.WARNING)
    asyncio.run(scenario())
