"""AAC without a container is heard frame after frame, whatever the rate of each."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import make_plan
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _adts, _scan
from mamkit.transcode.reading._decode import decode_from
from tests.media_factory import make_clip

RATES = (48_000, 24_000, 44_100)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Fraction]:
    """Two seconds at each rate, and how long that is in whole frames."""
    folder, data, length = tmp_path_factory.mktemp("adts"), b"", Fraction(0)
    for rate in RATES:
        clip = make_clip(folder / f"{rate}.aac", video=False, sample_rate=rate, container="adts")
        with av.open(str(clip)) as container:
            length += sum(Fraction(1024, rate) for packet in container.demux() if packet.size)
        data += clip.read_bytes()
    return data, length


@pytest.fixture
def recording(tmp_path: Path, sound: tuple[bytes, Fraction]) -> tuple[Path, Fraction]:
    path = tmp_path / "recording.aac"
    path.write_bytes(sound[0])
    return path, sound[1]


def test_a_recording_whose_rate_changes_keeps_its_length(
    recording: tuple[Path, Fraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, length = recording
    info = probe_here(path)
    assert info.duration == length
    assert 0 <= make_plan(info).duration - length < Fraction(1, 20)
    monkeypatch.setattr(_scan, "_READ_THROUGH", 100)  # as if it were too large to be read through
    assert probe_here(path).duration == length


@pytest.mark.parametrize("start", [0, Fraction(1, 4), Fraction(21, 10), 5])
def test_all_that_is_heard_has_its_time(recording: tuple[Path, Fraction], start: Fraction) -> None:
    path, length = recording
    frames = list(decode_from(path, [0], None if start == 0 else Fraction(start)))
    assert start - 1 < frames[0].time <= start
    ends = [time + Fraction(frame.samples, frame.sample_rate) for _, time, frame in frames]  # type: ignore[union-attr]
    assert ends[:-1] == [frame.time for frame in frames[1:]]
    assert ends[-1] == length


def test_a_frame_that_claims_to_be_longer_does_not_end_the_recording(recording: tuple[Path, Fraction]) -> None:
    path, length = recording
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xf1", len(data) // 3)
    data[at + 3] ^= 1  # bit 11 of its length: two kilobytes
    path.write_bytes(data)
    assert length - 1 < probe_here(path).duration < length


def test_a_file_that_is_broken_everywhere_comes_to_an_end(
    recording: tuple[Path, Fraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, length = recording
    data = path.read_bytes()
    header = data[data.index(b"\xff\xf1") :][:7]
    path.write_bytes(data + 50 * (header[:3] + bytes([header[3] & 0xFC]) + b"\0\0" + header[6:]))  # no byte long
    assert probe_here(path).duration == length
    monkeypatch.setattr(_adts, "_MOST_BROKEN", 1)
    assert probe_here(path).duration == length
