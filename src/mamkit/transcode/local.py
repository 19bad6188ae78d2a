"""The whole job in one call and one folder: for scripts, and for `mamkit transcode`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mamkit.transcode.containment.contain import Cancellation, choose_devices, encode_part, make_thumbnails, probe
from mamkit.transcode.errors import ContainmentError, DestinationNotEmptyError, EncodeError
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import ArtFile, Codec, Container, Device, Init, MediaInfo, Part, Plan, Segment
from mamkit.transcode.packaging.manifest import MANIFEST_NAME, dash_manifest
from mamkit.transcode.packaging.playlists import (
    INDEX_NAME,
    Track,
    iframe_playlist,
    iframe_playlist_name,
    init_name,
    media_playlist,
    media_playlist_name,
    multivariant_playlist,
    rendition_names,
    segment_name,
)
from mamkit.transcode.planning.ladder import DEFAULT_LADDER, Ladder
from mamkit.transcode.planning.plan import make_plan
from mamkit.transcode.reading.source import Source

__all__ = ["Report", "thumbnails", "transcode"]

# How much work there is in parts of the same seconds.
_WEIGHTS = {"video": Fraction(1), "audio": Fraction(1, 50), "subtitles": Fraction(1, 100), "artwork": Fraction(1, 50)}


class Report(BaseModel):
    """What became of a film."""

    model_config = ConfigDict(frozen=True)

    playlist: Path
    """The multivariant playlist."""
    info: MediaInfo
    plan: Plan
    inits: tuple[Init, ...]
    segments: tuple[Segment, ...]
    art: tuple[ArtFile, ...] = ()
    size: int
    """Bytes of all segments."""
    notes: tuple[str, ...] = ()
    """What somebody may want to know of how it was made, a sentence each."""


def transcode(
    source: Source,
    dest: str | Path,
    *,
    ladder: Ladder = DEFAULT_LADDER,
    artwork: bool = True,
    copy: bool = True,
    codecs: Sequence[Codec] = ("h264",),
    container: Container = "fmp4",
    hdr: bool = False,
    encoder: Literal["auto", "cpu", "nvenc"] = "cpu",
    limits: Limits | None = None,
    on_progress: Callable[[Fraction], object] | None = None,
    cancelled: Cancellation | None = None,
) -> Report:
    """Make a tree for HLS and DASH of a media file; `index.m3u8` is there once everything that it names is.

    Args:
        source: A regular file, or what ranges are read from.
        dest: A folder that is empty or not there yet; if the work fails, it is left as it was.
        ladder: Which sizes and bit rates to offer.
        artwork: Whether to make poster, storyboard and waveform, too.
        copy: Whether the source's own packets are used for the largest rendition where they can be; `Report.notes` says
            whether that was so, and why not.
        codecs: What to encode pictures in, as for `make_plan`.
        container: What to pack everything in, as for `make_plan`.
        hdr: Whether to keep HDR beside what every screen shows, as for `make_plan`.
        encoder: What with, as for `choose_devices`. If a card fails in the middle of a film, the film is encoded on
            the processor from its beginning, because another encoder's segments need another header; `Report.notes`
            says so.
        limits: What the file may ask for; `Limits()` if None.
        on_progress: Told how much is done, from 0 to 1, never less than before.
        cancelled: Ends the work when set.

    Raises:
        DestinationNotEmptyError: There is something in `dest`.
        TranscodeError: As for `probe`, `make_plan` and `encode_part`.
        OSError: The folder cannot be written.
    """
    folder = Path(dest)
    existed = folder.exists()
    if existed and any(folder.iterdir()):
        raise DestinationNotEmptyError(f"{str(folder)!r} is not empty; name a new folder")
    info = probe(source, limits=limits, cancelled=cancelled)
    plan = make_plan(info, ladder=ladder, artwork=artwork, copy=copy, codecs=codecs, container=container, hdr=hdr)
    wanted = {rendition.codec for rendition in plan.video if not rendition.copied}
    devices, notes = choose_devices(encoder, sorted(wanted), limits=limits)
    folder.mkdir(parents=True, exist_ok=True)

    furthest = Fraction(0)

    def tell(done: Fraction) -> None:
        nonlocal furthest
        if on_progress is not None and done >= furthest:  # a second run tells nothing until it has caught up
            furthest = done
            on_progress(done)

    def encode(devices: Mapping[Codec, Device]) -> _Folder:
        sink = _Folder(folder, plan, tell)
        for part in plan.parts:
            sink.begin(part)
            encode_part(source, plan, part, sink, devices=devices, limits=limits, cancelled=cancelled)
        return sink

    try:
        try:
            sink = encode(devices)
        except (EncodeError, ContainmentError) as error:
            if not devices:
                raise
            notes = (*notes, f"all is encoded on the processor, because the card failed: {error}")
            _clear(folder)
            sink = encode({})
        sink.write_playlists()
    except BaseException:
        _clear(folder)
        if not existed:
            folder.rmdir()
        raise
    return Report(
        playlist=folder / INDEX_NAME,
        info=info,
        plan=plan,
        inits=tuple(sink.inits.values()),
        segments=tuple(sink.segments),
        art=tuple(sink.files),
        size=sum(segment.size for segment in sink.segments),
        notes=(*plan.notes, *notes),
    )


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def thumbnails(
    source: Source, dest: str | Path, *, limits: Limits | None = None, cancelled: Cancellation | None = None
) -> tuple[str, ...]:
    """Make poster and thumbnail of a still image in a folder; return their names in it.

    Args:
        source: A regular file, or what ranges are read from.
        dest: A folder; files of these names in it are replaced.
        limits: What the file may ask for.
        cancelled: Ends the work when set.

    Raises:
        TranscodeError: As for `make_thumbnails`.
        OSError: The folder cannot be written.
    """
    sink = _Pictures()
    files = make_thumbnails(source, sink, limits=limits, cancelled=cancelled)
    for file in files:
        _write(Path(dest) / file.name, sink.made[file.name])
    return tuple(file.name for file in files)


class _Pictures:
    """A `Sink` that keeps the two small files of a still image."""

    def __init__(self) -> None:
        self.made: dict[str, bytes] = {}

    def init(self, init: Init, data: bytes) -> None:
        """Take nothing: an image has no segments."""

    def segment(self, segment: Segment, data: bytes) -> None:
        """Take nothing: an image has no segments."""

    def art(self, file: ArtFile, data: bytes) -> None:
        self.made[file.name] = data

    def progress(self, done: Fraction) -> None:
        """Hear nothing: it is over at once."""


class _Folder:
    """A `Sink` that writes files, and keeps account of the parts before."""

    def __init__(self, folder: Path, plan: Plan, on_progress: Callable[[Fraction], object]) -> None:
        self.inits: dict[str, Init] = {}
        self.segments: list[Segment] = []
        self.files: list[ArtFile] = []
        self._folder = folder
        self._plan = plan
        self._on_progress = on_progress
        self._total = sum((_work(part) for part in plan.parts), Fraction(0))
        self._before = Fraction(0)
        self._now = Fraction(0)

    def begin(self, part: Part) -> None:
        self._before, self._now = self._before + self._now, _work(part)

    def init(self, init: Init, data: bytes) -> None:
        self.inits[init.rendition] = init
        if self._plan.container == "fmp4":  # transport streams say all in each segment
            self._write(init_name(init.rendition), data)

    def segment(self, segment: Segment, data: bytes) -> None:
        self.segments.append(segment)
        self._write(segment_name(segment.rendition, segment.index, segment.file), data)

    def art(self, file: ArtFile, data: bytes) -> None:
        self.files.append(file)
        self._write(file.name, data)

    def progress(self, done: Fraction) -> None:
        self._on_progress((self._before + done * self._now) / self._total)

    def write_playlists(self) -> None:
        tracks = [
            Track.of(self.inits.get(name), (segment for segment in self.segments if segment.rendition == name))
            for name in rendition_names(self._plan)
        ]
        pictures = {rendition.name for rendition in self._plan.video}
        for track in tracks:
            name = track.rendition
            self._write(media_playlist_name(name), media_playlist(track, plan=self._plan, finished=True).encode())
            if name in pictures:
                text = iframe_playlist(track, plan=self._plan, finished=True)
                self._write(iframe_playlist_name(name), text.encode())
        if self._plan.container == "fmp4":
            self._write(MANIFEST_NAME, dash_manifest(self._plan, tracks).encode())
        self._write(INDEX_NAME, multivariant_playlist(self._plan, tracks, finished=True).encode())

    def _write(self, name: str, data: bytes) -> None:
        _write(self._folder / name, data)


def _write(path: Path, data: bytes) -> None:
    """Write a file, to be seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _work(part: Part) -> Fraction:
    return (part.stop - part.start) * _WEIGHTS[part.kind]
