"""One request with what is noted of its answer, and an answer that is known as a whole."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

__all__ = ["Answer", "Headers", "Hold", "Request"]

Headers = list[tuple[bytes, bytes]]


class Hold(NamedTuple):
    """What an answer needs until the client has taken it."""

    seconds: float
    """How long the client may take."""
    release: Callable[[int, str], None]
    """To be called once, with the bytes of the body that it has taken, and how it ended unless it took all."""


class Answer(NamedTuple):
    """An answer, complete before its first byte is sent."""

    status: int
    headers: Headers
    """With its length, where it has one."""
    blocks: tuple[bytes | memoryview, ...] = ()
    """The body, in the order in which it is sent; none where there is no body, as for `HEAD`."""
    hold: Hold | None = None
    """None where nobody needs to know when it is taken."""

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.blocks))


class Request:
    """A request, and what the log and the metrics say of it.

    Args:
        method: As sent.
        path: As sent, percent-encoded, without the query.
        query: As sent, without the question mark.
        fields: Headers by name in small letters; the last one where there are several.
        client: Address of what is connected, None if it is not known.
    """

    def __init__(self, method: str, path: str, query: str, fields: dict[bytes, bytes], client: str | None) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.client = client
        """Whom the answer is for; behind trusted proxies, whom they have seen."""
        self.started = monotonic()
        """Monotonic time, seconds."""
        self.answered = 0.0
        """Monotonic time of the head of the answer; 0 before."""
        self.status = 0
        """Of the answer; 0 before its head is sent."""
        self.sent = 0
        """Bytes of its body."""
        self.key = ""
        """What was asked for."""
        self.token = ""
        """Id of the token that was shown."""
        self.outcome = ""
        """How the object was had."""

    def header(self, name: bytes) -> str:
        """Return the value of a header, its last one if there are several; empty if there is none."""
        value = self.fields.get(name)
        return "" if value is None else value.decode("latin-1")
