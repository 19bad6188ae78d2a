"""A subscription to `RedisQueue`: messages say which jobs to look at, and a look now and then what they left out."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._check import check_duration
from mamkit.jobs._watching import Memory
from mamkit.jobs.errors import QueueUnavailableError
from mamkit.jobs.models import JobEvent

try:
    from redis import Redis
    from redis.client import PubSub
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingExtraError("redis", package="redis") from error

__all__ = ["RedisWatch"]

LONGEST_TRUST = 10.0  # seconds: a connection that says nothing may be dead, which only a look finds out
MOST_AT_ONCE = 500  # messages that are read before their jobs are looked at


class RedisWatch:
    """A `Watch` over a channel of Redis, which keeps no message for who is away.

    Args:
        client: Gives the connection that messages come over.
        channel: Where ids of jobs are published.
        memory: Makes what the subscriber keeps in mind; called once the channel is subscribed to, so that what comes
            about meanwhile is told.

    Raises:
        QueueUnavailableError: The server does not answer.
    """

    def __init__(self, client: "Redis", channel: str, memory: Callable[[], Memory]) -> None:
        self._client = client
        self._channel = channel
        self._messages: PubSub | None = None
        self._looked = time.monotonic()
        self._subscribe()
        try:
            self._memory = memory()
        except BaseException:
            self.close()
            raise
        self._blind = (
            True  # only a look at everything helps: here, since how named jobs stand is told without a message
        )

    def wait(self, timeout: timedelta) -> list[JobEvent]:
        """See `Watch.wait`."""
        check_duration("timeout", timeout)
        ends = time.monotonic() + timeout.total_seconds()
        while True:
            found = self._news(ends)
            if found or time.monotonic() >= ends:
                return found

    def close(self) -> None:
        """See `Watch.close`."""
        if self._messages is not None:
            self._messages.close()
            self._messages = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the watch."""
        self.close()

    def _news(self, ends: float) -> list[JobEvent]:
        """Return what is new, once messages have come, the time is over, or it is time for a look at everything."""
        if self._messages is None:
            self._subscribe()
            self._blind = True
        if not self._blind:
            trust_ends = self._looked + LONGEST_TRUST
            ids, gap = self._read(max(0.0, min(ends, trust_ends) - time.monotonic()))
            self._blind = gap or time.monotonic() >= trust_ends
            if not self._blind:
                try:
                    return self._memory.look_at(ids)
                except BaseException:
                    self.close()  # what these messages were about is found by the look that comes next
                    raise
        found = self._memory.look()
        self._looked, self._blind = time.monotonic(), False
        return found

    def _subscribe(self) -> None:
        messages: PubSub = self._client.pubsub()  # type: ignore[no-untyped-call]
        try:
            messages.subscribe(self._channel)
            answer = messages.get_message(timeout=LONGEST_TRUST)
        except (RedisError, OSError) as error:
            messages.close()
            raise _unavailable(error) from error
        if answer is None:
            messages.close()
            raise _unavailable(TimeoutError())
        self._messages = messages

    def _read(self, timeout: float) -> tuple[list[UUID], bool]:
        """Return the jobs that messages are about, and whether the connection was made anew, which drops messages."""
        assert self._messages is not None  # noqa: S101 - the caller has seen to it
        ids: list[UUID] = []
        try:
            message: Any = self._messages.get_message(timeout=timeout)
            while message is not None:
                if message["type"] != "message":
                    return [], True  # a client that repeats commands has subscribed anew
                data = message["data"]
                with suppress(ValueError):  # no job's id: not of the queue
                    ids.append(UUID(data.decode() if isinstance(data, bytes) else data))
                message = self._messages.get_message(timeout=0) if len(ids) < MOST_AT_ONCE else None
        except (RedisError, OSError) as error:
            self.close()
            raise _unavailable(error) from error
        return ids, False


def _unavailable(error: Exception) -> QueueUnavailableError:
    return QueueUnavailableError(f"the channel of the queue's Redis gave {type(error).__name__}; wait again")
