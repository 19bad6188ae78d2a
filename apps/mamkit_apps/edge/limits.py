"""How often and how many at once: by client, by token, and for the whole process."""

from collections import Counter
from collections.abc import Iterator

from mamkit_apps.limits import LimitReachedError, Meter, SharedRate, client_name

__all__ = ["Rates", "Streams"]


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
        self._meter = Meter(shared)
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
            if wait := (await self._meter.take(name, rate)).wait:
                raise LimitReachedError(what, retry_after=wait)

    def check_here(self, client: str | None, token: str) -> None:
        """Count a request for this process alone; arguments and errors are those of `check`."""
        for what, name, rate in self._limits(client, token):
            if wait := self._meter.take_here(name, rate).wait:
                raise LimitReachedError(what, retry_after=wait)

    def _limits(self, client: str | None, token: str) -> Iterator[tuple[str, str, float]]:
        if self._per_client:
            yield "requests of this client", f"client:{client_name(client)}", self._per_client
        if self._per_token:
            yield "requests with this token", f"token:{token}", self._per_token


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
