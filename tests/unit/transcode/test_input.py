"""What may be opened at all: self-made attacks, with a canary and a listening socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from mamkit.transcode import (
    EmptyFileError,
    MediaEncryptedError,
    MediaError,
    MediaUnreadableError,
    MediaUnsupportedError,
    NoMediaError,
    SourceUnavailableError,
)
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading._input import open_ahead, open_source
from mamkit.transcode.reading._signatures import looks_like_media, looks_like_still_image
from tests.media_factory import make_clip

HOSTILE_NAMES = [
    "shell; $(touch PWNED) `id`.mp4",
    "http:..example.com.mp4",
    "concat:a|b.mp4",
    "subfile,,start,0,end,9,,:x.mp4",
    "-i.mp4",
    "frame%03d.mp4",
    "new\nline.mp4",
    "quote'\".mp4",
    "früh 早い.mp4",
    "cache:file:x.mp4",
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = make_clip(tmp_path / "clip.mp4", seconds=0.2, audio=False, container_options={"movflags": "faststart"})
    monkeypatch.chdir(tmp_path)
    hostile = plain.rename(tmp_path / name)
    with open_source(hostile) as source:
        assert len(source.streams.video) == 1
    assert list(tmp_path.iterdir()) == [hostile]


def test_a_name_of_bytes_that_are_no_text_can_be_opened(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.2, audio=False)
    with open_source(clip.rename(tmp_path / os.fsdecode(b"\xff\xfe.mp4"))) as source:
        assert len(source.streams.video) == 1


def attacks(canary: Path, port: int) -> dict[str, str]:
    """Write what files have been known to make FFmpeg open: other files, and hosts."""
    url = f"http://127.0.0.1:{port}/x.ts"
    return {
        "playlist.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "playlist.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n",
        "key.m3u8": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n',
        "concat.ffconcat": f"ffconcat version 1.0\nfile '{canary}'\n",
        "concat.mov": f"ffconcat version 1.0\nfile '{canary}'\n",
        "session.sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "dash.mpd": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "text.txt": "only words, and no film\n" * 100,
        "words.mp4": "only words, and no film\n" * 100,
        "picture.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
        "list.pls": f"[playlist]\nFile1={url}\n",
        "subtitles.srt": "1\n00:00:00,000 --> 00:00:01,000\nwords\n",
    }


@pytest.mark.parametrize("name", attacks(Path(), 0))
def test_a_file_that_names_others_is_refused_and_nothing_is_opened(
    tmp_path: Path, listener: socket.socket, name: str
) -> None:
    canary = make_clip(tmp_path / "canary.mp4", seconds=0.2, audio=False)
    os.utime(canary, (0, 0))  # so long ago that the next reader leaves a trace
    path = tmp_path / name
    path.write_text(attacks(canary, listener.getsockname()[1])[name])
    with pytest.raises((NoMediaError, MediaUnsupportedError)):
        open_source(path)
    assert canary.stat().st_atime == 0


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.jpg", b"\xff\xd8\xff\xe0"),
        ("film.mp4", b"\x89PNG\r\n\x1a\n"),
        ("a.gif", b"GIF89a"),
        ("a.bmp", b"BM\x00\x00"),
        ("a.tiff", b"II*\x00"),
        ("a.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 "),
        ("a.heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"),
        ("a.avif", b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00"),
    ],
)
def test_still_images_are_named_as_such_and_not_parsed(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head + bytes(100))
    with pytest.raises(MediaUnsupportedError, match="still image"):
        open_source(tmp_path / name)


def test_what_is_not_a_readable_regular_file_is_unavailable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for ever
    (tmp_path / "folder.mp4").mkdir()
    for name in ("pipe.mp4", "folder.mp4", "missing.mp4", "null\0byte.mp4"):
        with pytest.raises(SourceUnavailableError):
            open_source(tmp_path / name)
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(SourceUnavailableError, match="not a regular file"):
            open_source(device)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(EmptyFileError, match=r"'empty\.mp4' is empty"):
        open_source(tmp_path / "empty.mp4")


@pytest.mark.parametrize("size", [1, 2, 8, 100, 10_000])
def test_bytes_that_mean_nothing_are_no_media(tmp_path: Path, size: int) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes((n * n + 1) % 251 | 0x80 for n in range(size)))
    with pytest.raises(NoMediaError) as caught:
        open_source(path)
    assert isinstance(caught.value.__cause__, av.FFmpegError)


def test_a_film_without_its_header_is_unreadable(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.5, audio=False)  # the header is at the end
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(MediaUnreadableError):
        open_source(clip)


def test_an_encrypted_film_is_said_to_be_encrypted(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4",
        seconds=0.5,
        audio=False,
        container_options={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "00112233445566778899aabbccddeeff",
            "encryption_kid": "ffeeddccbbaa99887766554433221100",
        },
    )
    with pytest.raises(MediaEncryptedError):
        open_source(clip)


def test_the_word_for_encryption_in_a_film_does_not_make_it_encrypted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.2, audio=False, container_options={"movflags": "faststart"})
    data = clip.read_bytes()
    clip.write_bytes(data + (8 + 16).to_bytes(4) + b"freestsd............encv")
    with open_source(clip) as source:
        assert len(source.streams) == 1


@pytest.mark.parametrize(
    "boxes",
    [
        b"\x00\x00\x00\x01moov" + bytes(8),
        b"\x00\x00\x00\x01free\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xffmoov",
        b"\x00\x00\x00\x08free" * 5000,
        b"\x00\x00\x00\x00moov",
        b"\x00\x00\x00\x01moov",
    ],
)
def test_boxes_that_lie_about_their_size_are_no_trouble(tmp_path: Path, boxes: bytes) -> None:
    path = tmp_path / "boxes.mp4"
    path.write_bytes(b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + boxes)
    with pytest.raises(MediaError):
        probe_here(path)


def test_a_picture_larger_than_any_screen_is_not_made_room_for(tmp_path: Path) -> None:
    with open_source(make_clip(tmp_path / "clip.mkv", seconds=0.2, audio=False)) as source:
        assert source.streams.video[0].codec_context.options == {"max_pixels": str(8192 * 4608)}


def test_signatures_tell_films_from_pictures() -> None:
    assert looks_like_media(b"\x00\x00\x00\x20ftypisom")
    assert not looks_like_still_image(b"\x00\x00\x00\x20ftypisom")
    assert looks_like_media(b"RIFF\x00\x00\x00\x00AVI ")
    assert not looks_like_still_image(b"RIFF\x00\x00\x00\x00AVI ")
    assert not looks_like_media(b"#EXTM3U")
    assert not looks_like_media(b"")
    assert not looks_like_still_image(b"")


def test_what_was_opened_ahead_is_opened_once(tmp_path: Path) -> None:
    films = [str(make_clip(tmp_path / name, seconds=1)) for name in ("one.mp4", "two.mp4")]
    open_ahead(films[0])
    with open_source(films[1]) as other, open_source(films[0]) as ahead, open_source(films[0]) as again:
        assert [container.name for container in (other, ahead, again)] == [f"file:{films[n]}" for n in (1, 0, 0)]
        assert [sum(1 for _ in container.decode(video=0)) for container in (ahead, again)] == [25, 25]


def test_only_the_last_film_is_kept_open(tmp_path: Path) -> None:
    films = [str(make_clip(tmp_path / name, seconds=1)) for name in ("one.mp4", "two.mp4")]
    for film in films:
        open_ahead(film)
    with pytest.raises(NoMediaError):
        open_ahead(str(Path(__file__)))
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").glob("*") if path.exists()]
    assert not set(opened) & set(films)
