"""A FLAC file is as long as its frames say, whatever rate its header claims."""

from fractions import Fraction
from pathlib import Path

import pytest

from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _flac
from mamkit.transcode.reading._decode import decode_from
from mamkit.transcode.reading._flac import with_true_rate
from mamkit.transcode.reading.source import open_bytes
from tests.media_factory import make_clip


def flac(tmp_path: Path, rate: int) -> bytes:
    """Return two seconds at a rate."""
    return make_clip(
        tmp_path / f"{rate}.flac", video=False, audio_codec="flac", sample_rate=rate, seconds=2
    ).read_bytes()


def claiming(data: bytes, rate: int) -> bytes:
    """Return a file with another rate in its header: RFC 9639 section 8.2."""
    return data[:18] + (rate << 4 | data[20] & 15).to_bytes(3) + data[21:]


@pytest.mark.parametrize("rate", [44_100, 12_345, 37_000])
@pytest.mark.parametrize("claim", [0, 8_000, 22_050, 88_200])
def test_a_film_is_as_long_as_its_frames(tmp_path: Path, rate: int, claim: int) -> None:
    """Rates of the table, and those that stand in each frame in Hz, and in kHz: section 9.1.2."""
    path = tmp_path / "claims.flac"
    path.write_bytes(claiming(flac(tmp_path, rate), claim))
    info = probe_here(path)
    assert info.audio[0].sample_rate == rate
    assert info.start == 0
    assert info.duration == 2
    for start in (None, Fraction(1)):
        *_, last = decode_from(path, [0], start)
        assert last.time + Fraction(last.frame.samples, rate) == 2  # type: ignore[union-attr]


def test_only_the_rate_of_the_header_is_changed(tmp_path: Path) -> None:
    data = flac(tmp_path, 48_000)
    tag = b"ID3\4\0\0\0\0\1\x05" + bytes(128 + 5)
    for before in (b"", tag):
        path = tmp_path / "claims.flac"
        path.write_bytes(before + claiming(data, 96_000))
        with open_bytes(with_true_rate(path, path.read_bytes()[:4])) as mended:
            assert mended.read() == before + data
            mended.seek(len(before) + 19)
            assert mended.read(4) == data[19:23]


def test_what_does_not_contradict_itself_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = flac(tmp_path, 48_000)
    assert with_true_rate(tmp_path / "nobody opens it", b"RIFF") == tmp_path / "nobody opens it"
    untold = b"fLaC\x80\0\0\x22" + claiming(data, 8_000)[8:42]
    for name, content in {
        "whole": data,
        "no frames": untold,
        "noise": untold + bytes(range(256)) * 300,
        "no end": b"fLaC" + bytes(4) * 200,
        "cut": data[:19],
        "cut short in its first block": data[:40],
        "none": b"ID3",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert with_true_rate(path, path.read_bytes()[:4]) is path, name
    monkeypatch.setattr(_flac, "_MOST_BLOCKS", 1)
    path.write_bytes(claiming(data, 8_000))
    # Frames are looked for behind what is there instead of them.
    assert with_true_rate(path, path.read_bytes()[:4]) is not path


def test_one_frame_that_only_looks_like_one_is_outvoted(tmp_path: Path) -> None:
    data = claiming(flac(tmp_path, 48_000), 96_000)
    found = next(_flac._FRAME.finditer(data, 8_000))
    header = bytearray(data[found.start() : found.start() + 5])
    header[2] = header[2] & 0xF0 | 4  # 8 kHz
    fake = bytes(header) + bytes([_flac._checksum(bytes(header))]) + bytes(16)
    path = tmp_path / "claims.flac"
    path.write_bytes(data[: found.start()] + fake + data[found.start() :])
    with open_bytes(with_true_rate(path, path.read_bytes()[:4])) as mended:
        assert mended.read(21) == flac(tmp_path, 48_000)[:21]
