"""uvicorn's HTTP protocol with its connection in reach of the edge: to cut off who is too slow, and to send files."""

import asyncio
import os
import socket
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mamkit_apps.edge.exchange import Head, Headers

__all__ = ["EdgeProtocol", "RequestConnection"]

HEAD_SECONDS = 15.0  # for the head of a first request, as nginx's client_header_timeout quartered: heads are one packet
LINGER_SECONDS = 30.0  # for taking the rest of an answer once the connection is to be closed
MORE = getattr(socket, "MSG_MORE", 0)  # Linux: more comes at once, so wait with the packet
CHUNK = 1 << 20  # bytes that one call of sendfile may take, so that one client does not keep the others waiting


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    The scope of a request has it as `mamkit.connection` among its extensions, see `RequestConnection`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the head of a request, though not for ever."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.abort)
        self.writable: asyncio.Future[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and wake who waits for the client."""
        self._head_timer.cancel()
        if self.writable is not None:
            _wake(self.writable)
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Stop the timer of the head, and put the connection into the scope."""
        self._head_timer.cancel()
        connection = RequestConnection(self)
        self.scope["extensions"] = {"mamkit.connection": connection}  # type: ignore[dict-item]
        super().on_headers_complete()
        connection.cycle = self.cycle  # the application has not begun: its task runs later

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that has not even taken its last answer is cut off in the end."""
        super().timeout_keep_alive_handler()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        if self.transport is not None:
            self.transport.abort()


class RequestConnection:
    """A connection as one of its requests sees it: several may have come at once (RFC 9112 section 9.3.2).

    Args:
        protocol: The connection.
    """

    def __init__(self, protocol: EdgeProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._flow = protocol.flow
        self.cycle: RequestResponseCycle = protocol.cycle
        # uvloop keeps what it cannot send as it is; asyncio's own loop copies it.
        self.copies = not type(protocol.transport).__module__.startswith("uvloop")
        self.sends_files = hasattr(os, "sendfile") and protocol.scheme == "http"

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    async def send_file(
        self, head: Head | None, descriptor: int, start: int, stop: int, progress: Callable[[int], None]
    ) -> None:
        """Send bytes of a file as body, without taking them into this process. Returns early if the client leaves.

        Args:
            head: Status and headers of the answer, which are sent in one packet with the first bytes; None if they are
                out already.
            descriptor: The file.
            start: First byte.
            stop: Byte after the last one.
            progress: Told of bytes that the client has taken.
        """
        if self._transport.is_closing():
            return
        # A descriptor of its own: the loop does not let that of a transport be watched by others.
        peer = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        own = peer.fileno()
        try:
            await self._drain()
            pending = b"" if head is None else self._begin(*head)
            at = start
            while at < stop and not self._transport.is_closing():
                try:
                    if pending:
                        pending = pending[peer.send(pending, MORE) :]
                        continue
                    sent = os.sendfile(own, descriptor, at, min(CHUNK, stop - at))
                except BlockingIOError:
                    await self._until_writable(own)
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    break
                if sent == 0:  # the file has become shorter: nobody can make the answer whole
                    break
                at += sent
                progress(sent)
            self.cycle.expected_content_length -= at - start
            if at < stop:
                self.abort()
        finally:
            peer.close()

    def _begin(self, status: int, headers: Headers) -> bytes:
        """Return the head of an answer as bytes, and let uvicorn know that it is out."""
        cycle = self.cycle
        lines = [STATUS_LINE[status], *(part for name, value in headers for part in (name, b": ", value, b"\r\n"))]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.chunked_encoding = False
        cycle.expected_content_length = int(dict(headers)[b"content-length"])
        return b"".join([*lines, b"\r\n"])

    async def _drain(self) -> None:
        """Return when all that uvicorn has written is with the operating system."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
            self._flow.pause_writing()
            await self._flow.drain()
            if not self._transport.is_closing():
                self._transport.set_write_buffer_limits()

    async def _until_writable(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._protocol.writable = loop.create_future()
        loop.add_writer(descriptor, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_writer(descriptor)
            self._protocol.writable = None


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
