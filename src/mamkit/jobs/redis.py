"""A queue in Redis (6.2 or later) or Valkey, for any number of processes on any number of machines.

Each operation is one Lua script (`redis.lua`), which Redis runs whole or not at all and with nothing else beside it, so
that no race is left. Jobs wait in sorted sets, since they are handed out by priority, time and kind, which the order of
a stream cannot tell; a stream wakes those who wait for work.

What a restart of Redis keeps is what its append-only file holds: run it with `appendonly yes`. With `appendfsync
everysec` a machine that loses power may forget the last second; a Redis that is only killed forgets nothing.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Self, TypeVar, get_args
from uuid import UUID

from mamkit.clock import Clock
from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7
from mamkit.jobs._check import (
    LEASE_RAN_OUT,
    check_claim,
    check_duration,
    check_job,
    check_kinds,
    check_limit,
    check_name,
    check_progress,
    check_replicas,
    check_watch,
    clip_reason,
)
from mamkit.jobs._micros import micros, moment
from mamkit.jobs._redis_rows import text, to_job, to_lease, to_standing
from mamkit.jobs._redis_watch import RedisWatch
from mamkit.jobs._watching import TELL_APART, Memory, Standing
from mamkit.jobs.errors import (
    DedupeKeyTakenError,
    InvalidJobError,
    JobNotFoundError,
    LeaseLostError,
    QueueUnavailableError,
    UnsupportedServerError,
)
from mamkit.jobs.models import FinishedState, Job, JobState, Lease, NewJob, QueueDepth
from mamkit.jobs.protocol import Watch
from mamkit.jobs.sentinel import SentinelUrl, close

try:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry
except ImportError as error:
    raise MissingExtraError("redis", package="redis") from error

__all__ = ["RedisQueue"]

T = TypeVar("T")

SCRIPT = files("mamkit.jobs").joinpath("redis.lua").read_text("utf-8")
STATES: tuple[JobState, ...] = ("waiting", "running", *get_args(FinishedState))
OLDEST = (6, 2)  # version of Redis; CI runs no older one
# What a server with little memory may be told to do: nothing, or to forget what expires, as no key of a queue does.
KEEPING = ("noeviction", "volatile-")
MAX_BATCH = 100_000  # jobs of one call: Redis takes 2**20 arguments, eight of them a job
COMPLETED_AT_ONCE = 1000  # leases: Lua unpacks a few thousand values at most, three of them a lease
REPLICATED = {"enqueue", "claim"}  # what must not be forgotten: a job that was taken, the fence of a lease
REPLICATION_TIMEOUT = 2000  # milliseconds
PURGE_BATCH = 1000  # as in redis.lua; a smaller answer is the last
CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 10.0  # seconds; longer than LONGEST_BLOCK, and than any of the scripts takes
LONGEST_BLOCK = timedelta(seconds=1)  # of one blocking read, so that a change of the clock is noticed


class RedisQueue:
    """A `Queue` under one name in a Redis server, which may hold other queues and other data.

    The cost of an operation grows with the logarithm of the number of jobs.

    Args:
        client: A synchronous client; see `from_url` for one that is set up for a queue. One that repeats commands on a
            broken connection may claim a job whose lease nobody then holds, until it runs out.
        name: Start of all keys of the queue.
        clock: Says what time it is for delays and leases; by default the server's clock.
        replicas: How many replicas must have a new job before `enqueue` returns, and a lease before `claim` does. A
            master that dies takes with it what no replica has.

    Raises:
        InvalidJobError: The name is not 1 to 200 characters, or the number of replicas is not from 0 to 100.
    """

    def __init__(self, client: "Redis", *, name: str = "mamkit", clock: Clock | None = None, replicas: int = 0) -> None:
        check_name("name", name)
        check_replicas(replicas)
        self._replicas = replicas
        self._client = client
        self._root = f"{{{name}}}:jobs"  # in braces, so that a cluster keeps the queue's keys together
        self._clock = clock
        self._script: Callable[..., Any] = client.register_script(SCRIPT)

    @classmethod
    def from_url(cls, url: str, *, name: str = "mamkit", clock: Clock | None = None, replicas: int = 0) -> Self:
        """Return a queue with a client of its own, which asks once and gives up on a server that stays silent.

        Nothing is sent yet. `close` closes the client's connections.

        Args:
            url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://…` for TLS, or `unix://…`, or
                `redis+sentinel://…` as `mamkit.jobs.sentinel` describes it.
            name: As for the class.
            clock: As for the class.
            replicas: As for the class.

        Raises:
            InvalidJobError: The URL names Sentinel and is not of the form for that, or as for the class.
        """
        settings: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_timeout": ANSWER_TIMEOUT,
        }
        if SentinelUrl.matches(url):
            sentinels = SentinelUrl.parse(url)
            client, replicas = sentinels.client(**settings), replicas or sentinels.replicas
        else:
            client = Redis.from_url(url, **settings)
        return cls(client, name=name, clock=clock, replicas=replicas)

    def close(self) -> None:
        """Close the client's connections."""
        close(self._client)

    def check(self) -> None:
        """See whether the server answers and can keep a queue.

        Raises:
            QueueUnavailableError: It does not answer.
            UnsupportedServerError: It is older than 6.2, or throws keys away when its memory is full. That it may throw
                away keys that expire (`volatile-…`, as some hosts set it) takes nothing from a queue.
        """
        facts: Mapping[str, Any] = self._ask(self._client.info)
        version = str(facts["redis_version"])
        if tuple(int(number) for number in version.split(".")[:2]) < OLDEST:
            raise UnsupportedServerError(version, "it must be 6.2 or later")
        policy = str(facts.get("maxmemory_policy", "noeviction"))
        if facts.get("maxmemory") and not policy.startswith(KEEPING):
            raise UnsupportedServerError(version, f"set maxmemory-policy to noeviction; with {policy} it loses jobs")

    def wait(self, timeout: timedelta, *, kinds: Sequence[str] | None = None) -> bool:
        """See `CanWait.wait`. All who wait are woken for one job, and one of them gets it.

        Raises:
            InvalidJobError: The time is negative, or `kinds` is a lone string.
            QueueUnavailableError: The server does not answer.
        """
        check_duration("timeout", timeout)
        check_kinds(kinds)
        ends = time.monotonic() + timeout.total_seconds()
        while kinds is None or kinds:
            ready, due, bell = self._run("look", *(kinds or ()))
            if ready:
                return True
            left = min(ends - time.monotonic(), LONGEST_BLOCK.total_seconds())
            if left <= 0:
                return False
            block = left if due < 0 else min(left, due / 1_000_000)
            milliseconds = max(1, round(block * 1000))  # 0 would be for ever
            streams: Any = {f"{self._root}:bell": bell}
            self._ask(lambda: self._client.xread(streams, block=milliseconds))  # noqa: B023 - called at once
        return False

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """See `Queue.enqueue`.

        Raises:
            InvalidJobError: As for every queue, or there are more than 100,000 jobs.
        """
        if len(jobs) > MAX_BATCH:
            raise InvalidJobError("jobs", f"must be at most {MAX_BATCH} in one call")
        arguments: list[str | int] = []
        for job in jobs:
            payload = check_job(job)
            arguments += (str(uuid7()), job.kind, payload, int(job.priority), job.dedupe_key or "")
            arguments += (micros(job.delay), int(job.max_attempts), job.traceparent or "")
        return [UUID(text(job_id)) for job_id in self._run("enqueue", *arguments)] if jobs else []

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Lease | None:
        """See `Queue.claim`. At most 1000 jobs whose time has come are let in by one call."""
        return next(iter(self.claim_many(worker, 1, kinds=kinds, lease=lease, before=before)), None)

    def claim_many(
        self,
        worker: str,
        limit: int,
        *,
        kinds: Sequence[str] | None = None,
        lease: timedelta,
        before: int | None = None,
    ) -> list[Lease]:
        """See `CanBatch.claim_many`."""
        check_claim(worker, limit, kinds=kinds, lease=lease, before=before)
        wanted = () if kinds is None else kinds or ("",)  # no job is of the kind ""
        most = "" if before is None else before
        found = self._run("claim", worker, micros(lease), LEASE_RAN_OUT, limit, most, *wanted)
        return [to_lease(each) for each in found]

    def renew(self, lease: Lease, *, by: timedelta) -> Lease:
        """See `Queue.renew`."""
        check_duration("by", by, positive=True)
        return to_lease(self._change("renew", lease, micros(by)))

    def holds(self, job_id: UUID, fence: int) -> bool:
        """See `Queue.holds`."""
        return bool(self._run("holds", str(job_id), _fence(fence)))

    def complete(self, lease: Lease) -> None:
        """See `Queue.complete`."""
        if self.complete_many([lease]):
            raise LeaseLostError(lease.job.id, lease.fence)

    def complete_many(self, leases: Sequence[Lease]) -> list[Lease]:
        """See `CanBatch.complete_many`."""
        lost = []
        for start in range(0, len(leases), COMPLETED_AT_ONCE):
            batch = leases[start : start + COMPLETED_AT_ONCE]
            shown = [part for lease in batch for part in _shown(lease)]
            lost += [batch[number] for number in self._run("complete", *shown)]
        return lost

    def retry(self, lease: Lease, *, reason: str, delay: timedelta) -> JobState:
        """See `Queue.retry`."""
        check_duration("delay", delay)
        state: Any = text(self._change("retry", lease, clip_reason(reason), micros(delay)))
        return state  # type: ignore[no-any-return]

    def release(self, lease: Lease, *, delay: timedelta = timedelta(0), reason: str | None = None) -> None:
        """See `Queue.release`."""
        check_duration("delay", delay)
        self._change("release", lease, micros(delay), *(() if reason is None else (clip_reason(reason),)))

    def bury(self, lease: Lease, *, reason: str) -> None:
        """See `Queue.bury`."""
        self._change("bury", lease, clip_reason(reason))

    def tell(self, lease: Lease, progress: float) -> bool:
        """See `CanTell.tell`."""
        check_progress(progress)
        return bool(self._change("tell", lease, repr(float(progress)), micros(TELL_APART)))

    def watch(self, *, jobs: Collection[UUID] | None = None, since: datetime | None = None) -> Watch:
        """See `CanTell.watch`. It holds one connection, over which Redis tells at once (`PUBLISH`).

        A connection that died in silence is noticed within ten seconds.
        """
        check_watch(jobs, since)
        return RedisWatch(
            self._client,
            f"{self._root}:news",
            lambda: Memory(self._look, now=lambda: moment(int(self._run("now"))), jobs=jobs, since=since),
        )

    def cancel(self, job_id: UUID) -> None:
        """See `Queue.cancel`."""
        if self._run("cancel", str(job_id)) is None:
            raise JobNotFoundError(job_id)

    def requeue(self, job_id: UUID) -> None:
        """See `Queue.requeue`."""
        answer = self._run("requeue", str(job_id))
        if answer is None:
            raise JobNotFoundError(job_id, "dead or cancelled job")
        if text(answer) == "taken":
            raise DedupeKeyTakenError(job_id)

    def drop(self, job_id: UUID) -> None:
        """See `Queue.drop`."""
        if self._run("drop", str(job_id)) is None:
            raise JobNotFoundError(job_id, "finished job")

    def get(self, job_id: UUID) -> Job:
        """See `Queue.get`."""
        found = self._run("get", str(job_id))
        if found is None:
            raise JobNotFoundError(job_id)
        return to_job(found)

    def list(self, *, state: JobState | None = None, limit: int = 100, before: UUID | None = None) -> list[Job]:
        """See `Queue.list`."""
        check_limit(limit)
        states = STATES if state is None else (state,)
        page = self._run("list", limit, "" if before is None else str(before), *states)
        if page is None and before is not None:
            raise JobNotFoundError(before)
        return [to_job(found) for found in page]

    def depth(self) -> QueueDepth:
        """See `Queue.depth`."""
        oldest, *counts = self._run("depth", *STATES)
        return QueueDepth(
            counts=dict(zip(STATES, counts, strict=True)),
            oldest_waiting=None if oldest is None else moment(int(oldest)),
        )

    def purge(self, *, finished_before: datetime, states: Collection[FinishedState] = ("done", "cancelled")) -> int:
        """See `Queue.purge`."""
        total = 0
        for state in set(states):
            gone = PURGE_BATCH
            while gone == PURGE_BATCH:
                gone = self._run("purge", micros(finished_before), state)
                total += gone
        return total

    def _look(self, ids: Collection[UUID], since: datetime | None) -> Standing:
        found = self._run("stand", "" if since is None else micros(since), *map(str, ids))
        standing = [to_standing(each) for each in found]
        return Standing(
            events=[event for _, _, event in standing if event is not None],
            running=[job_id for job_id, state, _ in standing if state == "running"],
        )

    def _change(self, operation: str, lease: Lease, *arguments: str | int) -> Any:
        """Change the job of a lease and return the script's answer, unless the lease is lost."""
        answer = self._run(operation, *_shown(lease), *arguments)
        if answer is None:
            raise LeaseLostError(lease.job.id, lease.fence)
        return answer

    def _run(self, operation: str, *arguments: str | int) -> Any:
        now = "" if self._clock is None else micros(self._clock())
        asked: list[Any] = [operation, now, *arguments]
        if not self._replicas or operation not in REPLICATED:
            return self._ask(lambda: self._script(keys=[self._root], args=asked))
        # On one connection, since Redis counts the replicas that have what came over this one.
        pipeline: Any = self._client.pipeline(transaction=False)
        self._script(keys=[self._root], args=asked, client=pipeline)
        pipeline.wait(self._replicas, REPLICATION_TIMEOUT)
        answer, reached = self._ask(pipeline.execute)
        if reached < self._replicas:
            raise QueueUnavailableError(
                f"{reached} of {self._replicas} replicas of the queue's Redis answered in time; what was asked may "
                "have been done all the same"
            )
        return answer

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except RedisError as error:
            if "READONLY" in str(
                error
            ):  # a master that has become a replica; Redis 6.2 says so inside of a script's error
                self._client.connection_pool.disconnect()
            raise QueueUnavailableError(
                f"the queue's Redis gave {type(error).__name__}; see that it runs, can be reached and has memory left"
            ) from error


def _shown(lease: Lease) -> tuple[str, str, str]:
    return str(lease.job.id), _fence(lease.fence), lease.worker


def _fence(fence: int) -> str:
    """Return a fence as the script compares it; a stranger's may have more digits than Python writes (or Redis has)."""
    return str(fence) if 0 < fence < 2**63 else ""
