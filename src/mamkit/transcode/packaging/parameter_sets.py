"""The parameter sets of H.264 in an initialisation segment, and one such segment for the pictures of two encoders.

The record is `AVCDecoderConfigurationRecord` of ISO/IEC 14496-15 section 5.3.3.1, which may hold several sets of each
kind. Pictures name theirs by its number, so that sets under different numbers do not get in each other's way.
"""

import struct
from dataclasses import dataclass
from typing import Self

__all__ = ["ParameterSets", "presentation_delay", "with_sets"]

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1", b"avcC")


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a record of H.264 holds.

    Attributes:
        profile: Profile, constraints and level: three bytes of each sequence parameter set, here valid for all of them.
        sequence: Sequence parameter sets, without lengths.
        picture: Picture parameter sets, without lengths.
        rest: What the record says of formats of pictures, in the High profiles.
    """

    profile: bytes
    sequence: tuple[bytes, ...]
    picture: tuple[bytes, ...]
    rest: bytes

    @classmethod
    def of(cls, init: bytes) -> Self:
        """Read the record of an initialisation segment.

        Raises:
            ValueError: It has none.
        """
        start = init.index(b"avcC") + 4
        record = init[start : start + struct.unpack_from(">I", init, start - 8)[0] - 8]
        found, at = [], 5
        for mask in (31, 255):  # sequence parameter sets, picture parameter sets
            count, at = record[at] & mask, at + 1
            sets = []
            for _ in range(count):
                size = int.from_bytes(record[at : at + 2])
                sets.append(record[at + 2 : at + 2 + size])
                at += 2 + size
            found.append(tuple(sets))
        return cls(record[1:4], found[0], found[1], record[at:])

    def __contains__(self, other: "ParameterSets") -> bool:
        """Whether pictures that go by the other sets can be decoded with these."""
        return {*other.sequence} <= {*self.sequence} and {*other.picture} <= {*self.picture}

    def __or__(self, other: "ParameterSets") -> "ParameterSets":
        """Return the sets of both, which stand under different numbers.

        The profile is the higher one, a constraint holds if it holds for both, and the level is the higher one.
        """
        ours, theirs = self.profile, other.profile
        high = self if (ours[0], ours[2]) >= (theirs[0], theirs[2]) else other
        profile = bytes((max(ours[0], theirs[0]), ours[1] & theirs[1], max(ours[2], theirs[2])))
        return ParameterSets(profile, self.sequence + other.sequence, self.picture + other.picture, high.rest)

    def record(self) -> bytes:
        """Return the record, with lengths of four bytes."""
        parts = [b"\1", self.profile, b"\xff", bytes((0xE0 | len(self.sequence),))]
        for each in self.sequence:
            parts += (len(each).to_bytes(2), each)
        parts.append(bytes((len(self.picture),)))
        for each in self.picture:
            parts += (len(each).to_bytes(2), each)
        return b"".join([*parts, self.rest])


def with_sets(init: bytes, sets: ParameterSets) -> bytes:
    """Return an initialisation segment of H.264 with other parameter sets."""
    out = bytearray(init)
    places = [init.index(name) - 4 for name in _PATH]
    start, size = places[-1], struct.unpack_from(">I", out, places[-1])[0]
    record = sets.record()
    for place in places:
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + 8 + len(record) - size)
    out[start + 8 : start + size] = record
    return bytes(out)


def presentation_delay(init: bytes) -> int:
    """Return the ticks by which `without_delay` made an initialisation segment show pictures earlier."""
    at = init.find(b"elst")
    return int.from_bytes(init[at + 16 : at + 20]) if at >= 0 else 0  # ISO/IEC 14496-12 section 8.6.6, version 0
