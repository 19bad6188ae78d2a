"""The encoder of a machine's card: what it can do, and how much of that is taken.

A card encodes a few pictures at once, each size in a session of its own, and the drivers of consumer cards count them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from mamkit.errors import MamkitError
from mamkit.previews._shares import Shares
from mamkit.previews.messages import SHARED_JOB, bound_codecs, card_kind
from mamkit.transcode import (
    Cancellation,
    Children,
    Codec,
    ContainmentError,
    Device,
    EncodeError,
    Limits,
    Plan,
    on_card,
    plan_on_card,
)

__all__ = ["Card", "CardBusyError"]

_DOUBTS = 2  # parts in a row at which a card fails until it is tried anew
_REST = 300.0  # seconds between two tries of a card that has failed
_HARDEST: tuple[Codec, ...] = ("av1", "hevc", "h264")  # for a processor, which the card spares first


class CardBusyError(MamkitError):
    """A job wants more sessions of the card than are free; it was not begun.

    Attributes:
        need: Sessions.
    """

    code = "previews.card_busy"

    def __init__(self, need: int) -> None:
        super().__init__(f"a job wants {need} sessions of the card, which are not free beside those that run here")
        self.need = need


class Card:
    """The encoder of one machine's card, for any number of workers in one process.

    Args:
        find: Tries what the card encodes, and returns the marks that `try_encoder` tells; called here, and again after
            failures.
        sessions: Renditions that it encodes at once.
        clock: Seconds, monotonic.

    Attributes:
        sessions: Renditions that it encodes at once.
        made: Parts of pictures that it has made.
        failed: Parts of pictures that it has failed at.

    Raises:
        ValueError: There is not one session.
    """

    def __init__(
        self, find: Callable[[], Mapping[Codec, str]], *, sessions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if sessions < 1:
            raise ValueError("a card without sessions encodes nothing")
        self.sessions = sessions
        self.made = self.failed = 0
        self._find = find
        self._clock = clock
        self._marks = dict(find())
        self._doubts = 0
        self._again = 0.0  # when to try a card that has failed, by the clock
        self._lock = Lock()
        self._trying = Lock()
        self._shares = Shares(sessions)

    @property
    def devices(self) -> Mapping[Codec, Device]:
        """What it encodes, as far as is known; nothing while it is not to be used."""
        return dict.fromkeys(self._known(), "nvenc")

    @property
    def taken(self) -> int:
        """Sessions of the parts that are made here."""
        return self._shares.taken

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which jobs it can do."""
        marks = self._known()
        bound = sorted(bound_codecs(marks))
        runs = [bound[start:stop] for start in range(len(bound)) for stop in range(start + 1, len(bound) + 1)]
        alone = [card_kind({codec: marks[codec] for codec in run}) for run in runs]  # of two codecs, all combinations
        return (*([SHARED_JOB] if "h264" in marks else []), *alone)

    def plan(self, plan: Plan, *, limits: Limits, cancelled: Cancellation, children: Children) -> Plan:
        """Return a plan for this card, as far as its sessions reach; where it cannot be used, with a note of why.

        Args:
            plan: As it is without one.
            limits: As for `plan_on_card`.
            cancelled: As for `plan_on_card`.
            children: As for `plan_on_card`.

        Raises:
            TranscodeInterruptedError: `cancelled` was set.
        """
        marks, devices = self._known(), dict[Codec, Device]()
        for codec in _HARDEST:
            more: dict[Codec, Device] = {**devices, codec: "nvenc"}
            if codec in marks and len(on_card(plan, more)) <= self.sessions:
                devices = more
        try:
            made = plan_on_card(plan, devices, limits=limits, cancelled=cancelled, children=children)
            return made.model_copy(update={"marks": {codec: marks[codec] for codec in made.devices}})
        except (EncodeError, ContainmentError) as error:
            return plan.model_copy(update={"notes": (*plan.notes, f"no card encodes it: {error}")})

    @contextmanager
    def take(self, plan: Plan, *, insist: bool) -> Iterator[Mapping[Codec, Device]]:
        """Take the sessions that a part of a plan wants while the block runs, and give what encodes each codec of it.

        A part is let in where no other is, whatever it wants: it may fit nowhere else. Nothing is given where the plan
        is for no card, or for one that writes other headers; where no processor could go on either, it is refused.

        Args:
            plan: What is made.
            insist: Whether to have the card or nothing; else the processor is given where it is busy.

        Raises:
            CardBusyError: The card is busy, and was insisted on, or it has failed since the job was taken.
        """
        ours = self._known()
        devices = {codec: device for codec, device in plan.devices.items() if ours.get(codec) == plan.marks.get(codec)}
        need = len(on_card(plan, devices))
        if bound_codecs(plan.devices) - devices.keys():
            raise CardBusyError(len(on_card(plan, plan.devices)))
        if not need:
            yield {}
            return
        with self._shares.take(need, modestly=not insist) as taken:
            if insist and not taken:
                raise CardBusyError(need)
            yield devices if taken else {}

    def wait(self, need: int, stop: Cancellation) -> None:
        """Wait until so many sessions are free, or until `stop` is set; who does not insist gets none meanwhile."""
        self._shares.wait(need, stop)

    def note(self, *, failed: bool) -> None:
        """Note how a part went that it was to make; after two failures in a row it is tried before it is used again."""
        with self._lock:
            self.made += not failed
            self.failed += failed
            self._doubts = self._doubts + 1 if failed else 0
            if self._doubts >= _DOUBTS:
                self._marks, self._again, self._doubts = {}, self._clock(), 0

    def refresh(self) -> None:
        """Try the card anew if it has failed, and not before some minutes are over if it fails at that, too."""
        if self.devices or self._clock() < self._again or not self._trying.acquire(blocking=False):
            return
        try:
            found = dict(self._find())
            with self._lock:
                self._marks, self._again = found, self._clock() + _REST
        finally:
            self._trying.release()

    def _known(self) -> dict[Codec, str]:
        with self._lock:
            return dict(self._marks)
