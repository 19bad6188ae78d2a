"""A sink that keeps what it is given, and reads it back as a player would."""

import io
from array import array
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from mamkit.transcode import ArtFile, Init, Limits, Part, Plan, Segment, make_plan
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.probing import probe_here

__all__ = ["Tree", "encode", "plan_for", "rgb"]


class Tree:
    """Everything that came out of encoding some parts."""

    def __init__(self) -> None:
        self.inits: dict[str, list[tuple[Init, bytes]]] = defaultdict(list)
        self.segments: dict[str, dict[int, tuple[Segment, bytes]]] = defaultdict(dict)
        self.art_files: dict[str, bytes] = {}
        self.progressed: list[Fraction] = []

    def init(self, init: Init, data: bytes) -> None:
        self.inits[init.rendition].append((init, data))

    def segment(self, segment: Segment, data: bytes) -> None:
        self.segments[segment.rendition][segment.index] = segment, data

    def art(self, file: ArtFile, data: bytes) -> None:
        self.art_files[file.name] = data

    def progress(self, done: Fraction) -> None:
        self.progressed.append(done)

    def film(self, rendition: str) -> bytes:
        """All of a rendition in one file."""
        return self.inits[rendition][0][1] + b"".join(data for _, (_, data) in sorted(self.segments[rendition].items()))

    def packets(self, rendition: str) -> list[tuple[Fraction, Fraction, bool]]:
        """Presentation time, duration and whether it is a key frame, of all samples in the order of their decoding."""
        with av.open(io.BytesIO(self.film(rendition)), "r") as film:
            unit = film.streams[0].time_base or Fraction(0)
            return [((p.pts or 0) * unit, (p.duration or 0) * unit, p.is_keyframe) for p in film.demux() if p.size]

    def pictures(self, rendition: str) -> list[av.VideoFrame]:
        with av.open(io.BytesIO(self.film(rendition)), "r") as film:
            return list(film.decode(video=0))

    def sound(self, rendition: str = "audio", channel: int = 0) -> "array[float]":
        """The decoded samples of one channel, from time 0 on."""
        samples = array("f")
        with av.open(io.BytesIO(self.film(rendition)), "r") as film:
            for frame in film.decode(audio=0):
                samples.frombytes(bytes(frame.planes[channel])[: 4 * frame.samples])
        return samples


def plan_for(path: Path) -> Plan:
    """Plan to encode everything, even where the film could be copied."""
    return make_plan(probe_here(path, Limits()), copy=False)


def encode(path: Path, plan: Plan, parts: Iterable[Part] | None = None) -> Tree:
    """Encode parts of a plan, all of them in their order if none are named."""
    tree = Tree()
    for part in plan.parts if parts is None else parts:
        encode_part_here(path, plan, part, tree)
    return tree


def rgb(picture: av.VideoFrame, x: float, y: float) -> tuple[int, int, int]:
    """The colour of a BT.709 picture at a place given in shares of its width and height."""
    shown = picture.reformat(format="rgb24", src_colorspace="itu709", dst_colorspace="itu709")
    plane = shown.planes[0]
    at = int(y * shown.height) * plane.line_size + 3 * int(x * shown.width)
    red, green, blue = bytes(plane)[at : at + 3]
    return red, green, blue
