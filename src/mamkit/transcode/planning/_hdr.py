"""Renditions that keep the range of brightness and the colours of an HDR film, for screens that show them."""

from fractions import Fraction

from mamkit.transcode.errors import MediaUnsupportedError
from mamkit.transcode.models import VideoRange, VideoRendition, VideoStream
from mamkit.transcode.planning.ladder import Ladder

__all__ = ["hdr_renditions", "without_base_layer"]

_RANGES: dict[str, VideoRange] = {"smpte2084": "PQ", "arib-std-b67": "HLG"}  # by FFmpeg's names of transfers


def hdr_renditions(
    stream: VideoStream, ladder: Ladder, size: tuple[int, int], rate: Fraction
) -> tuple[VideoRendition, ...] | str:
    """Return what to offer of a film in HDR, in HEVC with 10 bits, or in a few words why there is nothing.

    Of Dolby Vision that is its base layer, where that is HDR10 or HLG (profiles 7, 8.1 and 8.4): what makes it Dolby
    Vision goes with each picture, and would not fit others.

    Args:
        stream: What is shown.
        ladder: Which sizes and bit rates to offer.
        size: Width and height as shown.
        rate: Frames per second of the output.
    """
    video_range = _RANGES.get(stream.color_transfer or "")
    if video_range is None:
        return (
            "it is Dolby Vision without a base layer for others" if without_base_layer(stream) else "it is not in HDR"
        )
    if stream.color_primaries != "bt2020":
        return f"its colours are those of {stream.color_primaries}"
    try:
        renditions = ladder.renditions(*size, rate, "hevc")
    except MediaUnsupportedError as error:
        return str(error)
    share = ladder.hdr_share / ladder.hevc_share
    return tuple(
        rendition.model_copy(
            update={
                "name": f"{rendition.name.removesuffix('-hevc')}-hdr",
                "bit_rate": round(rendition.bit_rate * share),
                "max_bit_rate": round(rendition.max_bit_rate * share),
                "video_range": video_range,
                "hdr_metadata": stream.hdr_metadata,
            }
        )
        for rendition in renditions
    )


def without_base_layer(stream: VideoStream) -> bool:
    """Return whether a film is Dolby Vision that nothing else can show (profile 5): its colours have no name."""
    return stream.hdr == "dolby-vision" and stream.color_transfer not in _RANGES
