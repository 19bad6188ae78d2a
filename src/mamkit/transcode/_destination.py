"""The folder that a film is written to, and an account of what is finished there that outlives the process."""

import fcntl
import json
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from mamkit.transcode.artwork.files import is_art_name
from mamkit.transcode.errors import DestinationNotEmptyError, EncodeError
from mamkit.transcode.models import ArtFile, Codec, Device, Init, Part, Plan, Segment
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
from mamkit.transcode.packaging.webvtt import whole_name
from mamkit.transcode.reading.source import Source

__all__ = ["Destination", "PartSink", "write_whole"]

_JOURNAL = ".mamkit-transcode"

# How much work there is in parts of the same seconds.
_WEIGHTS = {"video": Fraction(1), "audio": Fraction(1, 50), "subtitles": Fraction(1, 100), "artwork": Fraction(1, 50)}


class Destination:
    """Takes the files of a film, from several threads; a context manager.

    Where an account is kept, each finished file stands in it with its checksum, so that what a killed process, or a
    machine that lost its power, left half written is made again.

    Args:
        folder: Empty or not there yet, or what an earlier call with the same arguments left.
        source: What the film is made of.
        plan: What is made.
        devices: What with.
        resume: Whether to keep an account, and what is finished if the work fails.
        on_progress: Told how much is done, from 0 to 1, never less than before, never twice at once.

    Attributes:
        inits: The facts of the initialisation segments, by rendition.
        headers: The initialisation segments, by rendition.
        segments: The finished segments, by rendition and index.
        files: The finished artwork and whole tracks of words, by name.

    Raises:
        DestinationNotEmptyError: There is something else in the folder, or another process is writing to it.
        OSError: The folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        source: Source,
        plan: Plan,
        devices: Mapping[Codec, Device],
        *,
        resume: bool,
        on_progress: Callable[[Fraction], object] | None,
    ) -> None:
        self.inits: dict[str, Init] = {}
        self.headers: dict[str, bytes] = {}
        self.segments: dict[tuple[str, int], Segment] = {}
        self.files: dict[str, ArtFile] = {}
        self._whole: set[str] = set()  # kinds of which the one part is finished
        self._folder = folder
        self._plan = plan
        self._resume = resume
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._total = sum((_work(part) for part in plan.parts), Fraction(0))
        self._done = self._furthest = Fraction(0)
        self._running: dict[int, Fraction] = {}
        self._journal: int | None = None
        # Other encoders may write other headers, which do not go with the segments that are there.
        facts = {"source": _identity(source), "plan": _json(plan), "devices": dict(devices), "av": version("av")}
        self._heading = json.dumps(facts).encode() + b"\n"
        self._existed = folder.exists()
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not (self._resume and (self.segments or self.files)):
            self._empty()
            if not self._existed:
                self._folder.rmdir()
        self._close_journal()

    def begin_again(self) -> None:
        """Remove all that is there."""
        with self._lock:
            for finished in (self.inits, self.headers, self.segments, self.files, self._whole, self._running):
                finished.clear()
            self._empty()
            self._begin_journal()

    def left(self, parts: Iterable[Part]) -> list[Part]:
        """Return what of some parts is not finished: of runs of segments, from the first that is missing on."""
        found = [left for part in parts if (left := self._left(part)) is not None]
        self._done = self._total - sum((_work(part) for part in found), Fraction(0))
        return found

    def sink(self, part: Part) -> "PartSink":
        """Return what takes the files of a part."""
        return PartSink(self, part)

    def finish_part(self, part: Part) -> None:
        """Note that all of a part is there."""
        with self._lock:
            if part.kind in {"subtitles", "artwork"}:
                self._whole.add(part.kind)
                self._note({"whole": part.kind})
            self._running.pop(part.index, None)
            self._done += _work(part)
            self._tell()

    def write_playlists(self) -> None:
        """Write all playlists, that which names the others last."""
        tracks = [
            Track.of(self.inits.get(name), (segment for key, segment in self.segments.items() if key[0] == name))
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
        (self._folder / _JOURNAL).unlink(missing_ok=True)

    def take_init(self, init: Init, data: bytes) -> None:
        """Take an initialisation segment, the same as every other of its rendition.

        Raises:
            EncodeError: It is another than that of the segments that are there.
        """
        with self._lock:
            name = init.rendition
            if self.headers.get(name, data) != data:
                raise EncodeError(f"the header of {name!r} is another than that of the segments before")
            if name not in self.inits:
                self._keep_init(init, data)
                self._note({"init": _json(init), "header": data.hex()})

    def take_segment(self, segment: Segment, data: bytes) -> None:
        """Take a segment; of the same again, the later one stays."""
        with self._lock:
            self._write(segment_name(segment.rendition, segment.index, segment.file), data)
            self.segments[segment.rendition, segment.index] = segment
            self._note({"segment": _json(segment), "crc": zlib.crc32(data)})

    def take_art(self, file: ArtFile, data: bytes) -> None:
        """Take another file."""
        with self._lock:
            self._write(file.name, data)
            self.files[file.name] = file
            self._note({"art": _json(file), "crc": zlib.crc32(data)})

    def tell(self, part: Part, done: Fraction) -> None:
        """Hear how much of a part is made, from 0 to 1."""
        with self._lock:
            self._running[part.index] = done * _work(part)
            self._tell()

    def _tell(self) -> None:
        done = self._done + sum(self._running.values(), Fraction(0))
        if self._on_progress is not None and done >= self._furthest * self._total:
            self._furthest = min(Fraction(1), done / self._total)
            self._on_progress(self._furthest)

    def _left(self, part: Part) -> Part | None:
        if part.kind in {"subtitles", "artwork"}:
            return None if part.kind in self._whole else part
        names = [rendition.name for rendition in (self._plan.video if part.kind == "video" else self._plan.audio)]
        for index in range(part.start, part.stop):
            if any(name not in self.inits or (name, index) not in self.segments for name in names):
                return part.model_copy(update={"start": index})
        return None

    def _open(self) -> None:
        if self._existed and any(self._folder.iterdir()):
            self._take_up()
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._begin_journal()

    def _begin_journal(self) -> None:
        if self._resume:
            self._close_journal()
            self._lock_journal(os.O_CREAT | os.O_EXCL)
            self._note_line(self._heading)

    def _lock_journal(self, flags: int) -> None:
        path = self._folder / _JOURNAL
        self._journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o644)
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._close_journal()
            raise DestinationNotEmptyError(f"another process is writing to {str(self._folder)!r}") from error

    def _close_journal(self) -> None:
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def _take_up(self) -> None:
        """Go on with what is there.

        Raises:
            DestinationNotEmptyError: It is not the beginning of the same film.
        """
        path = self._folder / _JOURNAL
        if not (self._resume and path.is_file() and not path.is_symlink()):
            raise DestinationNotEmptyError(f"{str(self._folder)!r} is not empty; name a new folder")
        self._lock_journal(0)
        heading, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
        if not heading.endswith(b"\n") and [*self._folder.iterdir()] == [path]:  # killed at its very first step
            path.write_bytes(self._heading)
            return
        if heading != self._heading:
            self._close_journal()
            raise DestinationNotEmptyError(
                f"{str(self._folder)!r} has the beginning of another film, or of one made otherwise; name a new folder"
            )
        if lines and not lines[-1].endswith(b"\n"):
            self._note_line(b"\n")  # the process was killed while it wrote the line
        intact = [self._recall(line) for line in lines]
        if not all(intact):
            self._whole.clear()
        for unfinished in self._folder.rglob(".*.part"):
            unfinished.unlink()

    def _recall(self, line: bytes) -> bool:
        """Take up what a line of the account says, if the file is there as it says; return whether it is."""
        names = set(rendition_names(self._plan))
        try:
            match json.loads(line):
                case {"init": facts, "header": str(header)}:
                    init = Init.model_validate(facts)
                    if init.rendition in names:
                        self._keep_init(init, bytes.fromhex(header))
                    return True
                case {"segment": facts, "crc": crc}:
                    segment = Segment.model_validate(facts)
                    name = segment_name(segment.rendition, segment.index, segment.file)
                    if segment.rendition in names and self._is_whole(name, crc):
                        self.segments[segment.rendition, segment.index] = segment
                        return True
                case {"art": facts, "crc": crc}:
                    file = ArtFile.model_validate(facts)
                    known = is_art_name(file.name) or file.name in map(whole_name, names)
                    if known and self._is_whole(file.name, crc):
                        self.files[file.name] = file
                        return True
                case {"whole": str(kind)}:
                    self._whole.add(kind)
                    return True
                case _:
                    pass
        except ValueError:
            pass  # cut short
        return False

    def _is_whole(self, name: str, crc: object) -> bool:
        try:
            return zlib.crc32((self._folder / name).read_bytes()) == crc
        except OSError:
            return False

    def _keep_init(self, init: Init, data: bytes) -> None:
        if self._plan.container == "fmp4":  # transport streams say all in each segment
            self._write(init_name(init.rendition), data)
        self.inits[init.rendition], self.headers[init.rendition] = init, data

    def _empty(self) -> None:
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _note(self, what: Mapping[str, Any]) -> None:
        self._note_line(json.dumps(what).encode() + b"\n")

    def _note_line(self, line: bytes) -> None:
        if self._journal is not None:
            os.write(self._journal, line)

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self._folder / name, data)


class PartSink:
    """A `Sink` for one part of a film."""

    def __init__(self, destination: Destination, part: Part) -> None:
        self._destination = destination
        self._part = part

    def init(self, init: Init, data: bytes) -> None:
        self._destination.take_init(init, data)

    def segment(self, segment: Segment, data: bytes) -> None:
        self._destination.take_segment(segment, data)

    def art(self, file: ArtFile, data: bytes) -> None:
        self._destination.take_art(file, data)

    def progress(self, done: Fraction) -> None:
        self._destination.tell(self._part, done)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, to be seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _identity(source: Source) -> list[str | int]:
    """Return by what a source is known again."""
    if isinstance(source, (str, Path)):
        facts = Path(source).stat()
        return [facts.st_size, facts.st_mtime_ns]
    return [source.size, source.name]


def _json(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())


def _work(part: Part) -> Fraction:
    return (part.stop - part.start) * _WEIGHTS[part.kind]
