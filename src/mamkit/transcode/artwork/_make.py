"""Makes the artwork of a film: one look at its key frames, and one at its sound."""

import itertools
import math
from collections.abc import Generator, Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedArt, Event
from mamkit.transcode.artwork._still import jpeg, picture_of
from mamkit.transcode.artwork._waveform import SAMPLE_RATE, WaveformMeter, waveform_image
from mamkit.transcode.artwork.files import (
    POSTER_NAME,
    STORYBOARD_NAME,
    WAVEFORM_IMAGE_NAME,
    WAVEFORM_NAME,
    Storyboard,
    poster_size,
    sheet_name,
    storyboard,
    storyboard_vtt,
    waveform_json,
)
from mamkit.transcode.models import ArtFile, Part, Plan
from mamkit.transcode.picture._picture import Standardiser, deinterlaced, scaler
from mamkit.transcode.reading._decode import decodable, decode_from, seek
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading._orientation import Orientation, orientation
from mamkit.transcode.reading.source import Source

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["encode_artwork"]

_MOST_PACKETS = 1_000  # of one stream, in which a key frame must come after a seek
_LEADS = (0, 2, 10)  # seconds before the wanted time: some demuxers land behind the key frame, and there is no other
_TITLES = Fraction(1, 20)  # of a film at its beginning: black, logos and titles, which make no poster
_FIRST_HALF = Fraction(1, 2)  # no poster gives the end away


def encode_artwork(source: Source, plan: Plan, part: Part) -> Generator[Event, None, None]:
    """Make poster and storyboard of the picture, and the waveform of the first sound track.

    The pictures are key frames, at most 200 of them, each found by a seek. A file that cannot be sought in has a poster
    only, and a picture or sound of which nothing can be decoded has no artwork: that spoils no preview.

    Raises:
        MediaError: The file cannot be opened.
        EncodeError: An encoder or a filter failed.
    """
    del part  # there is one in a plan
    share = Fraction(1, 2) if plan.video and plan.audio else Fraction(1)
    if plan.video and plan.video_stream is not None:
        for event in _pictures(source, plan, plan.video_stream):
            yield event * share if isinstance(event, Fraction) else event
    if plan.audio:
        meter = WaveformMeter(source, plan.audio[0].stream, plan.origin, plan.duration)
        for done in meter.measure():
            yield 1 - share + done * share
        text = waveform_json(meter.peaks, sample_rate=SAMPLE_RATE, samples_per_peak=meter.samples_per_peak)
        yield _file(WAVEFORM_NAME, text.encode())
        yield _file(WAVEFORM_IMAGE_NAME, waveform_image(meter.peaks))


def _file(name: str, data: bytes) -> EncodedArt:
    return EncodedArt(ArtFile(name=name, size=len(data)), data)


def _pictures(source: Source, plan: Plan, stream: int) -> Iterator[EncodedArt | Fraction]:
    board = storyboard(plan)
    studio: _Studio | None = None
    tiles: list[tuple[tuple[int, int], av.VideoFrame]] = []
    found = 0
    for found, picture in enumerate(_key_frames(source, plan, board, stream), 1):
        studio = studio or _Studio(plan, board, picture)
        tile = found - 1
        tiles.append((board.place(tile), studio.tile(picture, Fraction(tile, board.count))))
        if len(tiles) == board.per_sheet or found == board.count:
            sheet = tile // board.per_sheet
            yield _file(sheet_name(sheet), jpeg(picture_of(tiles, *board.sheet_size(sheet))))
            tiles = []
        yield Fraction(found, board.count)
    if studio is None:
        first = next(_all_pictures(source, stream), None)
        if first is None:
            return
        studio = _Studio(plan, board, first)
        studio.tile(first, Fraction(0))
    if found == board.count:
        yield _file(STORYBOARD_NAME, storyboard_vtt(board, plan.duration).encode())
    yield _file(POSTER_NAME, jpeg(studio.poster()))


class _Studio:
    """Makes tiles, and remembers which picture is fit for a poster: the one with the most contrast."""

    def __init__(self, plan: Plan, board: Storyboard, like: av.VideoFrame) -> None:
        turn: Orientation = orientation(like)
        width, height = poster_size(plan)
        self._standardise = Standardiser(turn.before(width, height))
        self._scale = scaler(board.width, board.height, turn)
        self._scale_poster = scaler(width, height, turn)
        self._best: tuple[float, av.VideoFrame] | None = None

    def tile(self, picture: av.VideoFrame, place: Fraction) -> av.VideoFrame:
        """Return a picture in the size of the storyboard; `place` is where in the film it stands, from 0 to 1."""
        standard = self._standardise(picture)
        tile = self._scale(standard)
        contrast = _contrast(tile)
        if not _TITLES <= place <= _FIRST_HALF:
            contrast -= 256  # less than any other
        if self._best is None or contrast > self._best[0]:
            self._best = contrast, standard
        return tile

    def poster(self) -> av.VideoFrame:
        """Return the poster; there was a tile before."""
        if self._best is None:
            raise ValueError("there is no picture to make a poster of")
        return self._scale_poster(self._best[1])


def _contrast(picture: av.VideoFrame) -> float:
    """Return the standard deviation of some of the brightnesses, 0 to 128."""
    plane = picture.planes[0]
    values = bytes(plane)[: plane.line_size * plane.height : 7]  # padding is of no weight
    mean = sum(values) / len(values)
    return math.sqrt(max(0.0, sum(value * value for value in values) / len(values) - mean * mean))


def _key_frames(source: Source, plan: Plan, board: Storyboard, stream: int) -> Iterator[av.VideoFrame]:
    """Yield a key frame for each picture of the storyboard; stop early where the file cannot be sought in.

    Before the first one that is shown (a film that was cut begins between two) that one stands.
    """
    last: av.VideoFrame | None = None
    waiting = 0
    last_stamp: int | None = None
    with open_source(source) as container:
        for one in decodable(container, [stream]):
            if not isinstance(one, av.VideoStream):
                return
            one.codec_context.thread_count = 1  # each picture is decoded for itself
            one.codec_context.skip_frame = "NONKEY"
            for tile in range(board.count):
                middle = Fraction(2 * tile + 1, 2) * board.interval
                packet = None
                for lead in _LEADS:
                    if packet is None and (lead == 0 or last is None):
                        if not seek(container, one, plan.origin + min(middle, plan.duration) - lead):
                            return
                        packet = _key_packet(container, one)
                stamp = None if packet is None else packet.pts if packet.pts is not None else packet.dts
                if packet is not None and (stamp is None or stamp != last_stamp):
                    last, last_stamp = _decoded(one, packet) or last, stamp
                waiting += 1
                if last is not None:
                    yield from itertools.repeat(last, waiting)
                    waiting = 0


def _key_packet(container: av.container.InputContainer, stream: av.VideoStream) -> "av.Packet[av.VideoStream] | None":
    """Return the next key frame, still encoded."""
    try:
        for packet in itertools.islice(packets(container, stream), _MOST_PACKETS):
            if packet.size and packet.is_keyframe:
                return packet
    except MemoryError:
        raise
    except av.FFmpegError:
        pass  # a broken place: the picture before stands for this one, too
    return None


def _decoded(stream: av.VideoStream, packet: "av.Packet[av.VideoStream]") -> av.VideoFrame | None:
    """Return a key frame, without the lines of two fields."""
    frames: list[av.VideoFrame] = []
    try:
        frames = [*stream.codec_context.decode(packet), *stream.codec_context.decode(None)]
    except MemoryError:
        raise
    except av.FFmpegError:
        return None
    finally:
        stream.codec_context.flush_buffers()
    for frame in frames[:1]:
        frame.pts = 0
        return next((picture for _, picture in deinterlaced([(Fraction(0), frame)])), None)
    return None


def _all_pictures(source: Source, stream: int) -> Iterator[av.VideoFrame]:
    for decoded in decode_from(source, [stream], None):
        if isinstance(decoded.frame, av.VideoFrame):
            decoded.frame.pts = 0
            yield decoded.frame
