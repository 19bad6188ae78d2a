"""What a report costs the database: a worker sends one twice a second, and a fleet of them shares one server."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mamkit.catalog import sync_engine
from mamkit.jobs.sql import SqlQueue
from mamkit.previews import Progress, Publisher, _growth
from tests.unit.catalog.manual_clock import Clock
from tests.unit.previews.bench import LEASE, bench
from tests.unit.previews.test_publisher import film, finished

WORK = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is asked of databases, without what begins and ends transactions."""
    found: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(WORK):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


async def cost(report: Awaitable[object]) -> int:
    """Return how many statements the taking of a report takes."""
    with statements() as found:
        await report
    return len(found)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_reports_ask_for_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts are the same on PostgreSQL; transactions, each of which begins and ends, come on top there."""
    clock = Clock()
    async with bench(tmp_path, clock=clock) as b:
        engine = sync_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
        queue = SqlQueue(engine)
        queue.create_schema()
        b.queue, b.publisher = queue, Publisher(b.catalog, queue, b.zones)  # type: ignore[assignment]
        version_id = await b.version()
        plan = await b.plan(version_id, film())
        (first, part), *others = b.leases()

        def so_far(done: Fraction) -> Progress:
            return Progress(version_id=version_id, job_id=first.job.id, fence=first.fence, part=part.index, done=done)

        with statements() as heartbeat:
            queue.renew(first, by=LEASE)
        assert len(heartbeat) == 1
        # The fence, the job, preview and part; how far both are; the event, and of which asset it is.
        monkeypatch.setattr(_growth, "TELL_APART", 0)
        assert await cost(b.publisher.take(so_far(Fraction(0)))) == 8
        monkeypatch.setattr(_growth, "TELL_APART", 3600)
        assert await cost(b.publisher.take(so_far(Fraction(1, 4)))) == 5, "the fence, preview, part; and both written"
        assert await cost(b.publisher.take(so_far(Fraction(1, 2)))) == 1, "the fence; the rest is for a moment later"
        assert await cost(b.publisher.take(finished(version_id, first, plan, part))) == 6, "and how many are done"
        assert await cost(b.publisher.take(finished(version_id, first, plan, part))) == 3, "was taken before"
        clock.advance(timedelta(seconds=2))
        lease, second = others[0]
        # As above with the job and the event; then version, preview and asset as playable, and that event.
        assert await cost(b.publisher.take(finished(version_id, lease, plan, second))) == 14
        assert await b.status(version_id) == "playable"
        engine.dispose()
