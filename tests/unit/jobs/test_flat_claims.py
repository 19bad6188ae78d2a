"""A claim costs a server the same however many jobs stand before it that it cannot have, counted in its own work."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, create_engine, event

from mamkit.ids import uuid7
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import LEASE, new_job
from tests.redis_server import RedisServer
from tests.servers.postgres import Postgres

CROWD = 1500
CARD = [new_job(kind="card", priority=-1)] * CROWD  # more urgent than what is claimed
# As are those that have failed, all at once.
DELAYED = [new_job(kind=kind, priority=-1, delay=LEASE) for kind in ("test", "later")] * (CROWD // 2)
RUNNING = [new_job(kind="test", priority=-2)] * CROWD


def crowd(queue: SqlQueue | RedisQueue) -> None:
    """Let there be many in front of what is claimed."""
    queue.enqueue(*RUNNING)
    leased = [queue.claim_many("other", limit, kinds=["test"], lease=LEASE) for limit in (1000, CROWD - 1000)]
    assert sum(map(len, leased)) == CROWD
    queue.enqueue(*CARD)
    queue.enqueue(*DELAYED)


def costs(queue: SqlQueue | RedisQueue, work: Callable[[], int]) -> list[int]:
    """Return by how much a counter grows with a claim of one kind, of two, and of a kind of which nothing is ready."""
    found = []
    for kinds in (["test"], ["test", "other"]):
        queue.claim("worker", kinds=kinds, lease=LEASE)  # the first in a while may learn the script, or the table
        before = work()
        assert queue.claim("worker", kinds=kinds, lease=LEASE) is not None
        found.append(work() - before)
    queue.enqueue(new_job(kind="later", delay=LEASE))
    before = work()
    assert queue.claim("worker", kinds=["later"], lease=LEASE) is None
    return [*found, work() - before]


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
    yield engine
    engine.dispose()


def test_sqlite_takes_the_same_steps_while_few_and_while_many_wait(sqlite: Engine) -> None:
    """In instructions of its virtual machine."""
    steps = 0

    @event.listens_for(sqlite, "connect")
    def count(connection: sqlite3.Connection, _: object) -> None:
        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(step, 1)

    queue = SqlQueue(sqlite)
    queue.create_schema()
    queue.enqueue(*[new_job(kind="test")] * 4)
    few = costs(queue, lambda: steps)
    crowd(queue)
    queue.enqueue(*[new_job(kind="test")] * 4)
    many = costs(queue, lambda: steps)
    assert all(after < 1.2 * before for after, before in zip(many, few, strict=True)), (few, many)


def test_redis_runs_the_same_commands_while_few_and_while_many_wait(redis_server: RedisServer) -> None:
    """Those of its scripts; none of them answers with more than is handed out."""
    with redis.Redis.from_url(redis_server.url) as client:

        def commands() -> int:
            stats: Any = client.info("commandstats")
            return sum(each["calls"] for each in stats.values())

        queue = RedisQueue(client, name=str(uuid7()))
        queue.enqueue(*[new_job(kind="test")] * 4)
        few = costs(queue, commands)
        crowd(queue)
        queue.enqueue(*[new_job(kind="test")] * 4)
        assert costs(queue, commands) == few


def test_postgresql_reads_the_same_rows_while_few_and_while_many_wait(postgres: Postgres) -> None:
    """With figures about the table from a time at which nothing of the wanted kind was in it."""
    engine = create_engine(postgres.new_database())
    queue = SqlQueue(engine)
    queue.create_schema()
    crowd(queue)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE jobs")
    queue.enqueue(*[new_job(kind="test")] * 5)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, parameters: Any, _context: object, _many: object) -> None:
        statements.append((statement, parameters))

    assert queue.claim("worker", kinds=["test", "other"], lease=LEASE) is not None
    assert queue.claim("worker", kinds=["later"], lease=LEASE) is None
    claiming = [(statement, parameters) for statement, parameters in statements if "kind0" in parameters]
    assert len(claiming) == 3, "look, take; look"
    with engine.begin() as connection:
        for statement, parameters in claiming:
            plan: Any = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            assert walked(plan[0]["Plan"]) < 50, plan
    engine.dispose()


def walked(node: dict[str, Any]) -> int:
    """Return how many rows a plan has read, those included that it did not want."""
    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(read * node["Actual Loops"]) + sum(walked(each) for each in node.get("Plans", ()))


def test_any_number_of_kinds_may_be_there_and_be_asked_for(sqlite: Engine) -> None:
    """More than one statement looks at."""
    queue = SqlQueue(sqlite)
    queue.create_schema()
    kinds = [f"kind-{number}" for number in range(50)]
    ids = queue.enqueue(*(new_job(kind=kind, priority=-number) for number, kind in enumerate(kinds)))
    for asked in (None, kinds, [*kinds, *kinds]):
        lease = queue.claim("worker", kinds=asked, lease=LEASE)
        assert lease is not None
        assert lease.job.id == ids.pop()
    assert [lease.job.id for lease in queue.claim_many("worker", 5, kinds=kinds, lease=LEASE)] == ids[:-6:-1]
