"""Logins that take two steps: what the first left behind for the second, good once and for minutes.

The second step brings a *handle*, 256 random bits that only whoever did the first has: in a cookie, so that nobody can
be made to finish somebody else's login (RFC 6749 section 10.12), or in the answer, for the second factor.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from mamkit.auth.errors import FlowEndedError
from mamkit.clock import Clock, utc_now

__all__ = ["FlowStore", "Flows", "MemoryFlowStore", "OpenFlow"]

_HANDLE_BYTES = 32
_MAX_HANDLE_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFlow:
    """What is kept between two steps."""

    digest: str = field(repr=False)
    """SHA-256 of the handle, hexadecimal."""
    kind: str
    """What kind of login, e.g. `second-factor`; it can be finished as nothing else."""
    data: str = field(repr=False)
    """What the second step needs, as JSON text."""
    expires_at: datetime


class FlowStore(Protocol):
    """Where open logins are kept. Obligations as for `AttemptStore`; `mamkit.testing.logins.FlowStoreContract`."""

    def put(self, flow: OpenFlow) -> None:
        """Keep a flow; its digest is new."""

    def take(self, digest: str) -> OpenFlow | None:
        """Remove a flow and return it, in one step: of any number of callers at once, one gets it."""

    def purge(self, *, before: datetime) -> int:
        """Forget the flows that expired before a time, and return how many."""


class MemoryFlowStore:
    """A `FlowStore` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._flows: dict[str, OpenFlow] = {}
        self._lock = threading.Lock()

    def put(self, flow: OpenFlow) -> None:
        """Keep a flow."""
        with self._lock:
            self._flows[flow.digest] = flow

    def take(self, digest: str) -> OpenFlow | None:
        """Remove a flow and return it."""
        with self._lock:
            return self._flows.pop(digest, None)

    def purge(self, *, before: datetime) -> int:
        """Forget the flows that expired before a time, and return how many."""
        with self._lock:
            old = [digest for digest, flow in self._flows.items() if flow.expires_at < before]
            for digest in old:
                del self._flows[digest]
            return len(old)


class Flows:
    """Opens logins and finishes them.

    Args:
        store: Where they are kept.
        lifetime: Between the two steps: long enough to type a password elsewhere, short for whoever finds a handle.
        clock: Tells the time.
    """

    def __init__(
        self, store: FlowStore, *, lifetime: timedelta = timedelta(minutes=10), clock: Clock = utc_now
    ) -> None:
        self._store = store
        self._lifetime = lifetime
        self._clock = clock

    @property
    def lifetime(self) -> timedelta:
        """How long a login may take."""
        return self._lifetime

    def open(self, kind: str, data: Mapping[str, Any]) -> str:
        """Keep what the second step needs, and return the handle that finds it.

        Args:
            kind: As for `finish`.
            data: JSON values.
        """
        handle = secrets.token_urlsafe(_HANDLE_BYTES)
        self._keep(kind, handle, data)
        return handle

    def _keep(self, kind: str, handle: str, data: Mapping[str, Any]) -> None:
        self._store.put(
            OpenFlow(
                digest=_digest(handle),
                kind=kind,
                data=json.dumps(dict(data)),
                expires_at=self._clock() + self._lifetime,
            )
        )

    def finish(self, kind: str, handle: str) -> dict[str, Any]:
        """Return what was kept, once.

        Raises:
            FlowEndedError: The handle is none, was used already, is of another kind, or its time has passed.
        """
        flow = self._store.take(_digest(handle)) if 0 < len(handle) <= _MAX_HANDLE_CHARS else None
        if flow is None or flow.kind != kind or self._clock() >= flow.expires_at:
            raise FlowEndedError
        data: dict[str, Any] = json.loads(flow.data)
        return data

    def put_back(self, kind: str, handle: str, data: Mapping[str, Any]) -> None:
        """Keep what `finish` gave under the same handle, for one more try and one more `lifetime`.

        Count what failed, so that tries have an end (`Lockout`).
        """
        self._keep(kind, handle, data)

    def purge(self) -> int:
        """Forget the logins that nobody finished, and return how many; for a daily job."""
        return self._store.purge(before=self._clock())


def _digest(handle: str) -> str:
    return hashlib.sha256(handle.encode("utf-8", "surrogatepass")).hexdigest()
