"""uvicorn's HTTP protocol as the edge needs it: answers at once, files sent by the system, slow clients cut off."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mamkit_apps.edge.exchange import TOO_SLOW, Head
from mamkit_apps.edge.request import Answer, Headers, Hold, Request

__all__ = ["AnswersAtOnce", "EdgeProtocol", "RequestConnection"]

HEAD_SECONDS = 15.0  # for the head of a request, as nginx's client_header_timeout quartered: heads are one packet
GLANCE = 0.05  # seconds, in which the loop looks once for what has come
LINGER_SECONDS = 30.0  # for taking the rest of an answer once the connection is to be closed
MORE = getattr(socket, "MSG_MORE", 0)  # Linux: more comes at once, so wait with the packet
SMALL = 64 << 10  # bytes that are copied: asyncio's transports take as much without waiting
CHUNK = 1 << 20  # bytes that one call of sendfile may take, so that one client does not keep the others waiting


class AnswersAtOnce(Protocol):
    """What knows some answers without waiting: `EdgeService`."""

    def answer_at_once(self, request: Request, *, most: int) -> Answer | None:
        """Return an answer with a body of at most so many bytes; None if the application is to serve the request."""


class _Sending(NamedTuple):
    """An answer that the transport has and the client has not."""

    hold: Hold
    size: int
    timer: asyncio.TimerHandle


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    The scope of a request has it as `mamkit.connection` among its extensions, see `RequestConnection`.

    Args:
        service: Asked for each request below `/s/` before a task is made for it.
        uvicorn: What uvicorn gives to a protocol.
    """

    def __init__(self, *, service: AnswersAtOnce, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._service = service
        self._in_head = False
        self._answered = False
        self._sending: _Sending | None = None
        self.writable: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the head of a request, though not for ever."""
        super().connection_made(transport)
        # uvloop keeps what it cannot send as it is; asyncio's own loop copies it.
        self.copies = not type(transport).__module__.startswith("uvloop")
        self._most = SMALL if self.copies or self.scheme != "http" else sys.maxsize
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came; the rest of a head that came in part is not waited for for ever."""
        super().data_received(data)
        if self._in_head and self._head_timer.cancelled():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.abort)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = True
        super().on_message_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers, and wake who waits for the client."""
        self._head_timer.cancel()
        self._end_sending(left=self.transport.get_write_buffer_size())
        if self.writable is not None:
            _wake(self.writable)
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Stop the timer of the head, and answer; or put the connection into the scope, and start the application."""
        self._in_head = False
        self._head_timer.cancel()
        answer = self._find_answer()
        if answer is not None:
            self._answered = True
            self._send(answer)
            return
        connection = RequestConnection(self)
        self.scope["extensions"] = {"mamkit.connection": connection}  # type: ignore[dict-item]
        super().on_headers_complete()
        connection.cycle = self.cycle  # the application has not begun: its task runs later

    def on_message_complete(self) -> None:
        """End a request; one that is answered already is not uvicorn's."""
        if self._answered:
            self._answered = False
        else:
            super().on_message_complete()

    def _find_answer(self) -> Answer | None:
        """Return the answer to a request that needs no waiting: for its body, its turn, room to write or the store."""
        if (
            not self.url.startswith(b"/s/")
            or b"#" in self.url
            or not self.url.isascii()
            or self._is_busy()
            or self.flow.write_paused
            or self.transport.is_closing()
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
        ):
            return None
        fields = dict(self.headers)
        if b"content-length" in fields or b"transfer-encoding" in fields:
            return None
        path, _, query = self.url.decode().partition("?")
        client = self.client[0] if self.client else None
        try:
            request = Request(self.parser.get_method().decode(), path, query, fields, client)
            return self._service.answer_at_once(request, most=self._most)
        except Exception:  # which the parser would take for its own; the application meets it again, and logs it
            return None

    def _send(self, answer: Answer) -> None:
        """Give an answer to the transport, whole: what is asked next on this connection is answered behind it."""
        head = self.head(answer.status, answer.headers)
        if answer.hold is None:
            self.transport.write(b"".join([head, *answer.blocks]))
            self.on_response_complete()
            return
        timer = self.loop.call_later(answer.hold.seconds, self._cut_off)
        self._sending = _Sending(answer.hold, answer.size, timer)
        for block in self._write_now([head, *answer.blocks]):
            self.transport.write(block)
        if not self.flow.write_paused:  # the system has it all, or nearly
            self.resume_writing()

    def _write_now(self, blocks: list[bytes | memoryview]) -> list[memoryview]:
        """Give blocks to the system in one call, so that the head is no packet of its own; return what it leaves."""
        sent = 0
        if not self.transport.get_write_buffer_size():
            with suppress(OSError):  # no room, or nobody there: the transport finds out
                sent = os.writev(self.transport.get_extra_info("socket").fileno(), blocks)
        left = []
        for block in blocks:
            if sent < len(block):
                left.append(memoryview(block)[sent:])
            sent = max(0, sent - len(block))
        return left

    def resume_writing(self) -> None:
        """Go on writing: the client has taken nearly all that the transport had."""
        super().resume_writing()
        if self._sending is not None:
            self._end_sending()
            if not self._is_busy():
                self.on_response_complete()

    def _cut_off(self) -> None:
        """Leave a client that is too slow."""
        self._end_sending(TOO_SLOW, left=self.transport.get_write_buffer_size())
        self.abort()

    def _end_sending(self, outcome: str = "", *, left: int = 0) -> None:
        """Tell who waits for the end of an answer how it came, and how many bytes of it the client has not taken."""
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.timer.cancel()
            sending.hold.release(max(0, sending.size - left), outcome)

    def _is_busy(self) -> bool:
        """Return whether an answer is under way, which comes before the next one (RFC 9112 section 9.3.2)."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first one
        return cycle is not None and not cycle.response_complete

    def head(self, status: int, headers: Headers, *, close: bool = False) -> bytes:
        """Return the head of an answer as bytes."""
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += [name, b": ", value, b"\r\n"]
        lines.append(b"connection: close\r\n\r\n" if close else b"\r\n")
        return b"".join(lines)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request has come: after a stall, uvloop fires timers before it reads."""
        self.timeout_keep_alive_task = self.loop.call_later(GLANCE, self._close_idle)  # which data would cancel

    def _close_idle(self) -> None:
        """Close the connection; one that has not even taken its last answer is cut off in the end."""
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
        self.copies = protocol.copies
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
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.chunked_encoding = False
        cycle.expected_content_length = int(dict(headers)[b"content-length"])
        return self._protocol.head(status, headers, close=not cycle.keep_alive)

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
