"""MPEG transport streams (ISO/IEC 13818-1) of one track, as HLS serves them to what is older than fragmented MP4.

Each run of pictures or of sound stands for itself: it begins with the tables, and says that its counters begin anew, so
that runs made apart can follow each other, and a key frame can be fetched alone.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

__all__ = ["SAMPLE_RATES", "START", "AacTrack", "H264Track"]

START = 10
"""Seconds that all times are later here than in the film, since those of decoding begin before zero."""

_CLOCK = 90_000  # ticks per second, section 2.4.3.6
_PACKET = 188  # bytes, section 2.4.3.2
_PMT_PID, _TRACK_PID = 0x1000, 0x100  # as most encoders have them; any from 0x10 to 0x1FFE would do
_H264, _AAC = 0x1B, 0x0F  # stream types, table 2-34; AAC is framed by ADTS
_VIDEO_ID, _AUDIO_ID = 0xE0, 0xC0  # section 2.4.3.7, table 2-22
_LEAD = _CLOCK // 2  # ticks that the clock reference is ahead of decoding: time for a buffer to fill
_DELIMITER = b"\0\0\0\1\x09\xf0"  # ITU-T H.264 section 7.3.2.4; begins each picture, ISO/IEC 13818-1 section 2.14.1
SAMPLE_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
"""Those of AAC by their indices, which ADTS writes: ISO/IEC 14496-3 table 1.18."""


class H264Track:
    """A track of H.264.

    Args:
        header: An initialisation segment of the track in MP4, for its parameter sets.
        rate: Frames per second.
        delay: Frames that must be decoded before the first one can be shown.
    """

    def __init__(self, header: bytes, rate: Fraction, delay: int) -> None:
        self._sets = _parameter_sets(header)
        self._frame = _CLOCK / rate
        self._delay = delay

    def run(self, pictures: Sequence[tuple[int, bytes]]) -> tuple[bytes, int]:
        """Return a group of pictures, and at which byte of it the first one ends.

        Args:
            pictures: Number of the frame and NAL units behind lengths of four bytes, of each in decode order.
        """
        first = pictures[0][0]
        out = _Packets(_H264)
        end = 0
        for place, (number, data) in enumerate(pictures):
            decode = round((first + place - self._delay) * self._frame) + START * _CLOCK
            show = round(number * self._frame) + START * _CLOCK
            sets = b"" if place else self._sets
            out.add(_VIDEO_ID, _DELIMITER + sets + _start_codes(data), show=show, decode=decode, key=place == 0)
            end = end or len(out.data)
        return bytes(out.data), end


class AacTrack:
    """A track of AAC-LC.

    Args:
        sample_rate: Samples per second.
        channels: 1 or 2.
    """

    _TOGETHER = 8  # frames in a packet of the elementary stream: a sixth of a second

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._sample_rate = sample_rate
        self._channels = channels

    def run(self, first: int, frames: Sequence[bytes]) -> bytes:
        """Return a run of frames, of which the first is counted from the start of the film."""
        out = _Packets(_AAC)
        for at in range(0, len(frames), self._TOGETHER):
            time = round(Fraction((first + at) * 1024 * _CLOCK, self._sample_rate)) + START * _CLOCK
            data = b"".join(self._adts(frame) + frame for frame in frames[at : at + self._TOGETHER])
            out.add(_AUDIO_ID, data, show=time, decode=time, key=at == 0)
        return bytes(out.data)

    def _adts(self, frame: bytes) -> bytes:
        """Return the header of a frame: ISO/IEC 14496-3 section 1.A.3.2, MPEG-4, AAC-LC, no checksum."""
        size = 7 + len(frame)
        rate = SAMPLE_RATES.index(self._sample_rate)
        value = 0xFFF1 << 40 | 1 << 38 | rate << 34 | self._channels << 30 | size << 13 | 0x7FF << 2
        return value.to_bytes(7)


class _Packets:
    """The packets of one program with one track, from its tables on."""

    def __init__(self, stream_type: int) -> None:
        self.data = bytearray()
        self._counter = 0
        program = struct.pack(">HH", 1, 0xE000 | _PMT_PID)
        self.data += _table(0, _section(0x00, 1, program))
        track = struct.pack(">HHBHH", 0xE000 | _TRACK_PID, 0xF000, stream_type, 0xE000 | _TRACK_PID, 0xF000)
        self.data += _table(_PMT_PID, _section(0x02, 1, track))

    def add(self, stream_id: int, payload: bytes, *, show: int, decode: int, key: bool) -> None:
        """Add a packet of the elementary stream (section 2.4.3.6), cut into those of the transport stream."""
        times = _time(3 if show != decode else 2, show) + (_time(1, decode) if show != decode else b"")
        flags = 0xC0 if show != decode else 0x80
        body = bytes((0x84, flags, len(times))) + times + payload  # 0x84: the payload is aligned
        size = len(body) if stream_id == _AUDIO_ID else 0  # 0: of pictures it need not be said
        data = b"\0\0\1" + struct.pack(">BH", stream_id, size) + body
        # Section 2.4.3.4: discontinuity, random access, clock reference.
        reference = max(0, decode - _LEAD) & (1 << 33) - 1
        field = bytes((0x90 | 0x40 if key else 0x10,)) + (reference << 15 | 0x3F << 9).to_bytes(6)
        at, first = 0, True
        while at < len(data):
            room = _PACKET - 4
            extra = field if first else b""
            used = len(extra) + 1 if extra else 0
            take = min(len(data) - at, room - used)
            missing = room - used - take
            if missing:  # filled up in the adaptation field
                if not extra:
                    extra, missing = (b"", missing - 1) if missing == 1 else (b"\0", missing - 2)
                extra += b"\xff" * missing
                adaptation = bytes((len(extra),)) + extra
            else:
                adaptation = bytes((len(extra),)) + extra if extra else b""
            head = 0x47000000 | (0x400000 if first else 0) | _TRACK_PID << 8
            head |= (0x30 if adaptation else 0x10) | self._counter
            self.data += head.to_bytes(4) + adaptation + data[at : at + take]
            self._counter = (self._counter + 1) & 15
            at, first = at + take, False


def _time(prefix: int, ticks: int) -> bytes:
    ticks &= (1 << 33) - 1
    value = prefix << 36 | (ticks >> 30) << 33 | 1 << 32 | (ticks >> 15 & 0x7FFF) << 17 | 1 << 16
    return (value | (ticks & 0x7FFF) << 1 | 1).to_bytes(5)


def _section(table: int, number: int, body: bytes) -> bytes:
    """Return a section of a table (sections 2.4.4.3 and 2.4.4.8): version 0, current, alone."""
    head = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, number, 0xC1, 0, 0)
    return head + body + _crc(head + body).to_bytes(4)


def _table(pid: int, section: bytes) -> bytes:
    """Return a packet with a section; its counter begins anew, which its adaptation field says."""
    head = 0x47400030 | pid << 8
    return (head.to_bytes(4) + b"\1\x80" + b"\0" + section).ljust(_PACKET, b"\xff")


def _crc(data: bytes) -> int:
    """Return the checksum of annex A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def _start_codes(sample: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at + 4 <= len(sample):
        size = int.from_bytes(sample[at : at + 4])
        parts += (b"\0\0\0\1", sample[at + 4 : at + 4 + size])
        at += 4 + size
    return b"".join(parts)


def _parameter_sets(header: bytes) -> bytes:
    """Return the parameter sets of an `avcC` box behind start codes (ISO/IEC 14496-15 section 5.3.3.1)."""
    at = header.index(b"avcC") + 4 + 5
    out = b""
    for mask in (31, 255):  # sequence parameter sets, picture parameter sets
        count, at = header[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(header[at : at + 2])
            out += b"\0\0\0\1" + header[at + 2 : at + 2 + size]
            at += 2 + size
    return out
