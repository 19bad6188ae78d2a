"""The whole job in one call and one folder: for scripts, and for `mamkit transcode`."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mamkit.transcode._destination import Destination, write_whole
from mamkit.transcode._work import Work, in_turn
from mamkit.transcode.containment.cards import choose_devices
from mamkit.transcode.containment.children import Children
from mamkit.transcode.containment.contain import Cancellation, make_thumbnails, probe
from mamkit.transcode.errors import ContainmentError, DestinationNotEmptyError, EncodeError
from mamkit.transcode.limits import Limits
from mamkit.transcode.machine import at_once, memory, memory_of, processors
from mamkit.transcode.models import ArtFile, Codec, Container, Init, MediaInfo, Plan, Segment
from mamkit.transcode.packaging.playlists import INDEX_NAME, rendition_names
from mamkit.transcode.planning.ladder import DEFAULT_LADDER, Ladder
from mamkit.transcode.planning.plan import make_plan
from mamkit.transcode.reading.source import Source

__all__ = ["Report", "thumbnails", "transcode"]


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
    resume: bool = False,
    workers: int | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Fraction], object] | None = None,
    cancelled: Cancellation | None = None,
) -> Report:
    """Make a tree for HLS and DASH of a media file; `index.m3u8` is there once everything that it names is.

    Pictures, and beside them everything else, are made in child processes at the same time.

    Args:
        source: A regular file, or what ranges are read from, by one thread at a time.
        dest: A folder that is empty or not there yet; if the work fails, it is left as it was.
        ladder: Which sizes and bit rates to offer.
        artwork: Whether to make poster, storyboard and waveform, too.
        copy: Whether the source's own packets are used for the largest rendition where they can be; `Report.notes` says
            whether that was so, and why not.
        codecs: What to encode pictures in, as for `make_plan`.
        container: What to pack everything in, as for `make_plan`.
        hdr: Whether to keep HDR beside what every screen shows, as for `make_plan`.
        encoder: What with, as for `choose_devices`. Where a card fails in the middle of a film, H.264 goes on on the
            processor for that part. HEVC and AV1 are made again from the beginning, because the headers of two encoders
            do not go together. `Report.notes` says so.
        resume: Whether `dest` may have what an earlier call with the same arguments left that was killed, to go on
            with: segments that are whole are not made again. And if the work fails, what is finished stays.
        workers: How many child processes encode pictures at the same time, each with memory of its own; None for one
            for every two processors, which it keeps busy, as far as they fit into three quarters of the memory.
        limits: What the file may ask for; `Limits()` if None. `Limits.time` is for a part as `make_plan` cuts them.
        on_progress: Told how much is done, from 0 to 1, never less than before; by any thread, but by one at a time.
        cancelled: Ends the work when set.

    Raises:
        DestinationNotEmptyError: There is something else in `dest`, or another process is writing to it.
        TranscodeError: As for `probe`, `make_plan` and `encode_part`.
        ValueError: `workers` is less than 1, or as for `make_plan` and `choose_devices`.
        OSError: The folder cannot be written.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"a film needs at least one worker, not {workers}")
    folder = Path(dest)
    limits, source = limits or Limits(), in_turn(source)
    if not resume and folder.exists() and any(folder.iterdir()):
        raise DestinationNotEmptyError(f"{str(folder)!r} is not empty; name a new folder")
    with Children(ahead=False, keep=1) as children:
        info = probe(source, limits=limits, cancelled=cancelled, children=children)
        plan = make_plan(info, ladder=ladder, artwork=artwork, copy=copy, codecs=codecs, container=container, hdr=hdr)
        wanted = {rendition.codec for rendition in plan.video if not rendition.copied}
        devices, notes = choose_devices(encoder, sorted(wanted), limits=limits)
        with Destination(folder, source, plan, devices, resume=resume, on_progress=on_progress) as destination:
            work = Work(
                source, plan, destination, limits=limits, cancelled=cancelled, workers=workers or _workers(plan)
            )
            if destination.segments:
                whole = len(rendition_names(plan)) * plan.segment_count
                notes = (*notes, f"{len(destination.segments)} of {whole} segments were there already")
            try:
                work.run(devices, children)
            except (EncodeError, ContainmentError) as error:
                if not devices:
                    raise
                notes = (*notes, f"all is encoded on the processor, because the card failed: {error}")
                destination.begin_again()
                work.run({}, children)
            destination.write_playlists()
    order = rendition_names(plan)
    segments = sorted(destination.segments.values(), key=lambda each: (order.index(each.rendition), each.index))
    return Report(
        playlist=folder / INDEX_NAME,
        info=info,
        plan=plan,
        inits=tuple(destination.inits.values()),
        segments=tuple(segments),
        art=tuple(destination.files.values()),
        size=sum(segment.size for segment in segments),
        notes=(*plan.notes, *notes, *work.notes),
    )


def _workers(plan: Plan) -> int:
    """Return how many child processes are best for the pictures of a film on this machine."""
    pictures = next((part for part in plan.parts if part.kind == "video"), None)
    room = memory()
    fit = at_once(processors()) if room is None else min(at_once(processors()), room // memory_of(plan, pictures))
    return max(1, fit)


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
        write_whole(Path(dest) / file.name, sink.made[file.name])
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
