"""The stores of attempts and of open logins keep their contracts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mamkit.auth import AttemptStore, FlowStore, MemoryAttemptStore, MemoryFlowStore
from mamkit.auth.sql_logins import SqlAttemptStore, SqlFlowStore, attempts_table, flows_table
from mamkit.testing.logins import AttemptStoreContract, FlowStoreContract
from tests.servers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[sa.Engine, sa.Table, sa.Table]]:
    if request.param == "sqlite":
        engine = sa.create_engine(f"sqlite:///{tmp_path}/logins.db", connect_args={"timeout": 30})
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        engine = sa.create_engine(postgres.new_database().replace("postgresql:", "postgresql+psycopg:"))
    metadata = sa.MetaData()
    attempts, flows = attempts_table(metadata), flows_table(metadata)
    metadata.create_all(engine)
    yield engine, attempts, flows
    engine.dispose()


class TestMemoryAttemptStore(AttemptStoreContract):
    @pytest.fixture
    def store(self) -> AttemptStore:
        return MemoryAttemptStore()


class TestSqlAttemptStore(AttemptStoreContract):
    @pytest.fixture
    def store(self, tables: tuple[sa.Engine, sa.Table, sa.Table]) -> AttemptStore:
        return SqlAttemptStore(tables[0], tables[1])


class TestMemoryFlowStore(FlowStoreContract):
    @pytest.fixture
    def store(self) -> FlowStore:
        return MemoryFlowStore()


class TestSqlFlowStore(FlowStoreContract):
    @pytest.fixture
    def store(self, tables: tuple[sa.Engine, sa.Table, sa.Table]) -> FlowStore:
        return SqlFlowStore(tables[0], tables[2])
