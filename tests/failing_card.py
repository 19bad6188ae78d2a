"""A card that fails, where there is none: children are told that their NVENC is x264 with other parameter sets."""

import sys
from collections.abc import Sequence
from io import BytesIO

import av
import pytest

from mamkit.transcode import Codec
from mamkit.transcode.containment import _conversation, children
from mamkit.transcode.packaging.parameter_sets import ParameterSets

__all__ = ["OPENS", "PUSHES", "card_command", "makers", "use_card"]

PUSHES = "failed: Generic error in an external library"  # of avcodec_send_frame
OPENS = "cannot be opened: OpenEncodeSessionEx failed: out of memory (10): (no details)"
CHILD = """
import os, sys, time
from dataclasses import replace
from mamkit.transcode.containment import _child
from mamkit.transcode.encoding import encoders
from mamkit.transcode.encoding._pictures import PictureSegments
from mamkit.transcode.errors import EncodeError

codec, fails, height, how, crash, pace = {codec!r}, {fails!r}, {height!r}, {how!r}, {crash!r}, {pace!r}
real = encoders.ENCODERS[codec, "cpu"]
params = {{"h264": "x264-params", "hevc": "x265-params"}}[codec]

def options(rendition, gop):
    made = real.options(rendition, gop)
    more = ":bframes=0" + (":cabac=0" if codec == "h264" else "")
    return {{**made, params: made[params] + more}}

CARD = replace(real, options=options)
encoders.ENCODERS[codec, "nvenc"] = CARD
push, make = PictureSegments.push, PictureSegments.__init__

def failed():
    if crash:
        os.abort()
    raise EncodeError(f"the encoder '{{codec}}_nvenc' {{how}}", encoder=f"{{codec}}_nvenc")

def failing_push(self, n, picture):
    if self._kind is CARD and n == fails and self._rendition.height == height:
        failed()
    if self._kind is CARD and n >= 150:
        time.sleep(pace)
    return push(self, n, picture)

def failing_make(self, plan, rendition, segments, encoder, *, header=None):
    if encoder is CARD and fails is None and rendition.height == height:
        failed()
    make(self, plan, rendition, segments, encoder, header=header)

PictureSegments.push, PictureSegments.__init__ = failing_push, failing_make
_child.main()
"""


def use_card(
    monkeypatch: pytest.MonkeyPatch,
    *,
    fails: int | None,
    codec: Codec = "h264",
    height: int = 72,
    how: str = PUSHES,
    crash: bool = False,
) -> None:
    """Let children have a card that fails at a frame of one size, or at once where `fails` is None."""
    command = card_command(fails=fails, codec=codec, height=height, how=how, crash=crash)
    monkeypatch.setattr(_conversation, "COMMAND", command)
    monkeypatch.setattr(children, "COMMAND", command)


def card_command(
    *,
    fails: int | None = -1,
    codec: Codec = "h264",
    height: int = 72,
    how: str = PUSHES,
    crash: bool = False,
    pace: float = 0,
) -> tuple[str, ...]:
    """Return the program of such children; `pace` is seconds that pass before each picture after the first 150."""
    script = CHILD.format(codec=codec, fails=fails, height=height, how=how, crash=crash, pace=pace)
    return (sys.executable, "-I", "-B", "-c", script)


def makers(header: bytes, segments: Sequence[bytes]) -> list[set[str]]:
    """Return whose pictures are in each segment, by the parameter set that their slices name."""
    sets = ParameterSets.of(header)
    assert len(sets.sequence) == len(sets.picture) == 2
    found = []
    for segment in segments:
        kinds = set()
        with av.open(BytesIO(header + segment), "r") as film:
            for packet in film.demux(video=0):
                data = bytes(packet)
                while data:
                    size = int.from_bytes(data[:4])
                    unit, data = data[4 : 4 + size], data[4 + size :]
                    if unit[0] & 31 in {1, 5}:
                        kinds.add("processor" if _picture_set(unit) else "card")
        found.append(kinds)
    return found


def _picture_set(unit: bytes) -> int:
    """Read `pic_parameter_set_id`, the third number of a slice header (ITU-T H.264 section 7.3.3)."""
    bits, at, value = f"{int.from_bytes(unit[1:12].ljust(11)):088b}", 0, 0
    for _ in range(3):
        zeros = bits.index("1", at) - at
        value = int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1
        at += 2 * zeros + 1
    return value
