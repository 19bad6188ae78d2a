"""What FFmpeg puts beside a decoded picture: which way up it is, how it was graded."""

from collections.abc import Mapping
from typing import cast

from mamkit.errors import MissingExtraError

try:
    import av
    from av.sidedata.sidedata import SideData, Type
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Type", "beside"]


def beside(picture: av.VideoFrame) -> Mapping[Type, bytes]:
    """Return what stands beside a picture; nothing where something is among it that PyAV 18.1 has no name for.

    Those are, of FFmpeg 8.1, the Exif blocks of Motion JPEG, the views of stereoscopic HEVC, and LCEVC's enhancements.
    """
    try:
        found = cast("Mapping[Type, SideData]", picture.side_data)
    except ValueError:
        return {}
    return {data.type: bytes(data) for data in cast("list[SideData]", list(found))}
