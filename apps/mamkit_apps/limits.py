"""How often: what the services count requests with, in one process or for all of them."""

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple, Protocol

from mamkit.errors import MamkitError

__all__ = [
    "BURST",
    "GoodKeys",
    "LimitReachedError",
    "MemoryRate",
    "Meter",
    "SharedRate",
    "Taken",
    "client_address",
    "client_name",
]

log = logging.getLogger(__name__)

BURST = 10.0  # seconds' worth of requests that may come at once: a player that seeks asks for much and then is quiet
NAMES = 65536  # clients and tokens remembered, some 100 bytes each
OUTAGE = 5.0  # seconds after which a shared store of limits that failed is asked again


class LimitReachedError(MamkitError):
    """A client or a token asks for more than the operator allows, or the service has as much to do as it may.

    Attributes:
        retry_after: Seconds after which to try again.
        busy: Whether it is the service that is full, and not this client's share.
    """

    code = "apps.limit_reached"

    def __init__(self, what: str, *, retry_after: float, busy: bool = False) -> None:
        super().__init__(f"there are too many {what}; try again later")
        self.retry_after = retry_after
        self.busy = busy


class Taken(NamedTuple):
    """What became of a request that was to be counted."""

    wait: float
    """0 if it was counted, else the seconds after which to try again."""
    backlog: float
    """Seconds after which the client has its whole share again."""


class SharedRate(Protocol):
    """A rate that counts for several processes."""

    async def take(self, name: str, rate: float) -> Taken:
        """Count a request, or say when to try again."""


class MemoryRate:
    """A rate of one process: the generic cell rate algorithm (ITU-T I.371, annex A).

    Args:
        clock: Monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}

    def take(self, name: str, rate: float) -> Taken:
        """Count a request, or say when to try again.

        Args:
            name: Whose rate it is.
            rate: Requests a second; ten seconds' worth may come at once.
        """
        now = self._clock()
        due = max(self._due.get(name, 0.0), now)
        wait = due + 1 / rate - BURST - now
        if wait > 0:
            return Taken(wait, due - now)
        if len(self._due) >= NAMES and name not in self._due:
            self._forget(now)
        self._due[name] = due + 1 / rate
        return Taken(0.0, due + 1 / rate - now)

    def _forget(self, now: float) -> None:
        """Drop who has nothing to wait for any more; if that is nobody, those who have come first."""
        kept = {name: due for name, due in self._due.items() if due > now}
        for name in list(kept)[: max(0, len(kept) - NAMES // 2)]:
            del kept[name]
        self._due = kept


class GoodKeys:
    """API keys that were found good lately, by their digests.

    A key that was never good takes its address's share and not one of its own: made-up ones would each have a new one.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}

    def add(self, key: str) -> None:
        """Remember a key; the one remembered first makes room where there are too many."""
        self._known.setdefault(hashlib.sha256(key.encode()).digest())
        if len(self._known) > NAMES:
            del self._known[next(iter(self._known))]

    def __contains__(self, key: str) -> bool:
        return hashlib.sha256(key.encode()).digest() in self._known


class Meter:
    """Counts for all processes where they share something to count in, and for this one where they do not.

    Args:
        shared: Counts for all processes; when it fails, this process counts for itself for a while.
    """

    def __init__(self, shared: SharedRate | None = None) -> None:
        self._shared = shared
        self._memory = MemoryRate()
        self._asked_again = 0.0

    async def take(self, name: str, rate: float) -> Taken:
        """Count a request, or say when to try again."""
        if self._shared is not None and time.monotonic() >= self._asked_again:
            try:
                return await self._shared.take(name, rate)
            except Exception as error:  # whatever ails it, the service goes on
                self._asked_again = time.monotonic() + OUTAGE
                log.warning("limits count for this process alone: %s", type(error).__name__)
        return self.take_here(name, rate)

    def take_here(self, name: str, rate: float) -> Taken:
        """Count a request for this process alone, or say when to try again."""
        return self._memory.take(name, rate)

    async def take_for_all(self, name: str, rate: float) -> Taken:
        """Count a request where all processes see it.

        Raises:
            Exception: What they share cannot be asked; which error it is depends on what that is.
        """
        return self._memory.take(name, rate) if self._shared is None else await self._shared.take(name, rate)


@lru_cache(maxsize=4096)
def client_name(address: str | None) -> str:
    """Return what stands for a client in limits: an IPv4 address, or the /64 of an IPv6 one, of which any home has one
    (RFC 6177).
    """  # noqa: D205 - one sentence
    with suppress(ValueError):
        found = ip_address(address or "")
        if found.version == 6:
            mapped = found.ipv4_mapped
            return str(mapped) if mapped else str(IPv6Network((int(found), 64), strict=False).network_address)
        return str(found)
    return address or ""


def client_address(peer: str | None, forwarded_for: str, trusted: tuple[IPv4Network | IPv6Network, ...]) -> str | None:
    """Return the address of a client: what is connected, or whom the proxies that are trusted have seen.

    X-Forwarded-For is read from its end, as far as trusted proxies have written it; what a client wrote stands further
    to the front and does not count.

    Args:
        peer: Address of what is connected.
        forwarded_for: The header, empty if there is none.
        trusted: Networks of the proxies.
    """
    client = peer
    hops = [hop.strip() for hop in forwarded_for.split(",")] if forwarded_for else []
    while hops and _among(client, trusted):
        client = hops.pop()
    return client


@lru_cache(maxsize=4096)
def _among(address: str | None, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
