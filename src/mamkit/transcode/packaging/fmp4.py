"""Fragmented MP4 as HLS and DASH serve it: media segments, and what an initialisation segment says.

The boxes are those of ISO/IEC 14496-12:2022, kept to what CMAF (ISO/IEC 23000-19:2020) allows in a segment: one track,
one `moof` and one `mdat` a fragment, and times that are absolute, so that segments made apart join.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Fragment", "Sample", "codecs", "fragment", "length_prefixed", "without_delay", "without_temporal_delimiter"]

TRACK_ID = 1
"""The one track of every file here; libav's muxer counts from 1 too."""

# Flags of boxes and of samples, ISO/IEC 14496-12 sections 8.8.3.1, 8.8.7.1 and 8.8.8.1.
_TFHD_FLAGS = 0x020000 | 0x000008 | 0x000020  # default-base-is-moof; default duration; default sample flags
_TRUN_DATA_OFFSET = 0x000001
_TRUN_FIRST_SAMPLE_FLAGS = 0x000004
_TRUN_SIZES = 0x000200
_TRUN_COMPOSITION_OFFSETS = 0x000800
_SYNC = 0x02000000  # depends on no other sample
_NOT_SYNC = 0x01010000  # depends on others; is no sync sample

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded picture or block of sound.

    Attributes:
        data: Its bytes as the file format stores them: NAL units behind their lengths, no ADTS header.
        composition_offset: Ticks from its decode time to its composition time.
    """

    data: bytes
    composition_offset: int = 0


@dataclass(frozen=True, slots=True)
class Fragment:
    """A `moof` and its `mdat`.

    Attributes:
        data: The bytes.
        first_sample_end: Bytes from the fragment's start to the end of its first sample.
    """

    data: bytes
    first_sample_end: int


def fragment(samples: Sequence[Sample], *, duration: int, decode_time: int, sequence: int, all_sync: bool) -> Fragment:
    """Write one fragment.

    Args:
        samples: At least one, in decode order; the first is a sync sample.
        duration: Ticks of the track's timescale that each sample lasts.
        decode_time: Decode time of the first sample on the clock of the whole track, ticks; not negative.
        sequence: Number of the fragment in its track, from 1 (section 8.8.5).
        all_sync: Whether the other samples are sync samples too, as sound is.
    """
    reordered = any(sample.composition_offset for sample in samples)
    flags = _TRUN_DATA_OFFSET | _TRUN_SIZES
    fields: list[int] = []
    if not all_sync:
        flags |= _TRUN_FIRST_SAMPLE_FLAGS
    if reordered:
        flags |= _TRUN_COMPOSITION_OFFSETS
    for sample in samples:
        fields.append(len(sample.data))
        if reordered:
            fields.append(sample.composition_offset)
    table = struct.pack(f">{len(fields)}I", *fields)
    first_flags = b"" if all_sync else struct.pack(">I", _SYNC)

    def moof(data_offset: int) -> bytes:
        trun = struct.pack(">Ii", len(samples), data_offset) + first_flags + table
        return _box(
            b"moof",
            _full_box(b"mfhd", 0, 0, struct.pack(">I", sequence)),
            _box(
                b"traf",
                _full_box(
                    b"tfhd", 0, _TFHD_FLAGS, struct.pack(">III", TRACK_ID, duration, _SYNC if all_sync else _NOT_SYNC)
                ),
                _full_box(b"tfdt", 1, 0, struct.pack(">Q", decode_time)),
                _full_box(b"trun", 0, flags, trun),
            ),
        )

    start = len(moof(0)) + 8  # 8: size and name of `mdat`
    data = b"".join((moof(start), _box(b"mdat", *(sample.data for sample in samples))))
    return Fragment(data, start + len(samples[0].data))


def without_delay(init: bytes, delay: int) -> bytes:
    """Return an initialisation segment that shows each picture `delay` ticks before its composition time.

    Pictures that are decoded before they are shown need composition times that are later than their decode times. The
    edit list takes the delay of the first one back, so that presentation begins at the decode time of the segment.
    (Signed composition offsets would say the same without it, but libav adds the largest negative one to all times.)

    Args:
        init: An initialisation segment with one track and no edit list.
        delay: Ticks of the track's timescale; not negative.
    """
    if delay == 0:
        return init
    # Section 8.6.6: a duration of 0 stands for all that follows in fragments; at rate 1.
    edits = _box(b"edts", _full_box(b"elst", 0, 0, struct.pack(">IIihh", 1, 0, delay, 1, 0)))
    moov, trak, tkhd = (init.index(name) - 4 for name in (b"moov", b"trak", b"tkhd"))
    out = bytearray(init)
    for box in (moov, trak):
        struct.pack_into(">I", out, box, struct.unpack_from(">I", out, box)[0] + len(edits))
    at = tkhd + struct.unpack_from(">I", out, tkhd)[0]
    out[at:at] = edits
    return bytes(out)


def length_prefixed(annex_b: bytes) -> bytes:
    """Convert a picture from start codes (ITU-T H.264 annex B) to four-byte lengths (ISO/IEC 14496-15 section 5.3.3).

    The pattern of a start code cannot occur inside a NAL unit, and no NAL unit ends with a zero byte (H.264 section
    7.4.1), so that zeros before a start code belong to it.
    """
    parts: list[bytes] = []
    start = annex_b.find(b"\0\0\1")
    while start != -1:
        start += 3
        stop = annex_b.find(b"\0\0\1", start)
        unit = annex_b[start : stop if stop != -1 else None].rstrip(b"\0")
        if unit:
            parts += (len(unit).to_bytes(4), unit)
        start = stop
    return b"".join(parts)


def without_temporal_delimiter(unit: bytes) -> bytes:
    """Return a temporal unit of AV1 as MP4 stores it, without the OBU that begins it (AV1 in ISOBMFF 1.2 section 2.4).

    That OBU is of type 2, says its size, which is 0, and has no extension (AV1 specification sections 5.3 and 5.6).
    """
    return unit.removeprefix(b"\x12\0")


def codecs(init: bytes) -> str:
    """Return the RFC 6381 name of what an initialisation segment's track holds.

    For example `avc1.64001f`, `hvc1.1.6.L93.90`, `av01.0.04M.08` or `mp4a.40.2`.

    Raises:
        ValueError: There is no sample entry, or it is of a kind that is not known.
    """
    stsd = _find(init, b"stsd")
    entry = stsd[8:]  # version, flags and the number of entries
    name = entry[4:8]
    inside = entry[8 + 78 :]  # 78: fields of VisualSampleEntry, section 12.1.3
    if name == b"avc1":
        return f"avc1.{_find(inside, b'avcC')[1:4].hex()}"
    if name == b"hvc1":
        return f"hvc1.{_hevc_name(_find(inside, b'hvcC'))}"
    if name == b"av01":
        return f"av01.{_av1_name(_find(inside, b'av1C'))}"
    if name == b"mp4a":
        esds = _find(entry[8 + 28 :], b"esds")  # 28: fields of AudioSampleEntry, section 12.2.3
        return f"mp4a.40.{_audio_object_type(esds)}"
    raise ValueError(f"no RFC 6381 name is known for the sample entry {name!r}")


def _hevc_name(hvcc: bytes) -> str:
    """Name profile, tier, level and constraints of the record in ISO/IEC 14496-15 section 8.3.3.1 as in annex E.3."""
    space, tier, profile = hvcc[1] >> 6, hvcc[1] >> 5 & 1, hvcc[1] & 31
    compatible = int(f"{int.from_bytes(hvcc[2:6]):032b}"[::-1], 2)  # its bits in reverse order
    constraints = hvcc[6:12].rstrip(b"\0")
    parts = [f"{' ABC'[space].strip()}{profile}", f"{compatible:X}", f"{'H' if tier else 'L'}{hvcc[12]}"]
    return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])


def _av1_name(av1c: bytes) -> str:
    """Name profile, level, tier and depth of the record of AV1 in ISOBMFF 1.2 section 2.3.3, as its section 5 says."""
    profile, level = av1c[1] >> 5, av1c[1] & 31
    tier, high, twelve = av1c[2] >> 7, av1c[2] >> 6 & 1, av1c[2] >> 5 & 1
    return f"{profile}.{level:02d}{'H' if tier else 'M'}.{12 if twelve else 10 if high else 8:02d}"


def _audio_object_type(esds: bytes) -> int:
    """Read the first five bits of AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1) in its descriptor, tag 5."""
    at = esds.index(b"\x05", 4 + 5 + 3 + 5 + 13) + 1  # past version, flags, ES_Descriptor, DecoderConfigDescriptor
    while esds[at] & 0x80:  # sizes of descriptors go on while the top bit is set, ISO/IEC 14496-1 section 8.3.3
        at += 1
    return esds[at + 1] >> 3


def _box(name: bytes, *payload: bytes) -> bytes:
    size = 8 + sum(map(len, payload))
    return b"".join((struct.pack(">I4s", size, name), *payload))


def _full_box(name: bytes, version: int, flags: int, *payload: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), *payload)


def _find(data: bytes, name: bytes) -> bytes:
    """Return the payload of the first box of a name, looked for in the containers of a movie too."""
    at = 0
    while at + 8 <= len(data):
        size, found = struct.unpack_from(">I4s", data, at)
        if size < 8:
            break
        payload = data[at + 8 : at + size]
        if found == name:
            return payload
        if found in _CONTAINERS:
            return _find(payload, name)
        at += size
    raise ValueError(f"there is no {name!r} box")
