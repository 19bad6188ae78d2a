"""The child process that opens strangers' files: `python -I -m mamkit.transcode.containment._child`.

`contain` starts it. It reads one request from its standard input, restricts itself, does the work in process and says
what comes of it on its standard output. What libraries print goes to its standard error. It may be started long before
its request comes: all that takes time is imported by then. It may be asked for more work on the same source, too, of
which it then keeps in mind what it has read.
"""

import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av

import mamkit
from mamkit.transcode.artwork._photo import encode_thumbnails
from mamkit.transcode.containment._ordinary import stay_ordinary
from mamkit.transcode.containment._sandbox import allow_time, restrict_files, restrict_resources
from mamkit.transcode.containment._system_calls import restrict_system_calls
from mamkit.transcode.containment._wire import Message, send, to_wire
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.encoding.encoders import ENCODERS
from mamkit.transcode.encoding.trial import headers_here, try_here
from mamkit.transcode.errors import ChildMemoryError, SourceUnavailableError, TranscodeError
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Init, Part, Plan, Segment
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading._input import open_ahead
from mamkit.transcode.reading.source import CachedRanges, Source

__all__ = ["main"]

_PROGRESS_EVERY = 0.25  # seconds: often enough to show that the child is alive


class _Voice:
    """The pipe to the parent, which several threads may speak through."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._heard = False

    def say(self, message: Message) -> None:
        with self._lock:
            send(self._pipe, message)

    def ask(self, question: Message) -> None:
        """Say what the parent replies to, which it does while there is work."""
        if not self._heard:
            raise SourceUnavailableError("the parent reads nothing between two pieces of work")
        self.say(question)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let questions be asked in this block."""
        self._heard = True
        yield
        self._heard = False


class _ParentsRanges:
    """A source of which the parent reads ranges: this process has no network, and knows no store."""

    def __init__(self, name: str, size: int, voice: _Voice) -> None:
        self.name, self.size = name, size
        self._voice = voice

    def read(self, start: int, stop: int) -> bytes:
        self._voice.ask(Message("read", [start, stop]))
        return self._answer(start, stop)

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self._voice.ask(Message("read_many", list(ranges)))
        return [self._answer(start, stop) for start, stop in ranges]

    def _answer(self, start: int, stop: int) -> bytes:
        size = int.from_bytes(sys.stdin.buffer.read(8))
        data = sys.stdin.buffer.read(size)
        if len(data) != stop - start:
            raise SourceUnavailableError("the parent reads no more")
        return data


class _PipeSink:
    """A `Sink` on the other side of a pipe."""

    def __init__(self, voice: _Voice) -> None:
        self._voice = voice
        self._told = 0.0

    def init(self, init: Init, data: bytes) -> None:
        self._voice.say(Message("init", init.model_dump(mode="json"), data))

    def segment(self, segment: Segment, data: bytes) -> None:
        self._voice.say(Message("segment", segment.model_dump(mode="json"), data))

    def art(self, file: ArtFile, data: bytes) -> None:
        self._voice.say(Message("art", file.model_dump(mode="json"), data))

    def progress(self, done: Fraction) -> None:
        if time.monotonic() - self._told >= _PROGRESS_EVERY:
            self._told = time.monotonic()
            self._voice.say(Message("progress", str(done.limit_denominator(10_000))))


def main() -> None:
    """Do what standard input asks for; where more may be asked for, wait for that."""
    voice: _Voice | None = None
    ranges: CachedRanges | None = None
    while line := sys.stdin.buffer.readline():  # none: it was kept ready, and not needed
        request = json.loads(line)
        if voice is None:
            voice, given = _begin(request), request["source"]
            ranges = CachedRanges(_ParentsRanges(**given, voice=voice)) if isinstance(given, dict) else None
        else:
            allow_time(request["limits"]["cpu_seconds"])
        source = ranges or request["source"]
        with voice.heard():
            answer = _answer(request, source, voice)
        voice.say(answer)
        if not request["keep"]:
            return
        if answer.kind == "info":
            with suppress(TranscodeError, MemoryError):
                open_ahead(source)
        _give_back_memory()


def _answer(request: dict[str, Any], source: Source, voice: _Voice) -> Message:
    try:
        return _work(request, source, voice)
    except TranscodeError as error:
        return Message("error", to_wire(error))
    except MemoryError:
        return Message("error", to_wire(_too_much_memory(request["limits"]["memory"])))


def _begin(request: dict[str, Any]) -> _Voice:
    """Confine this process to what its first piece of work needs, and return the pipe to the parent."""
    # The answers go through a descriptor of their own, so that nothing that a library prints gets among them.
    voice = _Voice(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    limits = request["limits"]
    stay_ordinary()
    restrict_resources(
        memory=limits["memory"], seconds=limits["cpu_seconds"], parent=request["parent"], more=request["keep"]
    )
    av.logging.restore_default_callback()  # FFmpeg's own, which writes to standard error and takes no Python lock
    av.logging.set_libav_level(av.logging.ERROR)
    given = request["source"]
    code = [*sys.path, sys.prefix, sys.base_prefix, *map(_folder, (av, mamkit))]
    card = "nvenc" in request.get("devices", {}).values()
    restrict_files(os.devnull if isinstance(given, dict) else given, code, card=card)
    restrict_system_calls(card=card)
    return voice


def _give_back_memory() -> None:
    """Let the system have what the last piece of work took, while this process waits for the next."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(AttributeError):  # not of glibc
            ctypes.CDLL(None).malloc_trim(0)


def _work(request: dict[str, Any], source: Source, voice: _Voice) -> Message:
    devices = request.get("devices", {})
    if request["task"] == "trial":
        [(codec, device)] = devices.items()
        return Message("done", try_here(ENCODERS[codec, device], codec))
    if request["task"] == "headers":
        pipe = _PipeSink(voice)
        for init in headers_here(Plan.model_validate(request["plan"]), devices):
            pipe.init(init.facts, init.data)
        return Message("done", None)
    if request["task"] == "probe":
        limits = Limits(
            duration=timedelta(seconds=request["limits"]["duration"]),
            pixels=request["limits"]["pixels"],
            streams=request["limits"]["streams"],
        )
        return Message("info", probe_here(source, limits).model_dump(mode="json"))
    if request["task"] == "thumbnails":
        sink = _PipeSink(voice)
        for file, data in encode_thumbnails(source):
            sink.art(file, data)
        return Message("done", None)
    plan, part = Plan.model_validate(request["plan"]), Part.model_validate(request["part"])
    headers = {name: bytes.fromhex(header) for name, header in request["headers"].items()}
    encode_part_here(source, plan, part, _PipeSink(voice), devices=devices, headers=headers)
    return Message("done", None)


def _too_much_memory(limit: int) -> ChildMemoryError:
    return ChildMemoryError(f"the media takes more than the {limit >> 20} MiB of memory it is allowed", limit=limit)


def _folder(module: Any) -> str:
    return str(Path(module.__file__).parent)


if __name__ == "__main__":
    main()
