"""The parts of one film, made by several child processes at the same time."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from mamkit.transcode._destination import Destination
from mamkit.transcode.containment._process import Cancellation
from mamkit.transcode.containment.children import Children
from mamkit.transcode.containment.contain import encode_part
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import Codec, Device, Part, Plan
from mamkit.transcode.reading.source import RangeReader, Source

__all__ = ["Work", "in_turn"]

_SHORT = 10  # seconds of a film of which all parts are made by one child: another takes longer to start than they do
_CARD_FAILURES = 2  # parts at which a card may fail until it is not asked again


class Work:
    """Makes all parts of a film that are missing in a folder.

    Args:
        source: The film, to be read from by several threads.
        plan: What it becomes.
        destination: The folder.
        limits: For each part of the plan.
        cancelled: Ends the work when set.
        workers: How many child processes make pictures at the same time; one more makes all else.

    Attributes:
        notes: What somebody may want to know of how it went, a sentence each.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        destination: Destination,
        *,
        limits: Limits,
        cancelled: Cancellation | None,
        workers: int,
    ) -> None:
        self.notes: list[str] = []
        self._source = source
        self._plan = plan
        self._destination = destination
        self._limits = limits
        self._cancelled = cancelled
        self._workers = workers
        self._failed: list[BaseException] = []
        self._card_failures = 0

    def is_set(self) -> bool:
        """Return whether to stop: that was asked for, or one of the threads has failed."""
        return bool(self._failed) or (self._cancelled is not None and self._cancelled.is_set())

    def run(self, devices: Mapping[Codec, Device], children: Children) -> None:
        """Make what is missing.

        Args:
            devices: What encodes each codec.
            children: Used by this thread alone.

        Raises:
            TranscodeError: As for `encode_part`.
        """
        # A card's parts stay as they are planned: where one fails, the next is tried again.
        whole = self._workers == 1 and not devices
        left = self._destination.left(_runs(self._plan) if whole else self._plan.parts)
        pictures = deque(part for part in left if part.kind == "video")
        others = deque(part for part in left if part.kind != "video")
        if whole and self._plan.duration <= _SHORT:
            pictures, others = deque(left), deque()
        hands = [*([pictures] * (1 if devices else self._workers) if pictures else []), *([others] if others else [])]
        threads = [threading.Thread(target=self._work_off_alone, args=(line, devices)) for line in hands[1:]]
        self._failed.clear()
        for thread in threads:
            thread.start()
        try:
            for line in hands[:1]:
                self._work_off(line, devices, children)
            for thread in threads:
                thread.join()
        except BaseException as error:  # an interruption from the keyboard, while it waited
            self._failed.append(error)
        for thread in threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _work_off_alone(self, line: "deque[Part]", devices: Mapping[Codec, Device]) -> None:
        """Make one part after the other in a thread of its own, with a child of its own."""
        with Children(ahead=False, keep=1) as children:
            self._work_off(line, devices, children)

    def _work_off(self, line: "deque[Part]", devices: Mapping[Codec, Device], children: Children) -> None:
        """Make one part after the other; the work of one thread."""
        try:
            while not self._failed and (part := self._next(line)) is not None:
                self._make(part, devices, children)
        except BaseException as error:
            self._failed.append(error)

    def _next(self, line: "deque[Part]") -> Part | None:
        with suppress(IndexError):  # several threads take from one line
            return line.popleft()
        return None

    def _make(self, part: Part, devices: Mapping[Codec, Device], children: Children) -> None:
        planned = max(each.stop - each.start for each in self._plan.parts if each.kind == part.kind)
        as_many = -(-(part.stop - part.start) // planned)
        result = encode_part(
            self._source,
            self._plan,
            part,
            self._destination.sink(part),
            devices=devices if self._card_failures < _CARD_FAILURES else {},
            headers=dict(self._destination.headers),
            limits=replace(self._limits, time=self._limits.time * as_many),
            cancelled=self,
            children=children,
        )
        self.notes += result.notes
        self._card_failures += bool(result.notes)
        self._destination.finish_part(part)


def _runs(plan: Plan) -> Iterator[Part]:
    """Yield one part of each kind, in the order in which they are wanted: without seams, and nothing is read twice."""
    for kind in dict.fromkeys(part.kind for part in plan.parts):
        parts: Sequence[Part] = [part for part in plan.parts if part.kind == kind]
        yield parts[0].model_copy(update={"start": 0, "stop": plan.segment_count})


def in_turn(source: Source) -> Source:
    """Return a source that several threads may read from."""
    return _InTurn(source) if isinstance(source, RangeReader) else source


class _InTurn:
    """A `RangeReader` for several threads."""

    def __init__(self, ranges: RangeReader) -> None:
        self.name, self.size = ranges.name, ranges.size
        self._ranges = ranges
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> bytes:
        with self._lock:
            return self._ranges.read(start, stop)
