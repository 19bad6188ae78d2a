"""A process that refreshes one token from many threads at once, as a fleet of API servers does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier
from typing import Any

import sqlalchemy as sa

from mamkit.auth import SessionGrant, Sessions
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.errors import MamkitError

SECRET = b"s" * 32
GRACE = timedelta(seconds=15)


class Clock:
    """Tells the time that it was told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def open_engine(url: str, *, connections: int) -> sa.Engine:
    """Return an engine for so many threads at once."""
    if url.startswith("sqlite"):
        return sa.create_engine(url, connect_args={"timeout": 60}, pool_size=connections)
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=connections)


@contextmanager
def open_sessions(url: str, clock: Callable[[], datetime], *, connections: int) -> Any:
    """Give the sessions that are kept in a database."""
    engine = open_engine(url, connections=connections)
    try:
        yield Sessions(SqlSessionStore(engine, sessions_table(sa.MetaData())), secret=SECRET, grace=GRACE, clock=clock)
    finally:
        engine.dispose()


def serve(url: str, threads: int, start: Barrier, rounds: Connection) -> None:
    """For each `(token, now)` that comes in, refresh it from all threads at once and send what each of them got.

    The answer of a thread is a `SessionGrant`, or the code of the error that it met.
    """
    clock = Clock(datetime.now(UTC))
    with (
        open_sessions(url, clock, connections=threads) as sessions,
        ThreadPoolExecutor(threads) as pool,
    ):

        def refresh(token: str, together: ThreadBarrier) -> SessionGrant | str:
            if together.wait() == 0:
                start.wait()  # for the other processes
            together.wait()
            try:
                grant: SessionGrant = sessions.refresh(token)
            except MamkitError as error:
                return error.code
            return grant

        while (task := rounds.recv()) is not None:
            token, clock.now = task
            together = ThreadBarrier(threads)
            rounds.send([answer.result() for answer in [pool.submit(refresh, token, together) for _ in range(threads)]])
