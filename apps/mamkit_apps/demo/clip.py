"""The demo's own film: a moving test picture and a tone."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import av
from av.filter import Graph

__all__ = ["make_clip"]

Frame = TypeVar("Frame", av.VideoFrame, av.AudioFrame)

SECONDS = 12  # two segments of 6 s: enough for a growing playlist to grow
RATE = 25
SIZE = (1280, 720)
SAMPLE_RATE = 48_000


def make_clip(path: Path, *, seconds: int = SECONDS, size: tuple[int, int] = SIZE) -> None:
    """Write an MP4 at 25 frames per second, H.264, with a stereo tone, AAC.

    Args:
        path: The file.
        seconds: How long.
        size: Width and height, pixels.
    """
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        picture = _source("testsrc2", f"size={size[0]}x{size[1]}:rate={RATE}:duration={seconds}", "buffersink")
        tone = _source(
            "aevalsrc",
            f"0.2*sin(440*2*PI*t)|0.2*sin(660*2*PI*t):s={SAMPLE_RATE}:d={seconds}:c=stereo",
            "abuffersink",
        )
        for frame in _frames(picture, av.VideoFrame):
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode(None))
        for sound in _frames(tone, av.AudioFrame):
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _source(name: str, arguments: str, sink: str) -> Graph:
    graph = Graph()
    graph.add(name, arguments).link_to(graph.add(sink))
    graph.configure()
    return graph


def _frames(graph: Graph, kind: type[Frame]) -> Iterator[Frame]:
    while True:
        try:
            frame = graph.pull()
        except (av.FFmpegError, EOFError):
            return
        if isinstance(frame, kind):
            yield frame
