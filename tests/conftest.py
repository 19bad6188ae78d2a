"""What all tests share: readable failures of the contract suites, and one set of rules for hypothesis."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.postgres import Postgres, running

pytest.register_assert_rewrite("mamkit.testing")

# No time limits: a machine that is busy is no failure. No store of examples: tests write under `tmp_path` only.
settings.register_profile("mamkit", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mamkit")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run; ask it for a database of your own."""
    with running() as server:
        yield server
