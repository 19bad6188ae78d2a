"""The child's end of the pipes to its parent: what it says, and the bytes of the film that it asks for."""

import io
import threading
from typing import BinaryIO, cast

from mamkit.transcode._wire import Message, send
from mamkit.transcode.errors import SourceUnavailableError
from mamkit.transcode.source import RangeFile

__all__ = ["Pipe", "PipedSource"]

_BUFFER = 256 << 10  # bytes asked for at once; a question and its answer take some 0.1 ms beside the parent's own read


class Pipe:
    """Speaks to the parent; may be used by several threads.

    Args:
        outgoing: Takes messages.
        incoming: Brings the answers to `read`.
    """

    def __init__(self, outgoing: BinaryIO, incoming: BinaryIO) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._speaking = threading.Lock()
        self._asking = threading.Lock()

    def say(self, message: Message) -> None:
        """Send a message."""
        with self._speaking:
            send(self._outgoing, message)

    def read(self, start: int, size: int) -> bytes:
        """Return bytes of the film, as many as were asked for.

        Raises:
            SourceUnavailableError: The parent is gone.
        """
        with self._asking:  # one question at a time: answers carry no number
            self.say(Message("read", {"start": start, "size": size}))
            data = self._incoming.read(size)
        if len(data) < size:
            raise SourceUnavailableError("the parent does not answer any more")
        return data


class PipedSource:
    """A `Source` whose bytes come from the parent.

    Args:
        pipe: To the parent.
        name: File name.
        size: Bytes.
    """

    def __init__(self, pipe: Pipe, name: str, size: int) -> None:
        self._pipe = pipe
        self.name = name
        self.size = size

    def read(self, start: int, size: int) -> bytes:
        """See `RangeSource.read`."""
        return self._pipe.read(start, size)

    def open(self) -> BinaryIO:
        """See `Source.open`."""
        return cast("BinaryIO", io.BufferedReader(RangeFile(self), _BUFFER))

    def target(self) -> BinaryIO:
        """See `Source.target`."""
        return self.open()
