"""Fifty parallel refreshes with one token, by two processes: nobody is logged out, and nothing is left of a thief.

CI runs some rounds; `MAMKIT_REFRESH_ROUNDS=200` runs as many as you like.
"""

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from mamkit.auth import SessionReusedError, SessionRevokedError
from mamkit.auth.sql import sessions_table
from tests.servers.postgres import Postgres
from tests.unit.auth.refreshing import GRACE, Clock, open_engine, open_sessions, serve

PROCESSES = 2
PARALLEL = 50  # refreshes at once, of all processes together
ROUNDS = int(os.environ.get("MAMKIT_REFRESH_ROUNDS", "12"))
PATIENCE = 120  # seconds for one round on a busy machine


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the one table in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/sessions.db"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    engine = open_engine(url, connections=1)
    metadata = sa.MetaData()
    sessions_table(metadata)
    metadata.create_all(engine)
    if request.param == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()
    return url


def test_fifty_parallel_refreshes_of_two_processes_leave_one_family_alive(url: str) -> None:
    """Every round: one answer for all, one live link, no alarm; and a replay after the grace ends the family."""
    spawn = get_context("spawn")
    start = spawn.Barrier(PROCESSES)
    clock = Clock(datetime(2026, 3, 1, tzinfo=UTC))
    with ExitStack() as stack:
        sessions = stack.enter_context(open_sessions(url, clock, connections=2))
        lines = []
        for _ in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=serve, args=(url, PARALLEL // PROCESSES, start, theirs), daemon=True)
            process.start()
            stack.callback(process.join, 30)
            stack.callback(ours.send, None)
            lines.append(ours)

        def refresh_everywhere(token: str) -> list[object]:
            for line in lines:
                line.send((token, clock.now))
            answers: list[object] = []
            for line in lines:
                assert line.poll(PATIENCE), "a process does not answer"
                answers += line.recv()
            return answers

        for _ in range(ROUNDS):
            user = uuid4()
            first = sessions.start(user)
            answers = refresh_everywhere(first.refresh_token)
            assert len(answers) == PARALLEL
            assert len(set(answers)) == 1, set(answers)
            (alive,) = sessions.list(user)
            assert (alive.family, alive.parent_jti) == (first.family, first.jti)

            clock.now += GRACE  # the last moment of the grace: still nobody is logged out
            second = sessions.refresh(first.refresh_token)
            assert second == answers[0]

            clock.now += timedelta(microseconds=1)
            replays = refresh_everywhere(first.refresh_token)
            assert set(replays) <= {SessionReusedError.code, SessionRevokedError.code}
            assert SessionReusedError.code in replays
            assert sessions.list(user) == []
            with pytest.raises(SessionRevokedError):
                sessions.refresh(second.refresh_token)
