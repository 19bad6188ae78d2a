"""Ogg recordings behind each other are refused by name: only the first of them would be shown."""

from pathlib import Path

import pytest

from mamkit.transcode import MediaUnsupportedError
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _chained
from mamkit.transcode.reading._chained import is_chained
from tests.media_factory import make_clip
from tests.unit.transcode.test_source import Ranges


@pytest.mark.parametrize(
    ("suffix", "codec", "picture"), [("opus", "libopus", None), ("oga", "flac", None), ("ogv", "libopus", "libvpx")]
)
def test_a_chain_is_refused_and_each_of_its_links_is_not(
    tmp_path: Path, suffix: str, codec: str, picture: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = []
    for n in range(2):
        link = tmp_path / f"{n}.{suffix}"
        video = {"video": picture is not None, "codec": picture or "", "rate": 5, "width": 64, "height": 48}
        make_clip(link, seconds=1, audio_codec=codec, **video)  # type: ignore[arg-type]
        assert not is_chained(link)
        assert probe_here(link).audio
        links.append(link.read_bytes())
    chain = tmp_path / f"chain.{suffix}"
    chain.write_bytes(b"".join(links))
    with pytest.raises(MediaUnsupportedError, match="upload each by itself"):
        probe_here(chain)
    monkeypatch.setattr(_chained, "_BLOCK", 100)
    assert is_chained(Ranges(chain.read_bytes()))
    monkeypatch.setattr(_chained, "_READ_THROUGH", 200)
    assert is_chained(chain)
    assert not is_chained(tmp_path / f"0.{suffix}")


def test_the_end_of_a_large_file_says_that_it_is_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [make_clip(tmp_path / f"{n}.opus", video=False, audio_codec="libopus", seconds=n + 1) for n in range(2)]
    monkeypatch.setattr(_chained, "_READ_THROUGH", 1_000)
    monkeypatch.setattr(_chained, "_LARGEST_PAGE", 1_000)
    assert is_chained(Ranges(b"".join(link.read_bytes() for link in links)))
    assert not is_chained(links[1])


def test_what_is_no_ogg_is_no_chain(tmp_path: Path) -> None:
    assert not is_chained(Ranges(b"O"))
    assert not is_chained(Ranges(2 * b"OggS\0\2"))
    assert not is_chained(make_clip(tmp_path / "clip.mp4", seconds=1))
