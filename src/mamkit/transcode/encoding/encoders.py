"""The encoders of pictures: what is the same about them, and what each needs to keep to the plan.

Whichever is used, a group of pictures is closed and begins where it is told to, the frames come out on the same grid,
and one thread encodes, so that the same frames give the same bytes on any number of processors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from mamkit.transcode.models import Codec, Device, HdrMetadata, Plan, VideoRendition
from mamkit.transcode.packaging.fmp4 import length_prefixed, without_temporal_delimiter

__all__ = ["ENCODERS", "STAND_IN", "PictureEncoder", "encoder_for", "on_card"]


class PictureEncoder(Protocol):
    """How one of FFmpeg's encoders is driven.

    It must begin a closed group with a key frame after which nothing needs what came before (an IDR picture, a key
    frame of AV1) at every frame whose `pict_type` asks for one, and nowhere else.
    """

    @property
    def name(self) -> str:
        """FFmpeg's name, e.g. `libx264`."""

    @property
    def sample_entry(self) -> str:
        """Name of the sample entry in MP4, e.g. `avc1` (ISO/IEC 14496-15), whose parameter sets stand in the header."""

    @property
    def delay(self) -> int | None:
        """Frames that must be decoded before the first can be shown; None where FFmpeg tells once it is open."""

    def options(self, rendition: VideoRendition, gop: int) -> dict[str, str]:
        """Return FFmpeg's options for a rendition; a key frame comes after `gop` frames, and where one is asked for."""

    def stored(self, packet: bytes) -> bytes:
        """Return a coded picture as MP4 stores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoder:
    """A `PictureEncoder` made of values."""

    name: str
    sample_entry: str
    options: Callable[[VideoRendition, int], dict[str, str]]
    stored: Callable[[bytes], bytes] = length_prefixed
    delay: int | None = None


@cache
def _assembly() -> str:
    """Return the parameter that makes x264 do without AVX-512, on machines that have it; otherwise nothing.

    Its AVX-512 code for the lookahead reads memory that nobody has written, and so gives other bytes each time. With
    AVX2 the bytes are those of all older processors, and it is no slower.
    """
    try:
        return ":asm=avx2" if "avx512" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace") else ""
    except OSError:  # no Linux, or shut away from it
        return ""


def _x264(rendition: VideoRendition, gop: int) -> dict[str, str]:
    return _capped(rendition) | {
        "preset": "veryfast",
        "profile": "high",
        "forced-idr": "1",
        "a53cc": "0",  # captions do not survive that frames are dropped and repeated
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0{_assembly()}",
    }


def _x264_stand_in(rendition: VideoRendition, gop: int) -> dict[str, str]:
    options = _x264(rendition, gop)
    return options | {"x264-params": f"{options['x264-params']}:sps-id=1"}


def _x265(rendition: VideoRendition, gop: int) -> dict[str, str]:
    wide = rendition.video_range != "SDR"
    return _capped(rendition) | {
        "preset": "superfast",  # at its bit rate no worse than x264's `veryfast` at H.264's, in two and a half its time
        "profile": "main10" if wide else "main",
        "forced-idr": "1",
        "a53cc": "0",
        "x265-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:info=0:repeat-headers=0:log-level=error"
        f":pools=none:frame-threads=1:wpp=0{_graded(rendition.hdr_metadata) if wide else ''}",
    }


def _graded(metadata: HdrMetadata | None) -> str:
    """Return x265's parameters for the messages of ITU-T H.265 sections D.3.28 and D.3.35, with each key frame."""
    if metadata is None:
        return ""
    found = f":max-cll={metadata.max_cll},{metadata.max_fall}" if metadata.max_cll else ""
    if display := metadata.display:
        colours = (("G", display.green), ("B", display.blue), ("R", display.red), ("WP", display.white))
        places = "".join(f"{name}({x},{y})" for name, (x, y) in colours)
        found += f":master-display={places}L({display.brightest},{display.darkest})"
    return f":hdr10=1{found}"


def _svt_av1(rendition: VideoRendition, gop: int) -> dict[str, str]:
    return {
        "preset": "9",  # the fastest that its makers call free of visible flaws
        "bufsize": str(2 * rendition.bit_rate),
        "svtav1-params": f"keyint={gop}:scd=0:rc=1:lp=1",
    }


def _nvenc(rendition: VideoRendition, gop: int) -> dict[str, str]:
    return _capped(rendition) | {
        "preset": "p4",
        "rc": "vbr",
        "g": str(gop),
        "forced-idr": "1",
        "no-scenecut": "1",
        "strict_gop": "1",
        "bf": "2",
    }


def _nvenc_h264(rendition: VideoRendition, gop: int) -> dict[str, str]:
    return _nvenc(rendition, gop) | {"profile": "high"}


def _nvenc_av1(rendition: VideoRendition, gop: int) -> dict[str, str]:
    return _nvenc(rendition, gop) | {"bf": "0"}


def _capped(rendition: VideoRendition) -> dict[str, str]:
    return {"maxrate": str(rendition.max_bit_rate), "bufsize": str(2 * rendition.bit_rate)}


ENCODERS: Mapping[tuple[Codec, Device], PictureEncoder] = {
    ("h264", "cpu"): _Encoder(name="libx264", sample_entry="avc1", options=_x264),
    # x265 does not tell FFmpeg: two for B-frames that others refer to, which all of its presets have.
    ("hevc", "cpu"): _Encoder(name="libx265", sample_entry="hvc1", options=_x265, delay=2),
    ("av1", "cpu"): _Encoder(
        name="libsvtav1", sample_entry="av01", options=_svt_av1, stored=without_temporal_delimiter, delay=0
    ),
    ("h264", "nvenc"): _Encoder(name="h264_nvenc", sample_entry="avc1", options=_nvenc_h264),
    ("hevc", "nvenc"): _Encoder(name="hevc_nvenc", sample_entry="hvc1", options=_nvenc, delay=2),
    ("av1", "nvenc"): _Encoder(
        name="av1_nvenc", sample_entry="av01", options=_nvenc_av1, stored=without_temporal_delimiter, delay=0
    ),
}
"""Which encoder makes a codec on a device."""

STAND_IN: PictureEncoder = _Encoder(name="libx264", sample_entry="avc1", options=_x264_stand_in)
"""x264 for H.264 that a card has failed at: its parameter sets stand under a number that the card does not use, so that
one initialisation segment has room for those of both."""


def encoder_for(rendition: VideoRendition, devices: Mapping[Codec, Device]) -> PictureEncoder:
    """Return what encodes a rendition: HDR is for the processor, whose encoder keeps how a film was graded."""
    device = devices.get(rendition.codec, "cpu") if rendition.video_range == "SDR" else "cpu"
    return ENCODERS[rendition.codec, device]


def on_card(plan: Plan, devices: Mapping[Codec, Device]) -> tuple[VideoRendition, ...]:
    """Return the renditions of a plan that a card encodes, each in a session of its own.

    Args:
        plan: What is made.
        devices: What encodes each codec; the processor where nothing is named.
    """
    return tuple(
        rendition
        for rendition in plan.video
        if not rendition.copied and encoder_for(rendition, devices) is not ENCODERS[rendition.codec, "cpu"]
    )
