from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from mamkit.jobs import MemoryQueue, Queue
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import ManualClock, QueueContract


class TestMemoryQueue(QueueContract):
    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        return MemoryQueue(clock=clock)


class TestSqlQueueOnSqlite(QueueContract):
    @pytest.fixture
    def queue(self, clock: ManualClock, tmp_path: Path) -> Iterator[Queue]:
        engine = create_engine(f"sqlite:///{tmp_path}/jobs.db")
        queue = SqlQueue(engine, clock=clock)
        queue.create_schema()
        yield queue
        engine.dispose()
