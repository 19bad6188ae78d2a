"""A connection to PostgreSQL that is cut in the middle of a commit: done or not, nothing is done by halves or twice."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from mamkit.jobs import LeaseLostError, QueueUnavailableError
from mamkit.jobs.sql import SqlQueue
from mamkit.testing.jobs import LEASE, ManualClock, claimed, new_job
from tests.servers.postgres import Postgres

COMMIT = b"COMMIT\0"


class Cutter:
    """A way to a server that is cut at the next commit: before the server hears of it, or before it has answered."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._when, self._left = "", 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, when: str, *, commit: int = 1) -> None:
        """Be cut `before` or `after` the server hears of one of the next commits, the first of which is 1."""
        self._when, self._left = when, commit

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            cut = ""
            while not cut and (data := client.recv(1 << 16)):
                self._left -= COMMIT in data
                cut = self._when if COMMIT in data and self._left == 0 else ""
                if cut:
                    client.shutdown(socket.SHUT_RDWR)  # from here on no answer gets through
                if cut != "before":
                    server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR if cut == "before" else socket.SHUT_WR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
        client.close()
        server.close()


Site = tuple[Cutter, SqlQueue, SqlQueue, ManualClock]
"""A way to a queue that can be cut, the queue behind it, the same one by a way that holds, and their clock."""


@pytest.fixture
def site(postgres: Postgres) -> Iterator[Site]:
    url = make_url(postgres.new_database())
    cutter = Cutter(str(url.host), int(url.port or 0))
    engines = [create_engine(each) for each in (url.set(port=cutter.port), url)]
    clock = ManualClock()
    cut, direct = (SqlQueue(engine, clock=clock) for engine in engines)
    direct.create_schema()
    yield cutter, cut, direct, clock
    for engine in engines:
        engine.dispose()
    cutter.close()


def fails(act: Callable[[], object]) -> None:
    with pytest.raises(QueueUnavailableError):
        act()


def comes(condition: Callable[[], bool]) -> None:
    """The server commits a little later than the caller hears that the connection is gone."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_that_is_put_in_again_by_its_key_is_there_once(site: Site, when: str) -> None:
    cutter, queue, direct, _ = site
    cutter.cut(when)
    fails(lambda: queue.enqueue(new_job(dedupe_key="k"), new_job(dedupe_key="l")))
    if when == "after":
        comes(lambda: direct.depth().counts["waiting"] == 2)
    ids = queue.enqueue(new_job(dedupe_key="k"), new_job(dedupe_key="l"))
    assert {job.id for job in direct.list()} == set(ids)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_whose_claim_was_not_answered_is_claimed_again(site: Site, when: str) -> None:
    """At once, or when the lease that nobody knows of has run out."""
    cutter, queue, direct, clock = site
    [job_id] = queue.enqueue(new_job())
    cutter.cut(when, commit=2)  # the first is that of the look
    fails(lambda: queue.claim("worker", lease=LEASE))
    if when == "after":
        comes(lambda: direct.get(job_id).state == "running")
        assert queue.claim("worker", lease=LEASE) is None
        clock.advance(LEASE)
    lease = claimed(queue)
    assert (lease.job.id, lease.fence) == (job_id, 2 if when == "after" else 1)
    queue.complete(lease)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_end_that_was_not_answered_can_be_told_again_and_counts_once(site: Site, when: str) -> None:
    cutter, queue, direct, _ = site
    for end, state in (
        (queue.complete, "done"),
        (lambda lease: queue.bury(lease, reason="bad"), "dead"),
        (lambda lease: queue.retry(lease, reason="again", delay=LEASE), "waiting"),
    ):
        [job_id] = queue.enqueue(new_job())
        lease = claimed(queue)
        cutter.cut(when)
        fails(lambda: end(lease))  # noqa: B023 - called at once
        if when == "after":
            comes(lambda: direct.get(job_id).state == state)  # noqa: B023
            with pytest.raises(LeaseLostError):
                end(lease)
        else:
            end(lease)
        assert (direct.get(job_id).state, direct.get(job_id).attempts) == (state, 1)
