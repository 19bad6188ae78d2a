"""The packets of a picture stream in a container that lists them nowhere: Matroska, and MPEG transport streams."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av

from mamkit.transcode.reading._decode import decodable
from mamkit.transcode.reading._frames import Frames
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading.source import Source, size_of

__all__ = ["are_known", "begin_with_idr", "header_units", "nal_units", "packet_frames", "splitter"]

_READ_THROUGH = 256 << 20  # bytes of a file that is read through for this: two seconds of a store that gives 1 Gb/s
_START_CODE = b"\0\0\1"  # ITU-T H.264 section B.1.1
_AVCC_HEADER = 6  # bytes up to the number of parameter sets: ISO/IEC 14496-15 section 5.3.3.1
_IDR = 5  # ITU-T H.264 table 7-1
_PICTURES = {1, 2, 3, 4, _IDR}
_SETS = {7, 8}


def splitter(headers: bytes) -> Callable[[bytes], list[bytes]]:
    """Return what takes a packet of H.264 apart into NAL units.

    Args:
        headers: What FFmpeg has of the stream's headers: `avcC`, or parameter sets behind start codes.
    """
    if len(headers) > _AVCC_HEADER and headers[0] == 1:
        length_size = (headers[4] & 3) + 1
        return lambda packet: nal_units(packet, length_size)
    return _between_start_codes


def nal_units(sample: bytes, length_size: int) -> list[bytes]:
    """Return the NAL units of a sample (ISO/IEC 14496-15 section 5.3.3.1); the last one may be cut short."""
    units: list[bytes] = []
    at = 0
    while at + length_size < len(sample):
        length = int.from_bytes(sample[at : at + length_size])
        at += length_size
        if length:
            units.append(sample[at : at + length])
        at += length
    return units


def header_units(headers: bytes) -> frozenset[bytes]:
    """Return the parameter sets of a stream, from what `splitter` goes by."""
    if headers[:1] != b"\1":
        return frozenset(unit for unit in _between_start_codes(headers) if unit[0] & 31 in _SETS)
    units: list[bytes] = []
    at = _AVCC_HEADER - 1
    for mask in (31, 255):  # three bits beside the number of sequence parameter sets are reserved
        count = int.from_bytes(headers[at : at + 1]) & mask
        at += 1
        for _ in range(count):
            length = int.from_bytes(headers[at : at + 2])
            units.append(headers[at + 2 : at + 2 + length])
            at += 2 + length
    return frozenset(units)


def are_known(units: Sequence[bytes], sets: frozenset[bytes]) -> bool:
    """Return whether all parameter sets among some NAL units are of these."""
    return sets.issuperset(unit for unit in units if unit[0] & 31 in _SETS)


def begin_with_idr(units: Sequence[bytes]) -> bool:
    """Return whether the first picture among some NAL units is one after which nothing needs what came before."""
    return next((kind for unit in units if (kind := unit[0] & 31) in _PICTURES), None) == _IDR


def packet_frames(source: Source, index: int) -> Frames | str:
    """Return the frames of a stream by its packets, or in a few words why they are not known well enough.

    The file is read through.

    Args:
        source: The file.
        index: Of the stream in its container.
    """
    if size_of(source) > _READ_THROUGH:
        return "it lists its frames nowhere and is too large to be read through for them"
    with open_source(source) as container:
        for stream in decodable(container, [index]):
            headers = bytes(stream.codec_context.extradata or b"")
            found = _Found(headers)
            try:
                problem = next(filter(None, map(found.add, packets(container, stream))), "")
            except av.FFmpegError:
                problem = "it is damaged in places"
            return problem or Frames(
                times=found.times,
                tick=stream.time_base or Fraction(1),
                sizes=found.sizes,
                sync=found.sync,
                is_idr=found.sync.__contains__,
            )
    return "it is not there any more"


class _Found:
    """What is noted of one packet after the other."""

    def __init__(self, headers: bytes) -> None:
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.sync: list[int] = []
        self._sets = header_units(headers)
        self._units_of = splitter(headers)

    def add(self, packet: "av.Packet[Any]") -> str:
        """Note a packet; return why it spoils everything, if it does."""
        if not packet.size:
            return ""
        if packet.pts is None:
            return "it has frames without a time"
        if packet.is_corrupt:
            return "it is damaged in places"
        if packet.is_keyframe:
            units = self._units_of(bytes(packet))
            if not are_known(units, self._sets):
                return "its parameter sets change"
            if begin_with_idr(units):
                self.sync.append(len(self.times))
        self.times.append(packet.pts)
        self.sizes.append(packet.size)
        return ""


def _between_start_codes(packet: bytes) -> list[bytes]:
    """Return the NAL units of a packet of a byte stream (ITU-T H.264 annex B), which end with no zero byte."""
    return [unit for part in packet.split(_START_CODE)[1:] if (unit := part.rstrip(b"\0"))]
