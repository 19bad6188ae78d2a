"""The session stores keep the one contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mamkit.auth import MemorySessionStore, SessionStore
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.testing.sessions import SessionStoreContract
from tests.servers.postgres import Postgres


class TestMemorySessionStore(SessionStoreContract):
    """In the memory of one process."""

    @pytest.fixture
    def store(self) -> SessionStore:
        return MemorySessionStore()


class TestSqlSessionStore(SessionStoreContract):
    """On SQLite as SQLAlchemy sets it up by itself."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SessionStore]:
        engine = sa.create_engine(f"sqlite:///{tmp_path}/sessions.db", connect_args={"timeout": 30})
        metadata = sa.MetaData()
        table = sessions_table(metadata)
        metadata.create_all(engine)
        yield SqlSessionStore(engine, table)
        engine.dispose()


class TestSqlSessionStoreOnPostgres(SessionStoreContract):
    """On PostgreSQL, where readers do not wait for writers."""

    @pytest.fixture
    def store(self, postgres: Postgres) -> Iterator[SessionStore]:
        engine = sa.create_engine(postgres.new_database().replace("postgresql:", "postgresql+psycopg:"))
        metadata = sa.MetaData()
        table = sessions_table(metadata)
        metadata.create_all(engine)
        yield SqlSessionStore(engine, table)
        engine.dispose()
