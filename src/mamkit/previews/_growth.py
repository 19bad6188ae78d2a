"""What this process knows of the previews in the making, so that a finished part costs the same however long the film.

All of it is in the catalog too: a process that knows nothing, or forgets, reads it again. What is recorded of a part
that is done never changes, so that nothing kept here can be out of date while its plan stands.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any
from uuid import UUID

from mamkit.catalog import Preview, PreviewPart
from mamkit.previews.errors import PartsDisagreeError
from mamkit.previews.messages import parse_plan, parse_result
from mamkit.transcode import Init, PartResult

__all__ = ["Growth", "Nursery"]

MOST_FILMS = 16  # that are remembered at once; the facts of all segments of a film of two hours take some 10 MB
LEAST_PAUSE = 1.0  # seconds between two publications; a player asks again after one target duration, some 6 s
TELL_APART = 0.5  # seconds between two records of how far the parts of a film are
EFFORT = 20  # at most one part in so many of the time goes into writing growing playlists


class Growth:
    """One preview in the making.

    Args:
        stored: The plan, as the catalog has it.
        generation: Of the preview.
        prefix: Where this generation is made; None for the first.

    Raises:
        InvalidMessageError: The plan is of a later version of mamkit.
    """

    def __init__(self, stored: Mapping[str, Any], generation: int, prefix: str | None) -> None:
        self.stored = stored
        self.generation = generation
        self.prefix = prefix
        self.unwanted = False
        """Whether nothing more is to be made of it."""
        self._told: dict[int, float] = {}  # how far parts are, by their index; not recorded yet
        self._tell_next = 0.0  # when to record that again, on the monotonic clock
        self.plan = parse_plan(stored)
        self.behind = False
        """Whether there is more to play than the published playlists say."""
        self._results: dict[UUID, PartResult] = {}  # by the row of the part: parts made anew have other rows
        self._inits: dict[str, Init] = {}
        self._played = sum(part.kind != "artwork" for part in self.plan.parts)
        self._next = 0.0  # when to publish again, on the monotonic clock

    @property
    def results(self) -> list[PartResult]:
        """What is known, in the order of the parts."""
        return sorted(self._results.values(), key=lambda result: result.part)

    @property
    def finished(self) -> bool:
        """Whether all parts are known."""
        return len(self._results) == len(self.plan.parts)

    @property
    def known(self) -> int:
        """How many parts are known."""
        return len(self._results)

    def missing(self, done: Collection[UUID]) -> list[UUID]:
        """Return which of the parts that are done are not known, and forget those that are no more."""
        for gone in self._results.keys() - set(done):
            del self._results[gone]
        return [part for part in done if part not in self._results]

    def add(self, parts: Iterable[PreviewPart]) -> None:
        """Learn of parts that are done.

        Raises:
            PartsDisagreeError: Two parts made different initialisation segments of one rendition.
        """
        for part in parts:
            self.learn(part.id, parse_result(part.result or {}))

    def learn(self, part_id: UUID, result: PartResult) -> None:
        """Learn of one part that is done.

        Raises:
            PartsDisagreeError: As for `add`.
        """
        for init in result.inits:
            if self._inits.setdefault(init.rendition, init).sha256 != init.sha256:
                raise PartsDisagreeError(init.rendition)
        self._results[part_id] = result

    def hold_back(self, index: int, done: float) -> bool:
        """Take note of how far a part is, and return whether that need not be recorded now.

        A hundred workers tell of a film two hundred times a second, and nobody looks more often than twice.
        """
        self._told[index] = done
        return time.monotonic() < self._tell_next

    def take_told(self) -> dict[int, float]:
        """Return how far parts are that was not recorded yet, to be recorded now."""
        told, self._told = self._told, {}
        self._tell_next = time.monotonic() + TELL_APART
        return told

    def is_due(self) -> bool:
        """Return whether it is time to publish what has been added; it is at once, where no more segments will come."""
        whole = sum(bool(result.segments) for result in self._results.values()) == self._played
        return whole or time.monotonic() >= self._next

    def published(self, began: float) -> None:
        """Note that everything known was published; `began` is when that began, on the monotonic clock."""
        now = time.monotonic()
        self.behind = False
        self._next = now + max(LEAST_PAUSE, EFFORT * (now - began))


class Nursery:
    """The previews in the making that this process has heard of last."""

    def __init__(self) -> None:
        self._films: OrderedDict[UUID, Growth] = OrderedDict()
        self._lock = Lock()

    def of(self, preview: Preview) -> Growth:
        """Return what is known of a preview that has a plan; nothing yet, if it is another one than before."""
        version_id, stored = preview.version_id, preview.plan or {}
        with self._lock:
            growth = self._films.get(version_id)
            if growth is None or growth.generation != preview.generation or growth.stored != stored:
                growth = self._films[version_id] = Growth(stored, preview.generation, preview.prefix)
            self._films.move_to_end(version_id)
            while len(self._films) > MOST_FILMS:
                self._films.popitem(last=False)
            return growth

    def look(self, version_id: UUID) -> Growth | None:
        """Return what is known of a preview without looking it up; None if nothing is."""
        with self._lock:
            return self._films.get(version_id)

    def is_behind(self, version_id: UUID) -> bool:
        """Return whether there is more of a preview than was published by this process."""
        with self._lock:
            growth = self._films.get(version_id)
            return growth is not None and growth.behind

    def forget(self, version_id: UUID) -> None:
        """Forget a preview, which is ready, has failed, or begins anew."""
        with self._lock:
            self._films.pop(version_id, None)
