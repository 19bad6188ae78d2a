"""Boxes: read back by hand, and by FFmpeg."""

import struct

import pytest

from mamkit.transcode.packaging.fmp4 import Sample, codecs, fragment, length_prefixed, without_delay


def boxes(data: bytes) -> dict[str, bytes]:
    found = {}
    while data:
        size, name = struct.unpack_from(">I4s", data)
        assert 8 <= size <= len(data)
        found[name.decode()] = data[8:size]
        data = data[size:]
    return found


def test_a_fragment_holds_its_samples_behind_their_sizes_and_times() -> None:
    samples = [Sample(b"key frame", 2), Sample(b"p", 5), Sample(b"bb", 0)]
    made = fragment(samples, duration=40, decode_time=2**40, sequence=7, all_sync=False)
    top = boxes(made.data)
    traf = boxes(boxes(top["moof"])["traf"])
    assert list(top) == ["moof", "mdat"]
    assert top["mdat"] == b"key framepbb"
    assert boxes(top["moof"])["mfhd"] == struct.pack(">II", 0, 7)
    assert traf["tfdt"] == struct.pack(">IQ", 1 << 24, 2**40)
    _, track, duration, flags = struct.unpack(">IIII", traf["tfhd"])
    assert (track, duration, flags) == (1, 40, 0x01010000)
    count, offset, first_flags, *rows = struct.unpack(">IiI6I", traf["trun"][4:])
    assert (count, first_flags, rows) == (3, 0x02000000, [9, 2, 1, 5, 2, 0])
    assert made.data[offset : offset + 9] == b"key frame"
    assert made.first_sample_end == offset + 9


def test_a_fragment_of_sound_takes_four_bytes_a_sample() -> None:
    def size(count: int) -> int:
        return len(fragment([Sample(b"")] * count, duration=1024, decode_time=0, sequence=1, all_sync=True).data)

    assert size(11) - size(1) == 40


@pytest.mark.parametrize(
    ("annex_b", "expected"),
    [
        (b"\0\0\1ab", b"\0\0\0\2ab"),
        (b"\0\0\0\1ab\0\0\0\1c", b"\0\0\0\2ab\0\0\0\1c"),
        (b"\0\0\0\1a\0\0\3\0b\0\0\1c", b"\0\0\0\6a\0\0\3\0b\0\0\0\1c"),
        (b"\0\0\0\0\0\1a\0\0\0\0", b"\0\0\0\1a"),
        (b"\0\0\1\0\0\1a", b"\0\0\0\1a"),
        (b"no start code", b""),
        (b"", b""),
    ],
)
def test_start_codes_become_lengths(annex_b: bytes, expected: bytes) -> None:
    assert length_prefixed(annex_b) == expected


def test_an_edit_list_takes_the_delay_back_and_leaves_all_else() -> None:
    def box(name: bytes, *payload: bytes) -> bytes:
        data = b"".join(payload)
        return struct.pack(">I4s", 8 + len(data), name) + data

    init = box(b"ftyp", b"iso6") + box(b"moov", box(b"mvhd"), box(b"trak", box(b"tkhd", b"T"), box(b"mdia", b"M")))
    assert without_delay(init, 0) == init
    top = boxes(without_delay(init, 80))
    trak = boxes(boxes(top["moov"])["trak"])
    assert (top["ftyp"], trak["tkhd"], trak["mdia"]) == (b"iso6", b"T", b"M")
    assert struct.unpack(">IIIihh", boxes(trak["edts"])["elst"]) == (0, 1, 0, 80, 1, 0)


@pytest.mark.parametrize(
    "init", [b"", b"\0", b"\0\0\0\0moov", struct.pack(">I4sII8s", 24, b"stsd", 0, 1, b"\0\0\0\x08xxxx")]
)
def test_what_holds_no_known_sample_entry_has_no_codecs(init: bytes) -> None:
    with pytest.raises(ValueError, match=r"stsd|xxxx"):
        codecs(init)
