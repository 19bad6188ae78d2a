from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from mamkit.ids import uuid7
from mamkit.jobs import MemoryQueue, Queue
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import EventContract, ManualClock, QueueContract
from tests.redis_server import RedisServer


class TestMemoryQueue(QueueContract, EventContract):
    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        return MemoryQueue(clock=clock)


class TestSqlQueueOnSqlite(QueueContract, EventContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, tmp_path: Path) -> Iterator[Queue]:
        engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
        queue = SqlQueue(engine, clock=clock)
        queue.create_schema()
        yield queue
        engine.dispose()


class TestRedisQueue(QueueContract, EventContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, redis_server: RedisServer) -> Iterator[Queue]:
        queue = RedisQueue.from_url(redis_server.url, name=str(uuid7()), clock=clock)
        yield queue
        queue.close()
