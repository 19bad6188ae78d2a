"""uvicorn's HTTP protocol with its connection in reach of the edge: to cut off who is too slow, and to send files."""

import asyncio
import os
import socket
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["EdgeProtocol"]

HEAD_SECONDS = 15.0  # for the head of a first request, as nginx's client_header_timeout quartered: heads are one packet
LINGER_SECONDS = 30.0  # for taking the rest of an answer once the connection is to be closed
CHUNK = 1 << 20  # bytes that one call of sendfile may take, so that one client does not keep the others waiting


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    The scope of a request has it as `mamkit.connection` among its extensions.
    """

    def connection_made(self, transport: object) -> None:  # type: ignore[override]
        """Wait for the head of a request, though not for ever."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.abort)
        # uvloop keeps what it cannot send as it is; asyncio's own loop copies it.
        self.copies = not type(transport).__module__.startswith("uvloop")
        self.sends_files = hasattr(os, "sendfile") and self.scheme == "http"
        self._writable: asyncio.Future[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and wake who waits for the client."""
        self._head_timer.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Put the connection into the scope."""
        super().on_message_begin()
        self.scope["extensions"] = {"mamkit.connection": self}  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        """Stop the timer of the head."""
        self._head_timer.cancel()
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that has not even taken its last answer is cut off in the end."""
        super().timeout_keep_alive_handler()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        if self.transport is not None:
            self.transport.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self.transport.is_closing()

    async def send_file(self, descriptor: int, start: int, stop: int, progress: Callable[[int], None]) -> None:
        """Send bytes of a file as the body of the answer whose head is out, without taking them into this process.

        What has been written before goes first. Returns early if the client leaves.

        Args:
            descriptor: The file.
            start: First byte.
            stop: Byte after the last one.
            progress: Told of bytes that the client has taken.
        """
        peer: socket.socket = self.transport.get_extra_info("socket")
        if self.transport.is_closing():
            return
        # A descriptor of its own: the loop does not let that of a transport be watched by others.
        own = os.dup(peer.fileno())
        try:
            self.transport.set_write_buffer_limits(0)
            if self.transport.get_write_buffer_size():
                self.flow.pause_writing()
                await self.flow.drain()
            at = start
            while at < stop and not self.transport.is_closing():
                try:
                    sent = os.sendfile(own, descriptor, at, min(CHUNK, stop - at))
                except BlockingIOError:
                    await self._until_writable(own)
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    self.abort()
                    return
                if sent == 0:  # the file has become shorter: nobody can make the answer whole
                    self.abort()
                    return
                at += sent
                progress(sent)
            self.cycle.expected_content_length -= at - start
        finally:
            os.close(own)
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()

    async def _until_writable(self, descriptor: int) -> None:
        waiter = self._writable = self.loop.create_future()
        self.loop.add_writer(descriptor, lambda: waiter.done() or waiter.set_result(None))
        try:
            await waiter
        finally:
            self.loop.remove_writer(descriptor)
            self._writable = None
