"""Playing a preview as a player does: every playlist, every segment of every rendition, decoded to the last frame."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

import av
import httpx

from mamkit.errors import MamkitError
from mamkit_apps.demo.client import RefusedError

__all__ = ["Playback", "PlaybackError", "Rendition", "check_against", "decode", "fetch"]

TIMEOUT = 60.0  # seconds


class PlaybackError(MamkitError):
    """What came through the edge is not the film that was uploaded."""

    code = "apps.playback"


@dataclass(kw_only=True)
class Rendition:
    """One rendition as it was fetched, and what decoding it showed."""

    name: str
    kind: Literal["video", "audio"]
    width: int | None = None
    """As the multivariant playlist says."""
    height: int | None = None
    path: Path
    """Initialisation segment and all segments, one after the other."""
    segments: int = 0
    bytes: int = 0
    declared: float = 0.0
    """Seconds by the playlist."""
    decoded: float = 0.0
    """Seconds by the decoded frames."""
    frames: int = 0


@dataclass(frozen=True, kw_only=True)
class Playback:
    """A preview that was fetched whole."""

    renditions: tuple[Rendition, ...]
    bytes: int


def fetch(url: str, folder: Path, advance: Callable[[float], None]) -> Playback:
    """Fetch the multivariant playlist and all that it names.

    Args:
        url: Signed URL of the multivariant playlist.
        folder: Renditions are put here.
        advance: Told how much is done, 0 to 1.

    Raises:
        RefusedError: The edge did not send something.
        PlaybackError: A playlist does not name what it must.
    """
    with httpx.Client(timeout=TIMEOUT) as http:
        master = _text(http, url)
        total = len(master)
        found = list(_renditions(master, folder))
        if not found:
            raise PlaybackError("the multivariant playlist names no rendition")
        for number, (uri, rendition) in enumerate(found):
            total += _fetch_rendition(http, urljoin(url, uri), rendition)
            advance((number + 1) / len(found))
        for uri in re.findall(r'#EXT-X-I-FRAME-STREAM-INF:.*?URI="([^"]+)"', master):
            total += len(_text(http, urljoin(url, uri)))
    return Playback(renditions=tuple(rendition for _, rendition in found), bytes=total)


def _renditions(master: str, folder: Path) -> Iterator[tuple[str, Rendition]]:
    """Yield the audio renditions and variants of a multivariant playlist (RFC 8216 section 4.3.4), each once."""
    seen: set[str] = set()
    for uri in re.findall(r"#EXT-X-MEDIA:TYPE=AUDIO.*?URI=\"([^\"]+)\"", master):
        if uri not in seen:
            seen.add(uri)
            yield uri, Rendition(name=_name(uri), kind="audio", path=folder / f"{len(seen)}.mp4")
    for attributes, uri in re.findall(r"#EXT-X-STREAM-INF:(.*)\n(.+)", master):
        if uri in seen:
            continue
        seen.add(uri)
        size = re.search(r"RESOLUTION=(\d+)x(\d+)", attributes)
        yield (
            uri,
            Rendition(
                name=_name(uri),
                kind="video" if size else "audio",
                width=int(size[1]) if size else None,
                height=int(size[2]) if size else None,
                path=folder / f"{len(seen)}.mp4",
            ),
        )


def _name(uri: str) -> str:
    return uri.rpartition("/")[0]


def _fetch_rendition(http: httpx.Client, url: str, rendition: Rendition) -> int:
    text = _text(http, url)
    if "#EXT-X-ENDLIST" not in text:
        raise PlaybackError(f"the playlist of {rendition.name} has no end although the preview is ready")
    init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', text)
    if init is None:
        raise PlaybackError(f"the playlist of {rendition.name} names no initialisation segment")
    with rendition.path.open("wb") as file:
        size = file.write(_bytes(http, urljoin(url, init[1])))
        for duration, uri in re.findall(r"#EXTINF:([\d.]+),[^\n]*\n([^#\n]+)", text):
            size += file.write(_bytes(http, urljoin(url, uri)))
            rendition.declared += float(duration)
            rendition.segments += 1
    rendition.bytes = size
    return size + len(text)


def _bytes(http: httpx.Client, url: str) -> bytes:
    response = http.get(url)
    if not response.is_success:
        raise RefusedError(response)
    return response.content


def _text(http: httpx.Client, url: str) -> str:
    return _bytes(http, url).decode()


def decode(rendition: Rendition) -> None:
    """Decode a fetched rendition to its last frame and note length and size.

    Raises:
        PlaybackError: It does not decode, or its pictures have another size than the playlist says.
    """
    first = last = None
    try:
        with av.open(str(rendition.path)) as container:
            stream = container.streams.video[0] if rendition.kind == "video" else container.streams.audio[0]
            for frame in container.decode(stream):
                if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.pts is None or frame.time_base is None:
                    continue
                rendition.frames += 1
                start = frame.pts * frame.time_base
                if isinstance(frame, av.VideoFrame):
                    if (frame.width, frame.height) != (rendition.width, rendition.height):
                        raise PlaybackError(
                            f"{rendition.name} says {rendition.width}x{rendition.height},"
                            f" its pictures have {frame.width}x{frame.height}"
                        )
                    end = start + (1 / stream.average_rate if stream.average_rate else 0)
                else:
                    end = start + Fraction(frame.samples, frame.sample_rate)
                first = start if first is None else min(first, start)
                last = end if last is None else max(last, end)
    except av.FFmpegError as error:
        raise PlaybackError(f"{rendition.name} does not decode: {error}") from error
    if first is None or last is None:
        raise PlaybackError(f"{rendition.name} has no frame that decodes")
    rendition.decoded = float(last - first)


def check_against(playback: Playback, *, seconds: float, width: int | None, height: int | None) -> None:
    """Hold a decoded preview against its source.

    Args:
        playback: Every rendition decoded.
        seconds: What the source lasts.
        width: Of the source's picture as it is shown, pixels; None without one.
        height: Likewise.

    Raises:
        PlaybackError: A length is off by more than 0.25 s (and 0.5 %), a picture is larger than the source's, or its
            shape is off by more than what even sizes explain.
    """
    slack = max(0.25, 0.005 * seconds)
    for rendition in playback.renditions:
        for what, length in (("lasts", rendition.declared), ("decodes to", rendition.decoded)):
            if abs(length - seconds) > slack:
                raise PlaybackError(f"{rendition.name} {what} {length:.3f} s, the source lasts {seconds:.3f} s")
        if rendition.width is None or rendition.height is None:
            continue
        if width is None or height is None:
            raise PlaybackError(f"{rendition.name} has pictures, the source has none")
        if rendition.width > width + 1 or rendition.height > height + 1:
            raise PlaybackError(f"{rendition.name} is larger than the source ({width}x{height})")
        off = abs(rendition.width * height - rendition.height * width)
        if off > 2 * max(width, height):  # either side may be rounded by up to 2 pixels
            raise PlaybackError(f"{rendition.name} has not the shape of the source ({width}x{height})")
    if width is not None and not any(rendition.kind == "video" for rendition in playback.renditions):
        raise PlaybackError("the source has pictures, the preview has none")
