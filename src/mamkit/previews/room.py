"""The child processes of one machine, how much memory they may take together, and how much a job will want.

A part is begun only where it fits beside what runs already. One that does not is handed back to the queue, for another
machine, and whoever held it waits until it would fit; nobody else here begins anything meanwhile, so that large films
are not passed by small ones for ever. Children that wait for more of their film make way for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

from mamkit.errors import MamkitError
from mamkit.previews._precedence import Precedence
from mamkit.previews._shares import Shares
from mamkit.previews._stills import is_of_still
from mamkit.previews.card import Card
from mamkit.transcode import Cancellation, Children, Limits, Part, Plan, machine

__all__ = ["NoRoomError", "Room", "memory_of"]

_STILL = 6 << 26  # bytes: of the largest image, as it is decoded and as it is scaled from
_KEPT = 4  # children that wait for more of their film: as many films take turns on a machine without starting any
_IDLE = timedelta(seconds=10)  # for which they do: the next part comes at once, or is made elsewhere


class NoRoomError(MamkitError):
    """A job wants more memory than is free beside the jobs that run here; it was not begun.

    Attributes:
        need: Bytes.
    """

    code = "previews.no_room"

    def __init__(self, need: int) -> None:
        super().__init__(f"a job wants {need >> 20} MiB, which are not free beside those that run here")
        self.need = need


def memory_of(plan: Plan | None = None, part: Part | None = None) -> int:
    """Return about how many bytes a child takes: for a probe, or for a part of a plan.

    Args:
        plan: What is made; None for a probe.
        part: What of it.
    """
    if part is not None and is_of_still(part):
        return machine.memory_of() + _STILL
    return machine.memory_of(plan, part)


class Room:
    """The child processes of one machine, their memory and their turns on its processors.

    Any number of workers in one process share it, each from `join` to `leave`.

    Args:
        memory: Bytes that all children may take together; None: as much as they like.
        limits: Bounds of each child; `Limits()` if None.
        card: The machine's card; None where it has none that encodes.
        at_once: Parts that the processors can make at once without one being slower for it. While a film is on its
            way to its first picture, and as many jobs or more are in hand, only what is as urgent is begun. None: any
            number.

    Raises:
        ValueError: The memory is not larger than zero, or `at_once` is less.
    """

    def __init__(
        self,
        memory: int | None = None,
        *,
        limits: Limits | None = None,
        at_once: int | None = None,
        card: Card | None = None,
    ) -> None:
        if memory is not None and memory <= 0:
            raise ValueError("the memory must be larger than zero")
        if at_once is not None and at_once < 0:
            raise ValueError("nobody makes fewer than no parts at once")
        self.limits = limits or Limits()
        self.precedence = Precedence(at_once)
        """Whose turn it is."""
        self.children = Children(ahead=False, keep=_KEPT, idle=_IDLE)
        """Go on with their film, whichever worker has its next part."""
        self.card = card
        """What encodes beside the processors."""
        self._memory = Shares(memory)
        self._workers = 0
        self._lock = Lock()

    @property
    def taken(self) -> int:
        """Bytes that the jobs which run here are thought to take."""
        return self._memory.taken

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for room."""
        return self._memory.awaited

    def join(self) -> None:
        """Let one more worker use it."""
        with self._lock:
            self._workers += 1

    def leave(self) -> None:
        """Let one less use it; with the last one the children end that wait for work."""
        with self._lock:
            self._workers -= 1
            last = self._workers == 0
        if last:
            self.children.close()

    def prepare(self) -> None:
        """Have a child for each worker that has none."""
        self.children.prepare(self._workers)

    @contextmanager
    def take(self, need: int) -> Iterator[None]:
        """Take so many bytes while the block runs.

        Whatever it wants, a job is let in where no other runs: it would fit nowhere else on this machine, either.

        Raises:
            NoRoomError: They are not free.
        """
        with self._memory.take(need) as taken:
            if not taken:
                raise NoRoomError(need)
            if (free := self._memory.free) is not None:
                self.children.keep_at_most(free // machine.memory_of())
            yield

    def wait(self, need: int, stop: Cancellation) -> None:
        """Wait until so many bytes are free, or until `stop` is set; whoever calls `pass_by` meanwhile waits, too."""
        self._memory.wait(need, stop)

    def pass_by(self, stop: Cancellation) -> None:
        """Return once nobody waits for room, or `stop` is set; to be called before a job is taken."""
        self._memory.pass_by(stop)
