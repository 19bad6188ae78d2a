"""The times of AAC in ADTS (ISO/IEC 14496-3 section 1.A.2), which has none: each frame is heard after the one before.

FFmpeg counts all frames at the rate of the first one. In a recording whose rate changes, as where one of radio was
put behind another, sound would come too early or too late from there on, and be cut.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.transcode.packaging.mpegts import SAMPLE_RATES

try:
    import av
    from av.container import InputContainer
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["NAME", "counted"]

NAME = "aac"
"""FFmpeg's name of the demuxer."""

_HEADER = 7  # bytes, without a checksum: table 1.A.6
_SAMPLES = 1024  # of a raw data block
_MOST_BROKEN = 1000  # places in a file


def counted(container: InputContainer) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of a file from its first one on, with the times that their own headers give them.

    What is no frame is passed over: FFmpeg ends at a frame that claims to be longer than it is.

    Args:
        container: The file, which stands at its beginning.

    Raises:
        av.FFmpegError: It cannot be read, or there are too many places without a frame.
    """
    tick = container.streams[0].time_base or Fraction(1)  # a frame of any rate has a whole number of FFmpeg's
    blocks = [round(_SAMPLES / (rate * tick)) for rate in SAMPLE_RATES] + [0] * (16 - len(SAMPLE_RATES))
    now, broken = 0, 0
    while True:
        try:
            for packet in container.demux():
                header = bytes(packet)[:_HEADER]
                if len(header) == _HEADER and header[0] == 0xFF and header[1] & 0xF6 == 0xF0:
                    length = blocks[header[2] >> 2 & 15] * ((header[6] & 3) + 1)
                    packet.pts = packet.dts = now
                    packet.duration = length
                    now += length
                yield packet
        except av.InvalidDataError:
            broken += 1
            if broken == _MOST_BROKEN:
                raise
        else:
            return
