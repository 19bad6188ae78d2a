"""A request whose answer takes its time: sending to, and reading from, a client that may be slow or gone."""

from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any, Protocol

from litestar.types import Receive, Scope, Send

from mamkit.errors import MamkitError
from mamkit_apps.edge.request import Answer, Headers, Request

__all__ = ["TOO_SLOW", "UNWATCHED", "ClientGoneError", "Connection", "Exchange", "Head"]

Head = tuple[int, Headers]

TOO_SLOW = "slow client"  # outcome of an answer that was cut off
UNWATCHED = 64 << 10  # bytes that asyncio's transports take without waiting: their high-water mark
SLICE = 64 << 10  # bytes handed over at once to a transport that copies what it cannot send


class ClientGoneError(MamkitError):
    """A client left, or was too slow, before its request was served; nobody is there to be told."""

    code = "apps.client_gone"

    def __init__(self) -> None:
        super().__init__("the client left or was too slow; nothing was to be done")


class Connection(Protocol):
    """What is needed of the connection itself; `mamkit_apps.edge.protocol` has it."""

    copies: bool
    """Whether it copies what it cannot send at once."""
    sends_files: bool
    """Whether `send_file` can be used."""

    def abort(self) -> None:
        """Close now and drop what is not sent."""

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""

    async def send_file(
        self, head: Head | None, descriptor: int, start: int, stop: int, progress: Callable[[int], None]
    ) -> None:
        """Send the head of an answer, if it is not out yet, and bytes of a file as its body."""


class Exchange(Request):
    """A request being served.

    Args:
        scope: Of the ASGI request.
        receive: Gives its body.
        send: Takes the answer.
        patience: Seconds that the client may be silent.
        min_rate: Bytes a second that it must take on top of that.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, patience: float, min_rate: int) -> None:
        message: dict[str, Any] = scope  # type: ignore[assignment]
        super().__init__(
            message["method"],
            message["raw_path"].partition(b"?")[0].decode("latin-1"),
            message["query_string"].decode("latin-1"),
            dict(message["headers"]),
            message["client"][0] if message.get("client") else None,
        )
        self._receive: Any = receive
        self._send: Any = send  # litestar's types know neither views of memory nor a body's parts
        self._patience = patience
        self._min_rate = min_rate
        extensions = message.get("extensions") or {}
        self._connection: Connection | None = extensions.get("mamkit.connection")
        self._copies = self._connection is None or self._connection.copies
        self.deadline = self.started + patience
        """Monotonic time when the client is cut off, unless it takes or sends something before."""

    def expire(self) -> None:
        """Cut the connection of a client that is too slow."""
        self.outcome = TOO_SLOW
        if self._connection is not None:
            self._connection.abort()

    def _extend(self, size: int) -> None:
        self.deadline = monotonic() + self._patience + size / self._min_rate

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the answer."""
        self.status = status
        self.answered = monotonic()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def finish(self, body: bytes | memoryview = b"") -> None:
        """Send the last bytes of the body, and return when the client has taken nearly all of them."""
        size = len(body)
        if size > UNWATCHED:
            await self.write(body)
            await self._put(b"")  # returns when the connection has room again
            body = b""
        self.sent += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def write(self, block: bytes | memoryview) -> None:
        """Send more of the body; waits while the client is behind.

        Raises:
            ClientGoneError: It has left, or took too long.
        """
        if not self._copies:
            await self._put(block)
            return
        view = memoryview(block)
        for start in range(0, len(view), SLICE):
            await self._put(view[start : start + SLICE])

    async def _put(self, block: bytes | memoryview) -> None:
        self._extend(len(block))
        await self._send({"type": "http.response.body", "body": block, "more_body": True})
        if self._connection is not None and self._connection.is_closing():
            raise ClientGoneError
        self.sent += len(block)

    async def reply(self, answer: Answer) -> None:
        """Send an answer that is known as a whole.

        Raises:
            ClientGoneError: The client has left, or took too long.
        """
        await self.start(answer.status, answer.headers)
        for block in answer.blocks[:-1]:
            await self.write(block)
        await self.finish(answer.blocks[-1] if answer.blocks else b"")

    async def answer(self, status: HTTPStatus, headers: Headers, body: bytes = b"") -> None:
        """Send a small answer with its length; the body of one to `HEAD` stays away."""
        shown = [*headers]
        if status is not HTTPStatus.NO_CONTENT:
            shown.append((b"content-length", b"%d" % len(body)))
        await self.reply(Answer(status, shown, () if self.method == "HEAD" else (body,)))

    @property
    def sends_files(self) -> bool:
        """Whether `send_file` can be used."""
        return self._connection is not None and self._connection.sends_files

    async def send_file(self, descriptor: int, start: int, stop: int, *, head: Head | None = None) -> None:
        """Send bytes of a file as more of the body, without taking them into this process.

        Args:
            descriptor: The file.
            start: First byte.
            stop: Byte after the last one.
            head: Status and headers, if they are not out yet.

        Raises:
            ClientGoneError: The client has left, or took too long.
        """
        assert self._connection is not None  # noqa: S101 - see `sends_files`
        self._extend(stop - start)
        if head is not None:
            self.status = head[0]
            self.answered = monotonic()
        await self._connection.send_file(head, descriptor, start, stop, self._took)
        if self._connection.is_closing():
            raise ClientGoneError

    def _took(self, size: int) -> None:
        self.sent += size

    async def leave(self) -> None:
        """Close the connection to a client that is given up, and let the server take notice."""
        if self._connection is not None:
            self._connection.abort()
            while (await self._receive())["type"] != "http.disconnect":
                pass

    def blocks(self, size: int) -> "Body":
        """Return the request's body, to be read in blocks of about so many bytes."""
        return Body(self, size)

    async def receive(self) -> tuple[bytes, bool]:
        """Return the next bytes of the request's body, and whether there may be more.

        Raises:
            ClientGoneError: The client has left, or took too long.
        """
        self._extend(0)
        message: dict[str, Any] = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return message.get("body", b""), message.get("more_body", False)


class Body:
    """The body of a request as an asynchronous iterator over blocks.

    Args:
        exchange: The request.
        size: Bytes that are gathered into a block.
    """

    def __init__(self, exchange: Exchange, size: int) -> None:
        self._exchange = exchange
        self._size = size
        self._more = True

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        gathered = bytearray()
        while self._more and len(gathered) < self._size:
            chunk, self._more = await self._exchange.receive()
            gathered += chunk
        if not gathered:
            raise StopAsyncIteration
        return bytes(gathered)
