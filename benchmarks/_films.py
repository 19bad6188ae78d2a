"""Films to measure with: real pictures where there are some, drawn ones elsewhere, as long as is wanted."""

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
from av.filter import Graph

__all__ = ["make_film", "repeat"]

MEDIA = Path(os.environ.get("MAMKIT_MEDIA_DIR", Path(__file__).parents[2] / "shared" / "media"))
REAL = MEDIA / "01_hd_footage_audio" / "bbb_1080p25_first17s_5.1.ts"

RATE = 25
SAMPLE_RATE = 48_000
BLOCK = 1024  # samples in a frame of AAC


def make_film(path: Path, *, height: int, seconds: int) -> Path:
    """Write a film of 16:9 at 25 frames a second with stereo sound, H.264 and AAC in MP4, and return its path."""
    with av.open(str(path), "w") as output:
        film = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20"})
        film.width, film.height, film.pix_fmt, film.gop_size = height * 16 // 9, height, "yuv420p", 2 * RATE
        track = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for n, picture in enumerate(islice(_pictures(film.width, film.height), seconds * RATE)):
            frame = picture.reformat(width=film.width, height=film.height, format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            frame.pict_type = av.video.frame.PictureType.NONE
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
        for n, block in enumerate(_sound(seconds * SAMPLE_RATE // BLOCK)):
            block.pts, block.time_base = n * BLOCK, Fraction(1, SAMPLE_RATE)
            output.mux(track.encode(block))
        output.mux(track.encode(None))
    return path


def repeat(film: Path, path: Path, *, seconds: int) -> Path:
    """Write a film behind itself, without encoding, until it lasts as long, and return its path."""
    with av.open(str(path), "w") as output:
        streams: dict[int, av.VideoStream | av.AudioStream] = {}
        offset, length = Fraction(0), Fraction(0)
        while offset < seconds:
            with av.open(str(film)) as source:
                length = Fraction(source.duration or 0, av.time_base)
                for packet in source.demux(source.streams.video[0], source.streams.audio[0]):
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    index = packet.stream.index
                    if index not in streams:
                        for template in (source.streams.video[0], source.streams.audio[0]):
                            streams[template.index] = output.add_stream_from_template(template)
                    shift = round(offset / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[index]
                    output.mux(packet)
            offset += length
    return path


def _pictures(width: int, height: int) -> Iterator[av.VideoFrame]:
    """Yield pictures for ever."""
    if not REAL.is_file():
        yield from _drawn(width, height)
    for _ in cycle([None]):
        with av.open(str(REAL)) as source:
            yield from source.decode(video=0)


def _drawn(width: int, height: int) -> Iterator[av.VideoFrame]:
    """Yield a test card that moves, with noise, so that an encoder has as much to do as with a camera's pictures."""
    graph = Graph()
    card = graph.add("testsrc2", size=f"{width}x{height}", rate=str(RATE))
    noise, sink = graph.add("noise", alls="8", allf="t"), graph.add("buffersink")
    card.link_to(noise)
    noise.link_to(sink)
    graph.configure()
    while True:
        yield sink.pull()  # type: ignore[misc]  # a buffersink of pictures


def _sound(blocks: int) -> Iterator[av.AudioFrame]:
    """Yield blocks of silence, which costs an encoder what any sound costs."""
    for _ in range(blocks):
        frame = av.AudioFrame("fltp", "stereo", BLOCK)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = SAMPLE_RATE
        yield frame
