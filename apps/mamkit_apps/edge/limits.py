"""How often and how many at once: by client, by token, and for the whole process."""

from collections import Counter

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
        self.limited = bool(per_client or per_token)
        """Whether there is any limit."""

    async def check(self, client: str | None, token: str) -> None:
        """Count a request.

        Args:
            client: Address.
            token: Id of the token.

        Raises:
            LimitReachedError: The client or the token has had its share.
        """
        for what, name, rate in (
            ("requests of this client", f"client:{client_name(client)}", self._per_client),
            ("requests with this token", f"token:{token}", self._per_token),
        ):
            if rate and (wait := (await self._meter.take(name, rate)).wait):
                raise LimitReachedError(what, retry_after=wait)


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

    def begin(self, client: str | None) -> None:
        """Count one more.

        Raises:
            LimitReachedError: There are as many as may be.
        """
        if self.open >= self._most:
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
