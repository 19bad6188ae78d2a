"""What a child process and its parent say to each other: a line of JSON, then as many bytes as it announces.

The parent believes nothing of it. It bounds every length before it makes room, and finds an error's class by its code
among the classes that it knows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from mamkit.transcode.errors import ChildProtocolError, TranscodeError

__all__ = ["Message", "Receiver", "from_wire", "send", "to_wire"]

_LONGEST_LINE = 4 << 20  # bytes; the facts of a file with 64 streams are some 30 kB


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said."""

    kind: str
    body: Any
    """JSON values."""
    data: bytes = b""


def send(pipe: BinaryIO, message: Message) -> None:
    """Write a message, and wait until it is on its way."""
    head = {"kind": message.kind, "body": message.body, "bytes": len(message.data)}
    pipe.write(json.dumps(head).encode() + b"\n")
    pipe.write(message.data)
    pipe.flush()


class Receiver:
    """Puts messages together from the bytes that come in.

    Args:
        most_data: Bytes of the largest payload that is taken.
    """

    def __init__(self, most_data: int) -> None:
        self._most_data = most_data
        self._buffer = bytearray()
        self._head: dict[str, Any] | None = None

    def feed(self, block: bytes) -> Iterator[Message]:
        """Take bytes and yield the messages that they complete.

        Raises:
            ChildProtocolError: The bytes are no message, or a larger one than is taken.
        """
        self._buffer += block
        while True:
            if self._head is None:
                end = self._buffer.find(b"\n")
                if end > _LONGEST_LINE or (end < 0 and len(self._buffer) > _LONGEST_LINE):
                    raise ChildProtocolError(f"the child wrote a line of more than {_LONGEST_LINE} bytes")
                if end < 0:
                    return
                self._head = self._parse(bytes(self._buffer[:end]))
                del self._buffer[: end + 1]
            size = self._head["bytes"]
            if len(self._buffer) < size:
                return
            message = Message(self._head["kind"], self._head["body"], bytes(self._buffer[:size]))
            del self._buffer[:size]
            self._head = None
            yield message

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            head = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ChildProtocolError("the child wrote a line that is not JSON") from error
        if not isinstance(head, dict) or head.keys() != {"kind", "body", "bytes"} or not isinstance(head["kind"], str):
            raise ChildProtocolError("the child wrote a line that is not the head of a message")
        size = head["bytes"]
        if type(size) is not int or not 0 <= size <= self._most_data:
            raise ChildProtocolError(f"the child announced {size!r} bytes; at most {self._most_data} are taken")
        return head


def to_wire(error: TranscodeError) -> dict[str, Any]:
    """Return an error as JSON values."""
    return {"code": error.code, "message": str(error), "evidence": vars(error)}


def from_wire(body: Any) -> TranscodeError:
    """Return the error that `to_wire` was given.

    Anything else becomes a `ChildProtocolError`.
    """
    try:
        kind = _classes()[body["code"]]
        return kind(str(body["message"]), **body["evidence"])
    except (KeyError, TypeError):
        return ChildProtocolError("the child reported an error of no known kind")


def _classes() -> dict[str, type[TranscodeError]]:
    found: dict[str, type[TranscodeError]] = {}
    waiting: list[type[TranscodeError]] = [TranscodeError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting += kind.__subclasses__()
    return found
