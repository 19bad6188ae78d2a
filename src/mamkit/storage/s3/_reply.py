"""One answer, read from its connection to the end of its body and not a byte further."""

import io
import socket
from collections.abc import Callable

from mamkit.storage.s3._head import MOST_HEAD, Head, parse_chunk_size, parse_head
from mamkit.storage.s3._wire import BrokenLineError

__all__ = ["Reply", "broken", "reply_to"]

_RECEIVED = 4096  # bytes of one look for a head, or a line: what comes of the body with it is copied once more
_AT_ONCE = 1024 * 1024  # bytes for which memory is taken before they are there, whatever length was announced
_MOST_LINE = 8 * 1024  # bytes of the line before a chunk
_MOST_INTERIM = 8  # answers before the answer (RFC 9110 section 15.2)


class Reply:
    """An answer whose body is still to be read, and then to be given back or closed.

    Args:
        head: What it began with.
        intake: Where its body comes from.
        line: The connection.
        give_back: Takes the connection when the body is read.
    """

    def __init__(
        self, head: Head, intake: "Intake", line: socket.socket, give_back: Callable[[socket.socket], object]
    ) -> None:
        self.status = head.status
        self.headers = head.headers
        self._intake = intake
        self._line: socket.socket | None = line
        self._give_back = give_back
        self._last = head.last
        self._chunked = head.chunked
        self._begun = False
        self._left = 0 if head.chunked else head.length  # of the body, or of its chunk; None to the end
        self._over = self._left == 0 and not head.chunked

    def __del__(self) -> None:
        self.close()  # somebody opened an object and forgot it

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is None; fewer only at the end.

        Raises:
            BrokenLineError: The connection broke, or ended before the body.
        """
        file, done = io.BytesIO(), 0
        while not self._over and (size is None or done < size):
            step = min(self._left or _AT_ONCE, _AT_ONCE, _AT_ONCE if size is None else size - done)
            file.seek(done + step - 1)
            file.write(b"\0")  # makes room, into which the bytes are received: none of them is copied
            with file.getbuffer() as room, room[done : done + step] as target:
                done += self.readinto(target)
        file.truncate(done)
        return file.getvalue()

    def readinto(self, target: memoryview) -> int:
        """Read the next bytes into a buffer, as many as there are at once, and return how many; 0 at the end.

        Raises:
            BrokenLineError: The connection broke, or ended before the body.
        """
        if self._over or not target:
            return 0
        try:
            return self._receive(target)
        except BrokenLineError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise broken(error) from error

    def release(self) -> None:
        """Give the connection back, if the body was read to its end; else close it. May be called twice."""
        line, self._line = self._line, None
        if line is None:
            return
        if self._over and not self._last and self._intake.is_empty():
            self._give_back(line)
        else:
            line.close()

    def close(self) -> None:
        """Close the connection, if it was not given back; what is still to come is not waited for."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _receive(self, target: memoryview) -> int:
        if self._chunked and not self._left:
            self._next_chunk()
            if self._over:
                return 0
        count = self._intake.into(target if self._left is None else target[: self._left])
        if self._left is None:
            self._over = not count
        elif not count:
            raise BrokenLineError(f"the connection ended with {self._left} bytes to come")
        else:
            self._left -= count
            self._over = not self._left and not self._chunked
        return count

    def _next_chunk(self) -> None:
        """Read what stands between two chunks, or after the last one (RFC 9112 section 7.1)."""
        if self._begun:
            self._intake.until(b"\r\n", 2)  # with no byte before it
        self._begun = True
        self._left = parse_chunk_size(self._intake.until(b"\r\n", _MOST_LINE))
        if self._left == 0:
            size = MOST_HEAD
            while line := self._intake.until(b"\r\n", size):  # trailers, which nobody here asked for
                size -= len(line) + 2
            self._over = True


class Intake:
    """The bytes of a connection, of which a few may have come before they are asked for.

    Args:
        line: The connection.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._kept = bytearray()

    def is_empty(self) -> bool:
        """Return whether everything that came was taken; what is left over is an answer that nobody asked for."""
        return not self._kept

    def until(self, mark: bytes, most: int) -> bytes:
        """Return what comes before a mark, and take that too.

        Raises:
            BrokenLineError: The connection ended before it, or it does not come within `most` bytes.
        """
        looked = 0
        while (end := self._kept.find(mark, looked)) < 0 and len(self._kept) < most:
            looked = max(0, len(self._kept) - len(mark) + 1)
            block = self._line.recv(_RECEIVED)
            if not block:
                raise BrokenLineError("the connection ended within the head of an answer")
            self._kept += block
        if not 0 <= end <= most - len(mark):
            raise BrokenLineError("the answer is not one of HTTP: a line of it has no end")
        found = bytes(self._kept[:end])
        del self._kept[: end + len(mark)]
        return found

    def into(self, target: memoryview) -> int:
        """Read into a buffer what is there, and return how many bytes; 0 at the end of the connection."""
        if not self._kept:
            return self._line.recv_into(target)
        count = min(len(target), len(self._kept))
        target[:count] = self._kept[:count]
        del self._kept[:count]
        return count


def reply_to(method: str, line: socket.socket, give_back: Callable[[socket.socket], object]) -> Reply:
    """Wait for the answer to a request that was sent, and return it when its head is there.

    Raises:
        BrokenLineError: What comes is no answer.
        OSError: The connection broke.
    """
    intake = Intake(line)
    for _ in range(_MOST_INTERIM):
        head = parse_head(intake.until(b"\r\n\r\n", MOST_HEAD), method)
        if head.status == 101:
            break
        if head.status >= 200:
            return Reply(head, intake, line, give_back)
    raise BrokenLineError("the answer is not one of HTTP: it is none to this request")


def broken(error: Exception) -> BrokenLineError:
    """Return what happened to a connection, without addresses of objects and without URLs."""
    if isinstance(error, TimeoutError):
        return BrokenLineError("it does not answer in time")
    return BrokenLineError(f"the connection broke ({type(error).__name__})")
