"""Connections to one server over which one request after another goes: HTTP/1.1, kept open, asked when they are idle.

Less than a general client does, at a fraction of its processor time: a request leaves in one system call, body
included, and of answers those are read that `_head` and `_reply` understand.
"""

import select
import socket
import ssl
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from mamkit.storage.errors import InvalidMetadataError, StorageError
from mamkit.storage.s3._reply import Reply, broken, reply_to
from mamkit.storage.s3._wire import BrokenLineError

__all__ = ["Lines"]

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
    ) -> Reply:
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
        try:
            if line.gettimeout() != patience:
                line.settimeout(patience)
            with suppress(BrokenPipeError):  # who refuses a body does not read all of it; the answer may be there
                _send(line, head, body)
            return reply_to(method, line, self.give_back)
        except BaseException as error:
            line.close()
            # An error of what the body is read from may be an `OSError` too, and says nothing about the connection.
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                raise broken(error) from error
            raise

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
            raise (broken(error) if trusted else BrokenLineError("its certificate is not trusted")) from error


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
