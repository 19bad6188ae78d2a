"""The child process that opens strangers' files: `python -I -m mamkit.transcode._child`, started by `contain`.

It reads one request from its standard input, restricts itself, does the work in process and says what comes of it on
its standard output. Of a film that is no file of this machine it asks for bytes there, and reads them from its standard
input. What libraries print goes to its standard error.

It may be started long before its request comes: all that takes time is imported by then.
"""

import json
import os
import sys
import time
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from mamkit.transcode._pipe import Pipe, PipedSource
from mamkit.transcode._sandbox import restrict_files, restrict_resources
from mamkit.transcode._wire import Message, to_wire
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.errors import ChildMemoryError, TranscodeError
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Init, Part, Plan, Segment
from mamkit.transcode.probing import probe_here
from mamkit.transcode.source import AnySource

__all__ = ["main"]

_PROGRESS_EVERY = 0.25  # seconds: often enough to show that the child is alive


class _PipeSink:
    """A `Sink` on the other side of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._told = 0.0

    def init(self, init: Init, data: bytes) -> None:
        self._pipe.say(Message("init", init.model_dump(mode="json"), data))

    def segment(self, segment: Segment, data: bytes) -> None:
        self._pipe.say(Message("segment", segment.model_dump(mode="json"), data))

    def art(self, file: ArtFile, data: bytes) -> None:
        self._pipe.say(Message("art", file.model_dump(mode="json"), data))

    def progress(self, done: Fraction) -> None:
        if time.monotonic() - self._told >= _PROGRESS_EVERY:
            self._told = time.monotonic()
            self._pipe.say(Message("progress", str(done.limit_denominator(10_000))))


def main() -> None:
    """Do what standard input asks for."""
    line = sys.stdin.buffer.readline()
    if not line:
        return  # never needed
    request = json.loads(line)
    # The answers go through a descriptor of their own, so that nothing that a library prints gets among them.
    pipe = Pipe(os.fdopen(os.dup(1), "wb"), sys.stdin.buffer)
    os.dup2(2, 1)
    limits = request["limits"]
    restrict_resources(memory=limits["memory"], seconds=limits["cpu_seconds"], parent=request["parent"])
    try:
        answer = _work(request, pipe)
    except TranscodeError as error:
        answer = Message("error", to_wire(error))
    except MemoryError:
        answer = Message("error", to_wire(_too_much_memory(limits["memory"])))
    pipe.say(answer)


def _work(request: dict[str, Any], pipe: Pipe) -> Message:
    av.logging.restore_default_callback()  # FFmpeg's own, which writes to standard error and takes no Python lock
    av.logging.set_libav_level(av.logging.ERROR)
    path, size = request["source"], request["size"]
    restrict_files(
        path if size is None else None,
        [*sys.path, sys.prefix, sys.base_prefix, *map(_folder, (av, sys.modules[__name__]))],
    )
    source: AnySource = path if size is None else PipedSource(pipe, path, size)
    if request["task"] == "probe":
        limits = Limits(
            duration=timedelta(seconds=request["limits"]["duration"]),
            pixels=request["limits"]["pixels"],
            streams=request["limits"]["streams"],
        )
        return Message("info", probe_here(source, limits).model_dump(mode="json"))
    plan, part = Plan.model_validate(request["plan"]), Part.model_validate(request["part"])
    encode_part_here(source, plan, part, _PipeSink(pipe))
    return Message("done", None)


def _too_much_memory(limit: int) -> ChildMemoryError:
    return ChildMemoryError(f"the media takes more than the {limit >> 20} MiB of memory it is allowed", limit=limit)


def _folder(module: Any) -> str:
    return str(Path(module.__file__).parent)


if __name__ == "__main__":
    main()
