"""A rate that counts for all processes of an installation, in Redis."""

from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.jobs.sentinel import SentinelUrl, aclose
from mamkit_apps.limits import Taken

try:
    from redis.asyncio import Redis
except ImportError as error:
    raise MissingExtraError("apps", package="redis") from error

__all__ = ["RedisRate"]

TIMEOUT = 0.25  # seconds; a player does not wait longer for a limit that is out of order

# The generic cell rate algorithm, on the server's clock so that machines need not agree. Redis 6.2 suffices.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local step, burst = 1 / tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = due + step - burst - now
if wait > 0 then return {tostring(wait), tostring(due - now)} end
redis.call('SET', KEYS[1], string.format('%.6f', due + step), 'PX', math.ceil((due + step - now) * 1000) + 1000)
return {'0', tostring(due + step - now)}
"""


class RedisRate:
    """A `SharedRate` in Redis 6.2 or newer.

    Args:
        url: `redis://…`, or `redis+sentinel://…`.
        burst: Seconds' worth of requests that may come at once.
        service: Whose rates they are; those of another service are others.
    """

    def __init__(self, url: str, *, burst: float, service: str = "edge") -> None:
        patience: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        sentinels = SentinelUrl.matches(url)
        self._redis = SentinelUrl.parse(url).async_client(**patience) if sentinels else Redis.from_url(url, **patience)
        self._script = self._redis.register_script(SCRIPT)
        self._burst = burst
        self._prefix = f"mamkit:{service}:rate:"

    def __repr__(self) -> str:
        return "<RedisRate>"

    async def take(self, name: str, rate: float) -> Taken:
        """Count a request, or say when to try again.

        Raises:
            redis.RedisError: The server cannot be reached in time.
        """
        wait, backlog = await self._script(keys=[self._prefix + name], args=[rate, self._burst])
        return Taken(float(wait), float(backlog))

    async def close(self) -> None:
        """Close the connections."""
        await aclose(self._redis)
