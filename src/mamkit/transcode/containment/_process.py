"""A child process that is never trusted and always ended: its messages, its clocks and its last words."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Protocol, Self, cast

from mamkit.transcode.containment._wire import Message, Receiver
from mamkit.transcode.errors import (
    ChildCrashedError,
    ChildTimedOutError,
    ContainmentError,
    TranscodeInterruptedError,
)
from mamkit.transcode.limits import Limits

__all__ = ["Cancellation", "Child", "end_process", "start_process"]

_BLOCK = 1 << 20  # bytes read at once
_TICK = 0.1  # seconds between looks at the clocks, and at whether to stop
_LAST_WORDS = 8_192  # bytes of standard error that are kept
_QUOTED_LINES = 5  # of them in an error
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")  # of the object that logs a line, in FFmpeg's words
_STARVED = re.compile(rb"Cannot allocate memory|get_buffer\(\) failed")  # FFmpeg goes on, and calls the file broken
_ENVIRONMENT = {
    "SVT_LOG": "1",  # of SVT-AV1: errors only
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # they would be looked for among all that is installed, and be run
}
_GRACE = 5.0  # seconds that a child which has closed its output may take to be gone


def start_process(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, with nothing of this one's environment and no files but three pipes.

    Raises:
        ContainmentError: The system starts no more processes.
    """
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise ContainmentError(f"no child process could be started: {error}") from error


def end_process(process: "subprocess.Popen[bytes]") -> None:
    """End a process and whatever it has started, and forget its pipes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone; gone, says macOS
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


class Cancellation(Protocol):
    """What tells that work is no longer wanted: a `threading.Event`, or anything with its `is_set`."""

    def is_set(self) -> bool:
        """Return whether to stop."""


class Child:
    """A process that does one piece of work; a context manager.

    Leaving the `with` block ends it and whatever it has started, unless it was released.

    Args:
        process: As `start_process` made it.
        request: What is written to its standard input; `reply` writes more.
        limits: How long it may take, and how much it may say at once.
        cancelled: Ends it when set.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        request: bytes,
        *,
        limits: Limits,
        cancelled: Cancellation | None = None,
    ) -> None:
        self._process = process
        self._unsent = request
        self._limits = limits
        self._cancelled = cancelled
        self._receiver = Receiver(limits.segment_bytes)
        self._messages: deque[Message] = deque()
        self._log = b""
        self._starved = False
        self._silent = False
        self._released = False

    def __enter__(self) -> Self:
        self._stdin, self._stdout, self._stderr = (
            cast("BinaryIO", stream) for stream in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write_request)
        self._selector.register(self._stdout, selectors.EVENT_READ, self._read_messages)
        self._selector.register(self._stderr, selectors.EVENT_READ, self._read_log)
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        if not self._released:
            end_process(self._process)

    def release(self) -> None:
        """Let it live on behind the `with` block; the caller has heard that its work is done."""
        self._read_log()  # so that its words on this are not taken for words on the next
        self._released = True

    def reply(self, data: bytes) -> None:
        """Put bytes on its standard input, behind their number in eight bytes, while its messages are waited for."""
        idle = not self._unsent
        self._unsent += len(data).to_bytes(8) + data
        if idle:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write_request)

    def last_words(self) -> str:
        """Return the last lines that it has written to its standard error."""
        self._read_log()
        lines = self._log.decode(errors="backslashreplace").splitlines()
        return "\n".join(_ADDRESS.sub("", line) for line in lines[-_QUOTED_LINES:])

    def was_starved(self) -> bool:
        """Return whether a decoder complained that it got no memory."""
        self._read_log()
        return self._starved

    def messages(self) -> Iterator[Message]:
        """Yield what it says, until the caller has heard enough; the caller's own time does not count as the child's.

        Raises:
            ChildCrashedError: It ended.
            ChildTimedOutError: It said nothing for `limits.stall`, or took `limits.time` in all.
            ChildProtocolError: It said something else than messages.
            TranscodeInterruptedError: `cancelled` was set.
        """
        spent = 0.0  # seconds of the child's time
        while True:
            began = time.monotonic()
            while not self._messages:
                self._check(waited=time.monotonic() - began, spent=spent)
                for key, _ in self._selector.select(_TICK):
                    key.data()
            spent += time.monotonic() - began
            while self._messages:
                yield self._messages.popleft()

    def _check(self, *, waited: float, spent: float) -> None:
        if self._cancelled is not None and self._cancelled.is_set():
            raise TranscodeInterruptedError("the work was asked to stop, and was stopped")
        if self._silent:
            raise self._crashed()
        stall, in_all = self._limits.stall.total_seconds(), self._limits.time.total_seconds()
        if waited > stall:
            raise ChildTimedOutError(
                f"the child made no progress for {stall:g} s and was killed", seconds=stall, stderr=self.last_words()
            )
        if spent + waited > in_all:
            raise ChildTimedOutError(
                f"the child was not done after {in_all:g} s and was killed", seconds=in_all, stderr=self.last_words()
            )

    def _crashed(self) -> ContainmentError:
        """Return what became of a child that will say no more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        status = self._process.poll()
        if status is None:
            return ChildCrashedError(
                "the child fell silent without an answer, and was killed", stderr=self.last_words()
            )
        if status == -signal.SIGXCPU:
            seconds = self._limits.time.total_seconds()
            return ChildTimedOutError(
                "the child used up its time on the processor", seconds=seconds, stderr=self.last_words()
            )
        words = self.last_words()
        last = f": {words.rpartition(chr(10))[2]}" if words else ""
        if status < 0:
            name = signal.Signals(-status).name
            return ChildCrashedError(f"the child was ended by {name}{last}", signal=name, stderr=words)
        return ChildCrashedError(
            f"the child ended with exit status {status} and without an answer{last}", exit_status=status, stderr=words
        )

    def _write_request(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._unsent)
        except BlockingIOError:
            return
        except BrokenPipeError:
            written = len(self._unsent)
        self._unsent = self._unsent[written:]
        if not self._unsent:
            self._selector.unregister(self._stdin)

    def _read_messages(self) -> None:
        block = self._read(self._stdout)
        if block == b"":
            self._silent = True
        elif block is not None:
            self._messages.extend(self._receiver.feed(block))

    def _read_log(self) -> None:
        block = self._read(self._stderr)
        if block:
            self._log = (self._log + block)[-_LAST_WORDS - len(block) :]
            self._starved = self._starved or _STARVED.search(self._log) is not None
            self._log = self._log[-_LAST_WORDS:]

    def _read(self, stream: BinaryIO) -> bytes | None:
        """Return bytes, none at the end, or None where there is nothing to read now."""
        try:
            block = os.read(stream.fileno(), _BLOCK)
        except BlockingIOError:
            return None
        if not block and stream in self._selector.get_map():
            self._selector.unregister(stream)
        return block
