"""What the tests of this folder share: clients that try again, and a look at the processes of this machine."""

import contextlib
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx

from mamkit.catalog import EmailTakenError
from mamkit_apps.demo.client import Client, RefusedError

__all__ = ["again", "children", "command_of", "make_account", "parents"]

T = TypeVar("T")


def again(act: Callable[[], T], *, seconds: float = 300) -> T:
    """Do something as a client does that tries again while a service is down: same request, until it is answered."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        except RefusedError as error:
            waits = error.status >= 500 or error.status == HTTPStatus.TOO_MANY_REQUESTS  # it has asked too often
            if not waits or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def make_account(client: Client) -> None:
    """Make the account of the tests; an answer that was lost leaves one behind."""
    try:
        again(lambda: client.register("ada@example.com", "correct horse battery staple"))
    except RefusedError as error:
        if error.problem != EmailTakenError.code:
            raise


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    return [child for child, of in parents().items() if of == parent]


def parents() -> dict[int, int]:
    """Return the parent of each process of this machine."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()  # the name before may hold anything
            found[int(stat.parent.name)] = int(fields[1])
    return found


def command_of(process: int) -> list[str]:
    """Return the command line of a process; nothing if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []
