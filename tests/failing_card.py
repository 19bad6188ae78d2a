"""A card that fails, where there is none: children are told that their NVENC is x264 with other parameter sets."""

import sys

import pytest

from mamkit.transcode import Codec
from mamkit.transcode.containment import children, contain

__all__ = ["OPENS", "PUSHES", "use_card"]

PUSHES = "failed: Generic error in an external library"  # of avcodec_send_frame
OPENS = "cannot be opened: OpenEncodeSessionEx failed: out of memory (10): (no details)"
CHILD = """
import os, sys
from dataclasses import replace
from mamkit.transcode.containment import _child
from mamkit.transcode.encoding import encoders
from mamkit.transcode.encoding._pictures import PictureSegments
from mamkit.transcode.errors import EncodeError

codec, fails, height, how, crash = {codec!r}, {fails!r}, {height!r}, {how!r}, {crash!r}
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
    script = CHILD.format(codec=codec, fails=fails, height=height, how=how, crash=crash)
    command = (sys.executable, "-I", "-B", "-c", script)
    monkeypatch.setattr(contain, "COMMAND", command)
    monkeypatch.setattr(children, "COMMAND", command)
