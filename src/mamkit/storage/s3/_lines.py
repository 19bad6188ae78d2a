"""Connections to one server over which one request after another goes: HTTP/1.1, kept open, asked when they are idle.

Less than a general client does, at a third of its processor time a request: a request leaves in one system call, body
included, and answers are read by the standard library's `HTTPResponse`.
"""

import select
import socket
import ssl
import weakref
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from mamkit.storage.errors import InvalidMetadataError, StorageError
from mamkit.storage.s3._wire import BrokenLineError

__all__ = ["Lines", "Reply"]

_SENT = 256 * 1024  # bytes handed to the socket at once, for which the time limit is


class Lines:
    """A pool of connections.

    Args:
        origin: Scheme, host and port.
        connect: Seconds for a connection to open.
        keep: How many are kept open.
        ca_bundle: File of certificates that are trusted instead of the system's.
    """

    def __init__(self, origin: str, *, connect: float, keep: int, ca_bundle: str | None = None) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        self._context = ssl.create_default_context(cafile=ca_bundle) if parts.scheme == "https" else None
        self._connect = connect
        self._keep = keep
        self._idle: list[socket.socket] = []  # the one that was used last is used next
        weakref.finalize(self, _close_all, self._idle)  # a store need not be closed

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | memoryview | Iterable[bytes],
        *,
        patience: float,
    ) -> "Reply":
        """Send a request and return the head of the answer.

        Args:
            method: HTTP method.
            target: Path and query, as they are sent.
            headers: `content-length` among them, if there is a body.
            body: Sent with it.
            patience: Seconds without a byte, either way, after which the connection is given up.

        Raises:
            BrokenLineError: There is no connection, or it broke.
            InvalidMetadataError: A header cannot be sent as it is.
        """
        head = _head(method, target, headers)
        line = self._take()
        with ExitStack() as broken:
            broken.callback(line.close)
            try:
                line.settimeout(patience)
                with suppress(BrokenPipeError):  # who refuses a body does not read all of it; the answer may be there
                    _send(line, head, body)
                response = HTTPResponse(line, method=method)
                broken.callback(response.close)
                response.begin()
                _check_head(response)
            except StorageError:  # of what the body is read from; some of them are an `OSError` too
                raise
            except (HTTPException, OSError) as error:
                raise BrokenLineError(_reason(error)) from error
            broken.pop_all()
        return Reply(response, line, self)

    def close(self) -> None:
        """Close the connections that are idle, and those in use when they are given back."""
        self._keep = 0
        _close_all(self._idle)

    def give_back(self, line: socket.socket) -> None:
        """Take a connection over which nothing is on its way any more."""
        if len(self._idle) < self._keep:
            self._idle.append(line)
        else:
            line.close()

    def _take(self) -> socket.socket:
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return self._open()
            if not _has_ended(line):
                return line
            line.close()

    def _open(self) -> socket.socket:
        try:
            line = socket.create_connection((self._host, self._port), timeout=self._connect)
        except TimeoutError as error:
            raise BrokenLineError("it cannot be reached in time") from error
        except socket.gaierror as error:
            raise BrokenLineError("its name is not known") from error
        except OSError as error:
            raise BrokenLineError("it cannot be reached") from error
        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line if self._context is None else self._context.wrap_socket(line, server_hostname=self._host)
        except OSError as error:
            line.close()
            trusted = not isinstance(error, ssl.SSLCertVerificationError)
            raise BrokenLineError(_reason(error) if trusted else "its certificate is not trusted") from error


class Reply:
    """An answer whose body is still to be read, and then to be given back or closed.

    Args:
        response: Of which the head has been read.
        line: The connection.
        lines: Takes it back.
    """

    def __init__(self, response: HTTPResponse, line: socket.socket, lines: Lines) -> None:
        self._response = response
        self._line: socket.socket | None = line
        self._lines = lines
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def __del__(self) -> None:
        self.close()  # somebody opened an object and forgot it

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is None; none at the end.

        Raises:
            BrokenLineError: The connection broke, or ended before the body.
        """
        try:
            block = self._response.read(size)
        except (HTTPException, OSError) as error:
            self.close()
            raise BrokenLineError(_reason(error)) from error
        self._check_end(len(block), size)
        return block

    def readinto(self, target: memoryview) -> int:
        """Read the next bytes into a buffer and return how many; 0 at the end.

        Raises:
            BrokenLineError: The connection broke, or ended before the body.
        """
        try:
            count = self._response.readinto(target)
        except (HTTPException, OSError) as error:
            self.close()
            raise BrokenLineError(_reason(error)) from error
        self._check_end(count, len(target))
        return count

    def release(self) -> None:
        """Give the connection back, if the body was read to its end; else close it. May be called twice."""
        line, self._line = self._line, None
        if line is None:
            return
        whole = (self._response.isclosed() or self._response.length == 0) and not self._response.will_close
        self._response.close()
        if whole:
            self._lines.give_back(line)
        else:
            line.close()

    def close(self) -> None:
        """Close the connection, if it was not given back; what is still to come is not waited for."""
        line, self._line = self._line, None
        if line is not None:
            self._response.close()
            line.close()

    def _check_end(self, found: int, wanted: int | None) -> None:
        if not found and wanted != 0 and self._response.length:
            self.close()
            raise BrokenLineError(f"the connection ended with {self._response.length} bytes to come")


def _close_all(idle: list[socket.socket]) -> None:
    with suppress(IndexError):
        while True:
            idle.pop().close()


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return a request up to its body.

    Raises:
        InvalidMetadataError: A header would be more than one, or is not in ASCII.
    """
    for name, value in headers.items():
        if not value.isascii() or "\r" in value or "\n" in value or "\0" in value:
            raise InvalidMetadataError(name, "a header is one line of ASCII")
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")


def _check_head(response: HTTPResponse) -> None:
    """Do nothing if the head of an answer is whole, as far as can be told; `HTTPResponse` lets it end anywhere.

    Raises:
        BrokenLineError: It says neither how long the body is nor that it goes on to the end (RFC 9112 section 6.3).
    """
    until_the_end = response.length is None and not response.chunked
    said = "close" in response.headers.get("connection", "").lower() or response.version == 10
    if until_the_end and not said:
        raise BrokenLineError("the connection ended within the head of an answer")


def _send(line: socket.socket, head: bytes, body: bytes | memoryview | Iterable[bytes]) -> None:
    if not isinstance(body, bytes | memoryview):
        line.sendall(head)
        for block in body:
            _send_block(line, memoryview(block))
    elif isinstance(line, ssl.SSLSocket):  # which sends no two buffers at once
        line.sendall(head)
        _send_block(line, memoryview(body))
    else:
        sent = line.sendmsg([head, memoryview(body)[:_SENT]])
        _send_block(line, memoryview(head)[sent:])
        _send_block(line, memoryview(body)[max(0, sent - len(head)) :])


def _send_block(line: socket.socket, block: memoryview) -> None:
    while block:
        block = block[line.send(block[:_SENT]) :]


def _has_ended(line: socket.socket) -> bool:
    """Return whether an idle connection was closed by the server, or has something to say that nobody asked for."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))


def _reason(error: Exception) -> str:
    """Return what happened to a connection, without addresses of objects and without URLs."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return f"the connection broke ({type(error).__name__})"
