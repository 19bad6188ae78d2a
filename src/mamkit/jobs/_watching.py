"""What every subscription keeps in mind, so that it tells each change once and no job's end is lost on the way.

The truth is read from the queue, and a message only says when it is worth a look. So nothing hangs on a message that
came twice, came late or was dropped: after any gap the subscription looks again at what runs, at what has ended lately,
and at what ran when it last looked.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from mamkit.jobs._check import check_duration, check_watch
from mamkit.jobs._micros import micros
from mamkit.jobs.models import JobEvent

__all__ = ["TELL_APART", "Look", "Memory", "PollingWatch", "Standing"]

TELL_APART = timedelta(seconds=0.5)  # between two reports of one job that are taken: at most two a second
OVERLAP = timedelta(seconds=10)  # an end is visible later than it is dated: transactions commit when they do
NAMED_AT_ONCE = 1000  # jobs of one look; Redis's scripts take a few thousand
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # so that what is taken from it still is a time of a queue


@dataclass(frozen=True, slots=True)
class Standing:
    """What a look into the queue has found."""

    events: Sequence[JobEvent]
    """Of the jobs that have ended, and of those that run and told how far they are."""
    running: Collection[UUID]
    """All jobs that run, of those that were looked at."""


class Look(Protocol):
    """Reads how jobs stand: those that are named and, with `since`, all that run or have ended from then on."""

    def __call__(self, ids: Collection[UUID], since: datetime | None) -> Standing:
        """Return it."""


class Memory:
    """What one subscriber has been told.

    Args:
        look: Reads the queue.
        now: Says what time it is for the queue.
        jobs: The only ones to tell about; None for all.
        since: From when on ends are told; None for from now on.
    """

    def __init__(
        self, look: Look, *, now: Callable[[], datetime], jobs: Collection[UUID] | None, since: datetime | None
    ) -> None:
        check_watch(jobs, since)
        self._look = look
        self._jobs = None if jobs is None else frozenset(jobs)
        self._told: dict[UUID, tuple[JobEvent, tuple[int, bool, float]]] = {}
        self._running: frozenset[UUID] = frozenset()
        self._newest = EARLIEST
        if self._jobs is None:
            self._newest = present = now()
            if since is not None:
                self._newest = min(max(since, EARLIEST), present)
            # What is dated earlier, and may come to light only later, is told; what can be seen already is not.
            self.news([event for event in self._read() if since is None or event.at < since])

    def look(self) -> list[JobEvent]:
        """Return all that is new since the last look, whatever has been missed."""
        found = self.news(self._read())
        for job_id, (event, _) in list(self._told.items()):
            if self._jobs is None and event.at < self._newest - OVERLAP and job_id not in self._running:
                del self._told[job_id]  # no look finds it any more
        return found

    def look_at(self, ids: Iterable[UUID]) -> list[JobEvent]:
        """Return what is new of some jobs, of which those are left out that are not to be told about."""
        wanted = [job_id for job_id in dict.fromkeys(ids) if self._jobs is None or job_id in self._jobs]
        return self.news(self._look(wanted, None).events) if wanted else []

    def news(self, events: Iterable[JobEvent]) -> list[JobEvent]:
        """Return those that are newer than what was told, the newest of each job, and hold them for told."""
        found: dict[UUID, JobEvent] = {}
        for event in events:
            place, before = _place(event), self._told.get(event.job_id)
            if before is None or place > before[1]:
                self._told[event.job_id] = event, place
                found[event.job_id] = event
        return sorted(found.values(), key=lambda event: event.at)

    def _read(self) -> list[JobEvent]:
        if self._jobs is not None:
            return list(self._look(self._jobs, None).events)
        found = self._look((), self._newest - OVERLAP)
        events, running = list(found.events), frozenset(found.running)
        # However late the end of a job comes to light (its worker was frozen in the middle of the commit): it ran.
        gone = list(self._running - running - {event.job_id for event in events})
        for start in range(0, len(gone), NAMED_AT_ONCE):
            events += self._look(gone[start : start + NAMED_AT_ONCE], None).events
        self._running = running
        # Only here, where everything was looked at: the end of one job says nothing of those before it.
        self._newest = max([self._newest, *(event.at for event in events if event.state != "running")])
        return events


class PollingWatch:
    """A `Watch` that asks again and again.

    Args:
        memory: Of the subscriber.
        pause: Between two looks.
    """

    def __init__(self, memory: Memory, *, pause: timedelta) -> None:
        self._memory = memory
        self._pause = pause.total_seconds()

    def wait(self, timeout: timedelta) -> list[JobEvent]:
        """See `Watch.wait`."""
        check_duration("timeout", timeout)
        ends = time.monotonic() + timeout.total_seconds()
        while True:
            found = self._memory.look()
            left = ends - time.monotonic()
            if found or left <= 0:
                return found
            time.sleep(min(left, self._pause))

    def close(self) -> None:
        """See `Watch.close`."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the watch."""
        self.close()


def _place(event: JobEvent) -> tuple[int, bool, float]:
    """Return what grows with every change of a job, also when it is cancelled twice with no lease in between."""
    ended = event.state != "running"
    return event.fence, ended, micros(event.at) if ended else event.progress
