from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from mamkit.ids import uuid7
from mamkit.jobs import MemoryQueue, Queue
from mamkit.jobs._table import jobs
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import BatchContract, ClockContract, EventContract, ManualClock, QueueContract
from tests.redis_server import RedisServer
from tests.servers.postgres import Postgres


@pytest.fixture(scope="module")
def engine(postgres: Postgres) -> Iterator[Engine]:
    engine = create_engine(postgres.new_database(), pool_size=8)
    SqlQueue(engine).create_schema()
    yield engine
    engine.dispose()


class TestMemoryQueue(QueueContract, EventContract, BatchContract, ClockContract):
    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        return MemoryQueue(clock=clock)


class TestSqlQueueOnSqlite(QueueContract, EventContract, BatchContract, ClockContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, tmp_path: Path) -> Iterator[Queue]:
        engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
        queue = SqlQueue(engine, clock=clock)
        queue.create_schema()
        yield queue
        engine.dispose()


class TestSqlQueueOnPostgresql(QueueContract, EventContract, BatchContract, ClockContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, engine: Engine) -> Queue:
        with engine.begin() as connection:
            connection.execute(jobs.delete())
        return SqlQueue(engine, clock=clock)


class TestRedisQueue(QueueContract, EventContract, BatchContract, ClockContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, redis_server: RedisServer) -> Iterator[Queue]:
        queue = RedisQueue.from_url(redis_server.url, name=str(uuid7()), clock=clock)
        yield queue
        queue.close()
