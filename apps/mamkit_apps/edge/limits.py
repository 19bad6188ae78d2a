"""How often and how many at once: by client, by token, and for the whole process."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

from mamkit.errors import MamkitError

__all__ = ["LimitReachedError", "MemoryRate", "Rates", "SharedRate", "Streams", "client_address", "client_name"]

log = logging.getLogger(__name__)

BURST = 10.0  # seconds' worth of requests that may come at once: a player that seeks asks for much and then is quiet
NAMES = 65536  # clients and tokens remembered, some 100 bytes each
OUTAGE = 5.0  # seconds after which a shared store of limits that failed is asked again


class LimitReachedError(MamkitError):
    """A client or a token asks for more than the operator allows, or the edge has as much to do as it may.

    Attributes:
        retry_after: Seconds after which to try again.
        busy: Whether it is the edge that is full, and not this client's share.
    """

    code = "apps.limit_reached"

    def __init__(self, what: str, *, retry_after: float, busy: bool = False) -> None:
        super().__init__(f"there are too many {what}; try again later")
        self.retry_after = retry_after
        self.busy = busy


class SharedRate(Protocol):
    """A rate that counts for several processes."""

    async def take(self, name: str, rate: float) -> float:
        """Return 0 and count a request, or the seconds after which to try again."""


class MemoryRate:
    """A rate of one process: the generic cell rate algorithm (ITU-T I.371, annex A).

    Args:
        clock: Monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}

    def take(self, name: str, rate: float) -> float:
        """Return 0 and count a request, or the seconds after which to try again.

        Args:
            name: Whose rate it is.
            rate: Requests a second; ten seconds' worth may come at once.
        """
        now = self._clock()
        due = max(self._due.get(name, 0.0), now)
        wait = due + 1 / rate - BURST - now
        if wait > 0:
            return wait
        if len(self._due) >= NAMES and name not in self._due:
            self._forget(now)
        self._due[name] = due + 1 / rate
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop who has nothing to wait for any more; if that is nobody, those who have come first."""
        kept = {name: due for name, due in self._due.items() if due > now}
        for name in list(kept)[: max(0, len(kept) - NAMES // 2)]:
            del kept[name]
        self._due = kept


class Rates:
    """The rates of clients and tokens.

    Args:
        per_client: Requests a second; 0 is no limit.
        per_token: Requests a second; 0 is no limit.
        shared: Counts for all processes; when it fails, this process counts for itself.
    """

    def __init__(self, *, per_client: float, per_token: float, shared: SharedRate | None = None) -> None:
        self._per_client = per_client
        self._per_token = per_token
        self._store = shared
        self._memory = MemoryRate()
        self._asked_again = 0.0
        self.shared = shared is not None and bool(per_client or per_token)
        """Whether a request has to wait for what other processes have counted."""

    async def check(self, client: str | None, token: str) -> None:
        """Count a request.

        Args:
            client: Address.
            token: Id of the token.

        Raises:
            LimitReachedError: The client or the token has had its share.
        """
        for what, name, rate in self._limits(client, token):
            if wait := await self._take(name, rate):
                raise LimitReachedError(what, retry_after=wait)

    def check_here(self, client: str | None, token: str) -> None:
        """Count a request for this process alone; arguments and errors are those of `check`."""
        for what, name, rate in self._limits(client, token):
            if wait := self._memory.take(name, rate):
                raise LimitReachedError(what, retry_after=wait)

    def _limits(self, client: str | None, token: str) -> Iterator[tuple[str, str, float]]:
        if self._per_client:
            yield "requests of this client", f"client:{client_name(client)}", self._per_client
        if self._per_token:
            yield "requests with this token", f"token:{token}", self._per_token

    async def _take(self, name: str, rate: float) -> float:
        if self._store is not None and time.monotonic() >= self._asked_again:
            try:
                return await self._store.take(name, rate)
            except Exception as error:  # whatever ails it, playback goes on
                self._asked_again = time.monotonic() + OUTAGE
                log.warning("limits count for this process alone: %s", type(error).__name__)
        return self._memory.take(name, rate)


class Streams:
    """Answers under way.

    Args:
        most: In this process.
        per_client: For one address; 0 is no limit.
    """

    def __init__(self, *, most: int, per_client: int) -> None:
        self._most = most
        self._per_client = per_client
        self._clients: Counter[str] = Counter()
        self.open = 0
        """How many there are."""

    @property
    def full(self) -> bool:
        """Whether there are as many as may be."""
        return self.open >= self._most

    def begin(self, client: str | None) -> None:
        """Count one more.

        Raises:
            LimitReachedError: There are as many as may be.
        """
        if self.full:
            raise LimitReachedError("answers under way", retry_after=1, busy=True)
        if self._per_client:
            name = client_name(client)
            if self._clients[name] >= self._per_client:
                raise LimitReachedError("answers under way to this client", retry_after=1)
            self._clients[name] += 1
        self.open += 1

    def end(self, client: str | None) -> None:
        """Count one less."""
        self.open -= 1
        if self._per_client:
            name = client_name(client)
            self._clients[name] -= 1
            if not self._clients[name]:
                del self._clients[name]


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
