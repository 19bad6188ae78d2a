"""A Redis that Sentinel watches over, by one URL: the sentinels are asked who is the master, for each new connection.

`redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DATABASE]`, and `rediss+sentinel://…` for TLS.
HOST and PORT (26379 if it is not given) are of sentinels, SERVICE is the name under which they know the master, and
user, password and database are those of the servers that hold the data. What may follow in a query:
`sentinel_password=…`, where the sentinels ask for one, and `replicas=1`, see `RedisQueue`.
"""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from mamkit.errors import MissingExtraError
from mamkit.jobs.errors import InvalidJobError

try:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio.sentinel import Sentinel as AsyncSentinel
    from redis.sentinel import Sentinel
except ImportError as error:
    raise MissingExtraError("redis", package="redis") from error

__all__ = ["SentinelUrl", "aclose", "close"]

SCHEMES = {"redis+sentinel": False, "rediss+sentinel": True}
PORT = 26379  # where Sentinel listens, as its documentation says


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelUrl:
    """What such a URL says."""

    sentinels: tuple[tuple[str, int], ...]
    """Host and port of each."""
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    tls: bool = False
    replicas: int = 0
    """How many of them a queue waits for."""

    @staticmethod
    def matches(url: str) -> bool:
        """Return whether a URL is of this form, rightly written or not."""
        return url.partition(":")[0].lower() in SCHEMES

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return what a URL says.

        Raises:
            InvalidJobError: It is not of the form that the module describes; the message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            user, _, hosts = parts.netloc.rpartition("@")
            username, _, password = user.partition(":")
            service, _, database = parts.path.removeprefix("/").partition("/")
            more = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            sentinel_password, replicas = more.pop("sentinel_password", None), int(more.pop("replicas", "0"))
            found = cls(
                sentinels=tuple(_address(host) for host in hosts.split(",")),
                service=unquote(service),
                database=int(database or 0),
                username=unquote(username) or None,
                password=unquote(password) or None,
                sentinel_password=sentinel_password,
                tls=SCHEMES[parts.scheme],
                replicas=replicas,
            )
            usable = bool(service) and found.database >= 0 and 0 <= replicas <= 100 and not more and not parts.fragment
        except (KeyError, ValueError):
            usable = False
        if not usable:
            raise InvalidJobError("url", "must be such as redis+sentinel://:password@one,two:26379/mymaster/0")
        return found

    def client(self, **connection: Any) -> "Redis":
        """Return a synchronous client of whoever is the master.

        Args:
            connection: More settings of the connections, to sentinels and master alike.
        """
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            self.sentinels, sentinel_kwargs=self._to_sentinels(connection), **self._to_master(connection)
        )
        client: Redis = sentinel.master_for(self.service)
        return client

    def async_client(self, **connection: Any) -> "AsyncRedis":
        """Return a client for asyncio; as `client`."""
        sentinel = AsyncSentinel(  # type: ignore[no-untyped-call]
            self.sentinels, sentinel_kwargs=self._to_sentinels(connection), **self._to_master(connection)
        )
        client: AsyncRedis = sentinel.master_for(self.service)
        return client

    def _to_sentinels(self, connection: dict[str, Any]) -> dict[str, Any]:
        secret = {} if self.sentinel_password is None else {"password": self.sentinel_password}
        return connection | secret | ({"ssl": True} if self.tls else {})

    def _to_master(self, connection: dict[str, Any]) -> dict[str, Any]:
        secret = {"username": self.username, "password": self.password}
        return connection | secret | {"db": self.database} | ({"ssl": True} if self.tls else {})


def close(client: "Redis") -> None:
    """Close a client's connections, those to its sentinels too, where it has any."""
    client.close()
    for sentinel in _sentinels(client):
        sentinel.close()


async def aclose(client: "AsyncRedis") -> None:
    """Close the connections of a client for asyncio; as `close`."""
    await client.aclose()
    for sentinel in _sentinels(client):
        await sentinel.aclose()


def _sentinels(client: Any) -> list[Any]:
    return list(getattr(getattr(client.connection_pool, "sentinel_manager", None), "sentinels", ()))


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(text)
    return parts.hostname, PORT if parts.port is None else parts.port
