"""What is said about media: the facts of a source, the plan of a preview, and the segments that come of it.

All models are frozen, compare by value and go to JSON and back without loss (`model_dump_json`,
`model_validate_json`): they travel between the processes of a transcode and stand in the catalog.
Media time is a `Fraction` of a second, sizes are bytes, bit rates are bits per second.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, Literal

from mamkit.errors import MissingExtraError

try:
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_serializer
except ImportError as error:
    raise MissingExtraError("transcode", package="pydantic") from error

__all__ = [
    "ArtFile",
    "AudioRendition",
    "AudioStream",
    "Codec",
    "Container",
    "Copyable",
    "Device",
    "HdrMetadata",
    "Init",
    "Join",
    "KeyFrame",
    "MasteringDisplay",
    "MediaInfo",
    "Part",
    "PartResult",
    "Plan",
    "Segment",
    "SegmentFile",
    "SubtitleRendition",
    "SubtitleStream",
    "VideoRange",
    "VideoRendition",
    "VideoStream",
]


Codec = Literal["h264", "hevc", "av1"]
"""What pictures are encoded in: H.264, which everything plays, or what takes fewer bits."""


SegmentFile = Literal["m4s", "ts", "vtt"]
"""What a segment is, and the end of its name: CMAF, an MPEG transport stream, or WebVTT."""

Container = Literal["fmp4", "ts"]
"""What pictures and sound are packed in: fragmented MP4 (CMAF), or MPEG transport streams."""

Device = Literal["cpu", "nvenc"]
"""What encodes pictures: the processor, or the encoder of an NVIDIA card."""


VideoRange = Literal["SDR", "PQ", "HLG"]
"""How pictures hold brightness, as playlists call it (RFC 8216bis section 4.4.6.2): PQ is that of HDR10."""


def _unpacked(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


_Bytes = Annotated[bytes, BeforeValidator(_unpacked), PlainSerializer(bytes.hex, return_type=str, when_used="json")]
"""Bytes that are hexadecimal in JSON."""

_Mark = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Model(BaseModel):
    """Base of the models: frozen, and strict about names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Copyable(Model):
    """What must be known of a picture stream whose packets can go to players as they are.

    It is progressive H.264 at a constant rate in groups of pictures that stand alone. Those named here are the fewest
    that are no longer than 2 s; there may be more key frames between.
    """

    groups: tuple[tuple[int, int], ...]
    """Runs of groups of one length: how many groups, and frames in each."""
    delay: int
    """Frames that must be decoded before the first one can be shown."""
    bit_rate: int
    """Average, measured."""
    peak_bit_rate: int
    """Over any run of groups that fills a segment of 6 s."""


class MasteringDisplay(Model):
    """The screen on which an HDR film was graded (SMPTE ST 2086), in the units of ITU-T H.265 section D.3.28."""

    red: tuple[int, int]
    """Chromaticity, x and y, in units of 0.00002; so are the following three."""
    green: tuple[int, int]
    blue: tuple[int, int]
    white: tuple[int, int]
    brightest: int
    """In units of 0.0001 cd/m²; so is the following."""
    darkest: int


class HdrMetadata(Model):
    """How an HDR film was graded: what a screen that can show less goes by."""

    display: MasteringDisplay | None = None
    max_cll: int = 0
    """The brightest pixel of the film, cd/m² (MaxCLL, CTA-861.3); 0 where it is not known."""
    max_fall: int = 0
    """The highest average of a picture, cd/m² (MaxFALL, CTA-861.3); 0 where it is not known."""


class VideoStream(Model):
    """One picture stream of a source, as it must be shown."""

    index: int
    """Index of the stream in its container."""
    codec: str
    """FFmpeg's name of the codec, e.g. `h264`."""
    profile: str | None = None
    width: int
    """Coded width, pixels, before rotation."""
    height: int
    """Coded height, pixels, before rotation."""
    sample_aspect_ratio: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees to turn the decoded picture **clockwise** for display."""
    mirrored: bool = False
    """Whether the picture is flipped left to right, after the rotation."""
    frame_rate: Fraction
    """Average frames per second."""
    variable_frame_rate: bool = False
    pixel_format: str
    bit_depth: int = 8
    color_primaries: str | None = None
    color_transfer: str | None = None
    color_space: str | None = None
    color_range: Literal["tv", "pc"] | None = None
    hdr: Literal["hdr10", "hlg", "dolby-vision"] | None = None
    """Of Dolby Vision, `color_transfer` says what its base layer is, which players without it show."""
    hdr_metadata: HdrMetadata | None = None
    interlaced: bool = False
    start: Fraction = Fraction(0)
    """Presentation time of the first frame, seconds on the container's clock."""
    missed: Fraction = Fraction(0)
    """Seconds before that of which there are pictures, but none that can be decoded without those before."""
    duration: Fraction | None = None
    """Seconds from the first frame to the end of the last, if known."""
    bit_rate: int | None = None
    copyable: Copyable | None = None
    """None where the packets cannot be used as they are."""
    uncopyable: str = ""
    """Why not, in a few words, e.g. `it is interlaced`."""


class AudioStream(Model):
    """One sound stream of a source."""

    index: int
    codec: str
    sample_rate: int
    """Samples per second."""
    channels: int
    layout: str
    """FFmpeg's name of the channel layout, e.g. `stereo`, `5.1`."""
    language: str | None = None
    """RFC 5646 or ISO 639 tag as the container has it; None when it says nothing or `und`."""
    title: str | None = None
    default: bool = False
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    bit_rate: int | None = None


class SubtitleStream(Model):
    """One subtitle stream of a source."""

    index: int
    codec: str
    """FFmpeg's name, e.g. `subrip`, `mov_text`; `unknown codec` where there is no decoder."""
    language: str | None = None
    """As for `AudioStream`."""
    title: str | None = None
    forced: bool = False
    """Whether it is for what viewers of the film's own language do not understand either."""


class Join(Model):
    """Where another recording begins in a file of several transport streams."""

    position: int
    """Bytes from the start of the file."""
    shift: int
    """Ticks of 1/90,000 s that are added to its times, so that it goes on where the one before ends."""


class MediaInfo(Model):
    """The facts of one source file. At least one of `video` and `audio` is not empty."""

    container: str
    """FFmpeg's name of the demuxer, e.g. `mov,mp4,m4a,3gp,3g2,mj2`."""
    size: int
    """Bytes of the file."""
    duration: Fraction
    """Seconds from the earliest start of a usable stream to the latest end; > 0."""
    start: Fraction = Fraction(0)
    """Earliest start of a usable stream, seconds on the container's clock."""
    bit_rate: int | None = None
    video: tuple[VideoStream, ...] = ()
    """Moving pictures only: cover art is not among them."""
    audio: tuple[AudioStream, ...] = ()
    subtitles: tuple[SubtitleStream, ...] = ()
    cover_art: bool = False
    joins: tuple[Join, ...] = ()
    """Where the clock of a transport stream begins anew; all times are as if it went on."""
    unusable: tuple[str, ...] = ()
    """What is left out of a preview because it cannot be decoded, or its times cannot be meant: a sentence each."""


class VideoRendition(Model):
    """One rung of the ladder as it will be encoded."""

    name: str
    """Folder of the rendition, e.g. `720p`, `720p-hevc`, `720p-hdr`: its rung, with what is not H.264 in SDR."""
    codec: Codec = "h264"
    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    bit_rate: int
    """Average that the encoder aims at."""
    max_bit_rate: int
    """Cap over the buffer of the rate control."""
    video_range: VideoRange = "SDR"
    """All but `SDR` has 10 bits, and BT.2020's colours."""
    hdr_metadata: HdrMetadata | None = None
    copied: bool = False
    """Whether it is made of the source's own packets."""
    copy_delay: int = 0
    """If it is, frames that must be decoded before the first one can be shown."""


class AudioRendition(Model):
    """One sound track as it will be encoded, AAC-LC."""

    name: str
    """Folder of the rendition, e.g. `audio`, `audio-fra-1`."""
    stream: int
    """Index of the source stream in its container."""
    sample_rate: int
    channels: int
    bit_rate: int
    language: str | None = None
    title: str
    """What a player's menu shows."""
    default: bool


class SubtitleRendition(Model):
    """One subtitle track as WebVTT."""

    name: str
    """Folder of the rendition, e.g. `subtitles`, `subtitles-2`."""
    stream: int
    """Index of the source stream in its container."""
    language: str | None = None
    title: str
    """What a player's menu shows."""
    forced: bool = False


class Part(Model):
    """What one worker makes by itself: a run of segments of all video or audio tracks, all subtitles, the artwork."""

    index: int
    """Position in `Plan.parts`; the part to encode first is 0."""
    kind: Literal["video", "audio", "subtitles", "artwork"]
    """Subtitles and artwork are one part each, of all segments."""
    start: int
    """First segment of the run."""
    stop: int
    """Segment after the last one of the run."""


class Plan(Model):
    """All that is decided before any frame is encoded.

    Video segment `i` holds the frames `i * segment_frames` up to `(i + 1) * segment_frames` of a grid of constant rate
    that holds the source's first picture, mostly as frame 0; the last segment may be shorter. Where a rendition is
    copied from the source, `cuts` says instead where segments begin, at key frames of the source. Audio segment `i`
    holds the AAC frames (1024 samples each) that start in the same stretch of time.
    """

    duration: Fraction
    """Seconds that the output lasts: for video a whole number of frames, unless it is copied and sound ends later."""
    origin: Fraction
    """Time of the output's zero on the source container's clock."""
    joins: tuple[Join, ...] = ()
    """As `MediaInfo.joins`."""
    video_stream: int | None
    """Index of the source stream that is shown."""
    frame_rate: Fraction | None
    """Output frames per second, constant, at most 60; None without video."""
    frame_count: int
    """Output frames in all; 0 without video."""
    container: Container = "fmp4"
    gop_frames: int
    """Frames from one key frame to the next: 2 s; 0 without video."""
    segment_frames: int
    """Frames in a segment: a multiple of `gop_frames`; 0 without video."""
    segment_duration: Fraction
    """Seconds of a full segment; about 6."""
    segment_count: int
    cuts: tuple[int, ...] = ()
    """First frame of each segment, where that follows the source; empty where every segment has `segment_frames`."""
    video: tuple[VideoRendition, ...]
    """Those in H.264 first, those in HDR last, and of each codec the largest first."""
    audio: tuple[AudioRendition, ...]
    subtitles: tuple[SubtitleRendition, ...] = ()
    parts: tuple[Part, ...]
    """In the order in which they are best encoded."""
    notes: tuple[str, ...] = ()
    """What somebody may want to know of how it was decided, a sentence each."""
    devices: dict[Codec, Device] = {}
    """What a card encodes of it, as `plan_on_card` found; in H.264 the processor may make any part of it, too."""
    marks: dict[Codec, _Mark] = {}
    """Of the card's encoders, as `try_encoder` told; others with the same marks write the same headers."""
    shared_headers: dict[str, _Bytes] = {}
    """Initialisation segments of the renditions that a card encodes, by name: all parts begin with these."""

    @model_serializer(mode="wrap")
    def _plainly(self, handler: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what only plans for cards have: others are understood by versions that know of no cards."""
        of_cards = {"devices", "marks", "shared_headers"}
        return {name: value for name, value in handler(self).items() if value or name not in of_cards}


class KeyFrame(Model):
    """Where a key frame lies in its segment: a fragment that starts there and ends with the frame's last byte."""

    offset: int
    """Bytes from the segment's start to the fragment that begins with the frame."""
    size: int
    """Bytes from `offset` to the end of the frame."""
    time: Fraction
    """Presentation time on the output's clock, seconds."""


class Init(Model):
    """The initialisation segment of a rendition; the same bytes whichever part made it."""

    rendition: str
    size: int
    codecs: str
    """RFC 6381 name, e.g. `avc1.64001f`, `mp4a.40.2`."""
    sha256: str
    """Hexadecimal; parts encoded apart must agree on it."""


class Segment(Model):
    """One finished media segment."""

    rendition: str
    index: int
    duration: Fraction
    """Seconds."""
    size: int
    key_frames: tuple[KeyFrame, ...] = ()
    """Empty for audio and subtitles."""
    file: SegmentFile = "m4s"


class ArtFile(Model):
    """One finished piece of artwork."""

    name: str
    """As `mamkit.transcode.artwork.files` names it, e.g. `art/poster.jpg`."""
    size: int


class PartResult(Model):
    """What encoding one part made."""

    part: int
    """Index of the part."""
    inits: tuple[Init, ...]
    segments: tuple[Segment, ...]
    art: tuple[ArtFile, ...] = ()
    notes: tuple[str, ...] = ()
    """What somebody may want to know of how it was made, a sentence each."""
