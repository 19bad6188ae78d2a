"""The catalog's table of sessions is the one that `mamkit.auth` needs."""

from collections.abc import Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa

from mamkit.auth import SessionStore
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.catalog import sync_engine
from mamkit.catalog.models import SESSIONS, User
from mamkit.ids import uuid7
from mamkit.testing.sessions import SessionStoreContract

STANDALONE = sessions_table(sa.MetaData())


def describe(table: sa.Table) -> dict[str, tuple[object, ...]]:
    dialect = sa.create_engine("sqlite://").dialect
    return {
        column.name: (column.type.compile(dialect), column.nullable, column.primary_key) for column in table.columns
    }


def unique(table: sa.Table) -> set[str]:
    return {",".join(c.columns.keys()) for c in table.constraints if isinstance(c, sa.UniqueConstraint)}


def test_both_declare_the_same_columns() -> None:
    assert describe(SESSIONS) == describe(STANDALONE)


def test_both_keep_the_same_columns_unique_and_indexed() -> None:
    assert unique(SESSIONS) == unique(STANDALONE) == {"jti", "refresh_token_hash"}
    indexed = [{",".join(index.columns.keys()) for index in table.indexes} for table in (SESSIONS, STANDALONE)]
    assert indexed == [{"user_id", "family", "expires_at"}] * 2


class TestSessionsInTheCatalog(SessionStoreContract):
    """The contract holds on the catalog's own database, too."""

    @pytest.fixture
    def engine(self, url: str) -> Iterator[sa.Engine]:
        engine = sync_engine(url)
        yield engine
        engine.dispose()

    @pytest.fixture
    def store(self, engine: sa.Engine) -> SessionStore:
        return SqlSessionStore(engine, SESSIONS)

    @pytest.fixture
    def user_id(self, engine: sa.Engine) -> UUID:
        user_id = uuid7()
        with engine.begin() as connection:
            connection.execute(sa.insert(User).values(id=user_id, email="a@example.org", display_name=""))
        return user_id
