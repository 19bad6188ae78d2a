"""A claim costs a database the same however many jobs it does not want wait in front, counted in its own work."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import LEASE, new_job
from tests.servers.postgres import Postgres

CROWD = 1500
CARD = [new_job(kind="card", priority=-1)] * CROWD  # more urgent than what is claimed
DELAYED = [new_job(kind="test", priority=1, delay=LEASE)] * CROWD


def claim(queue: SqlQueue, kinds: list[str] | None = None) -> None:
    lease = queue.claim("worker", kinds=kinds or ["test", "other"], lease=LEASE)
    assert lease is not None
    queue.release(lease, delay=timedelta(days=1))


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

    def cost(queue: SqlQueue, kinds: list[str] | None = None) -> int:
        nonlocal steps
        steps = 0
        claim(queue, kinds)
        return steps

    queue = SqlQueue(sqlite)
    queue.create_schema()
    queue.enqueue(*[new_job(kind="test")] * 10, CARD[0], DELAYED[0])
    claim(queue)
    few = cost(queue)
    queue.enqueue(*CARD)
    queue.enqueue(*DELAYED)
    assert cost(queue) < 1.2 * few
    assert cost(queue, ["test"]) < few


def test_postgresql_reads_the_same_rows_while_few_and_while_many_wait(postgres: Postgres) -> None:
    """With figures about the table from a time at which nothing of the wanted kind was in it."""
    engine = create_engine(postgres.new_database())
    queue = SqlQueue(engine)
    queue.create_schema()
    queue.enqueue(*CARD)
    queue.enqueue(*DELAYED)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE jobs")
    queue.enqueue(*[new_job(kind="test")] * 5)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, parameters: Any, _context: object, _many: object) -> None:
        statements.append((statement, parameters))

    claim(queue)
    claiming = [(statement, parameters) for statement, parameters in statements if "kind0" in parameters]
    assert len(claiming) == 2, "look, take"
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
