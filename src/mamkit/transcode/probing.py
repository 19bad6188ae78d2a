"""The facts of a source, found in this process: use `mamkit.transcode.probe` for strangers' files.

Headers are not believed where looking is cheap: the first pictures and sounds are decoded, and times come from packets.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream

from mamkit.transcode.errors import (
    MediaTooLargeError,
    MediaUnreadableError,
    MediaUnsupportedError,
    NoMediaError,
    StillImageError,
)
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import AudioStream, MediaInfo, SubtitleStream, VideoStream
from mamkit.transcode.reading._chained import is_chained
from mamkit.transcode.reading._colour import colour
from mamkit.transcode.reading._copying import copyable
from mamkit.transcode.reading._encryption import read_movie_box
from mamkit.transcode.reading._image import shown_size
from mamkit.transcode.reading._input import describe, open_source, packets
from mamkit.transcode.reading._joined import find_joins, joined
from mamkit.transcode.reading._orientation import orientation, pixel_shape
from mamkit.transcode.reading._samples import movie_duration
from mamkit.transcode.reading._scan import Timing, left_out, longest, scan
from mamkit.transcode.reading.source import Source, name_of, open_bytes, size_of

__all__ = ["probe_here"]

_PICTURES_LOOKED_AT = 8  # interlacing may not show in the first one
_MOST_PACKETS = 5_000  # read in search of the first picture and sound
_MOST_BYTES = 64 << 20  # of packets read in search of them
_LATE_PACKETS = 100  # of a stream that comes late, in search of its first frame
_READ_THROUGH = 1 << 30  # bytes of a file that is read further for a stream of which nothing came: a second or two
_MOST_TAG = 35  # characters of a language tag that are kept: RFC 5646 section 4.4.1
_MOST_TITLE = 200  # characters of a track's title that are kept
_TRUSTED_RATE = Fraction(1, 200)  # a rate from the headers is exact if it is this near to the measured one
_SLOWEST = Fraction(1, 1000)  # frames per second; a slide for longer than a quarter of an hour is one all the same
_LONGEST_LAST_PICTURE = Fraction(1, 5)  # seconds that a last picture without a duration of its own is shown
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
_MOST_SAMPLES_A_SECOND = 1 << 22  # more is a lie: DSD512 comes out of its decoder at 2.8 million


@dataclass(slots=True)
class _Sample:
    """The first frames of a stream, or why there are none."""

    pictures: list[av.VideoFrame] = field(default_factory=list)
    sounds: list[av.AudioFrame] = field(default_factory=list)
    problem: str = ""
    begin: int | None = None
    """When the first key frame is decoded: nothing before it is shown."""

    def add(self, packet: "av.Packet[Stream]") -> None:
        """Decode a packet."""
        if packet.is_keyframe and self.begin is None and not self:
            self.begin = packet.dts
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError as error:
            self.problem = describe(error)
            return
        self.pictures += [frame for frame in frames if isinstance(frame, av.VideoFrame)]
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                if frame.sample_rate <= _MOST_SAMPLES_A_SECOND:
                    self.sounds.append(frame)
                else:
                    self.problem = f"it has {frame.sample_rate} samples per second"

    def __len__(self) -> int:
        return len(self.pictures) + len(self.sounds)


def probe_here(file: Source, limits: Limits | None = None) -> MediaInfo:
    """Return the facts of a media file. The file is parsed and decoded in this process: use it on files that you trust.

    A stream that cannot be decoded is left out, as long as another one can.

    Args:
        file: A regular file, or what ranges are read from.
        limits: What the file may ask for; `Limits()` if None.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        NoMediaError: The file is not media, or has neither picture nor sound.
        MediaEncryptedError: A track is encrypted.
        StillImageError: The file is a still image; the error says how large.
        MediaUnsupportedError: The format is not accepted, no codec of it is known, or it is a chain of Ogg files.
        MediaTooLargeError: The file is beyond the limits.
        MediaUnreadableError: No stream of the file can be decoded.
    """
    name, limits = name_of(file), limits or Limits()
    if is_chained(file):
        raise MediaUnsupportedError(f"{name!r} is several Ogg recordings behind each other; upload each by itself")
    joins = find_joins(file)
    file = joined(file, joins)
    with _opened(file) as source:
        candidates = _candidates(source, name, limits)
        samples = _decode_first_frames(source, candidates)
        if size_of(file) <= _READ_THROUGH:
            _read_on(source, candidates, samples)
        usable = [stream.index for stream in candidates if len(samples[stream.index])]
        if not usable:
            raise MediaUnreadableError(
                f"{name!r} is cut short or broken: no picture or sound of it can be decoded",
                detail=next((sample.problem for sample in samples.values() if sample.problem), ""),
            )
        timings = scan(file, usable, source)
        usable = [index for index in usable if timings[index].within is None or timings[index].stamps]
        video = tuple(
            _with_copying(file, source, stream, _video(stream, samples[stream.index], timings[stream.index]))
            for stream in source.streams.video
            if stream.index in usable
        )
        audio = tuple(
            _audio(stream, samples[stream.index].sounds[0], timings[stream.index])
            for stream in source.streams.audio
            if stream.index in usable
        )
        if video and audio and "mp4" in source.format.name:
            audio = _until_the_movie_ends(file, video, audio)
        starts = [*(stream.start for stream in video), *(stream.start for stream in audio)]
        ends = [*(_end(stream) for stream in video), *(_end(stream) for stream in audio)]
        start, duration = min(starts), max(ends) - min(starts)
        _check(name, "pixels", max((stream.width * stream.height for stream in video), default=0), limits.pixels)
        _check(name, "seconds", float(duration), longest(size_of(file), limits))
        return MediaInfo(
            container=source.format.name,
            size=size_of(file),
            duration=duration,
            start=start,
            bit_rate=source.bit_rate or None,
            video=video,
            audio=audio,
            subtitles=tuple(_subtitles(stream) for stream in source.streams.subtitles),
            cover_art=any(_is_cover_art(stream) for stream in source.streams.video),
            joins=joins,
            unusable=tuple(_unusable(source, usable, timings)),
        )


def _opened(file: Source) -> InputContainer:
    try:
        return open_source(file)
    except StillImageError as found:
        width, height = shown_size(file)
        if not width:
            raise MediaUnreadableError(f"{name_of(file)!r} is an image that is cut short or broken") from None
        raise StillImageError(str(found), format=found.format, width=width, height=height) from None


def _candidates(source: InputContainer, name: str, limits: Limits) -> list[av.VideoStream | av.AudioStream]:
    """Return the streams of moving pictures and of sound for which there is a decoder."""
    _check(name, "streams", len(source.streams), limits.streams)
    found: list[av.VideoStream | av.AudioStream] = [
        *(stream for stream in source.streams.video if not _is_cover_art(stream)),
        *source.streams.audio,
    ]
    if not found:
        raise NoMediaError(f"{name!r} has neither moving pictures nor sound")
    known = [stream for stream in found if _has_decoder(stream)]
    if not known:
        raise MediaUnsupportedError(f"{name!r} has only streams of unknown codecs")
    for stream in known:
        if isinstance(stream, av.VideoStream):
            _check(name, "pixels", stream.codec_context.width * stream.codec_context.height, limits.pixels)
    return known


def _decode_first_frames(source: InputContainer, streams: list[av.VideoStream | av.AudioStream]) -> dict[int, _Sample]:
    """Decode the first frames of each stream, reading no more of the file than is sensible."""
    samples = {stream.index: _Sample() for stream in streams}
    missing = {stream.index: _PICTURES_LOOKED_AT if stream.type == "video" else 1 for stream in streams}
    for stream in streams:
        stream.codec_context.thread_count = 1  # the first frames come at once
    read = 0
    found = packets(source, *streams)
    for _ in range(_MOST_PACKETS):
        try:
            packet = next(found, None)
        except MemoryError:
            raise
        except av.FFmpegError:  # a broken place
            break
        if packet is None or not missing or read > _MOST_BYTES:
            break
        read += packet.size
        index = packet.stream.index  # `packet.stream_index` is 0 in the packets that flush decoders at the end
        if index in missing:
            samples[index].add(packet)
            if len(samples[index]) >= missing[index]:
                del missing[index]
    return samples


def _read_on(
    source: InputContainer, streams: list[av.VideoStream | av.AudioStream], samples: dict[int, _Sample]
) -> None:
    """Go on through the file for streams of which nothing came so far: some recorders write sound behind the film."""
    silent = [stream for stream in streams if not samples[stream.index] and not samples[stream.index].problem]
    for stream in source.streams:
        if stream not in silent:
            stream.discard = Discard.all
    for stream in silent:
        try:
            for packet in itertools.islice(packets(source, stream), _LATE_PACKETS):
                samples[stream.index].add(packet)
                if samples[stream.index]:
                    break
        except MemoryError:
            raise
        except av.FFmpegError:  # a broken place
            return


def _unusable(source: InputContainer, usable: list[int], timings: dict[int, Timing]) -> Iterator[str]:
    for stream in (*source.streams.video, *source.streams.audio):
        if stream.index not in usable and not _is_cover_art(stream):
            kind = "picture" if isinstance(stream, av.VideoStream) else "sound"
            problem = "is hours away from all the rest" if stream.index in timings else "cannot be decoded"
            yield f"stream {stream.index} ({kind}, {_codec(stream)}) {problem}"
    yield from left_out(timings.values())


def _video(stream: av.VideoStream, sample: _Sample, timing: Timing) -> VideoStream:
    frames = sample.pictures
    frame = frames[0]
    rotation, mirrored = orientation(frame)
    colours = colour(frame)
    interlaced = any(frame.interlaced_frame for frame in frames)
    rate = _frame_rate(stream, timing, interlaced=interlaced)
    start = _start(sample.begin if frame.pts is None else frame.pts, stream, timing)
    pixel_format = frame.format
    return VideoStream(
        index=stream.index,
        codec=_codec(stream),
        profile=stream.profile,
        width=frame.width,
        height=frame.height,
        sample_aspect_ratio=pixel_shape(stream),
        rotation=rotation,
        mirrored=mirrored,
        frame_rate=rate,
        variable_frame_rate=timing.is_variable(),
        pixel_format=pixel_format.name,
        bit_depth=max(component.bits for component in pixel_format.components),
        color_primaries=colours.primaries,
        color_transfer=colours.transfer,
        color_space=colours.space,
        color_range=colours.range,
        hdr=colours.hdr,
        hdr_metadata=colours.metadata,
        interlaced=interlaced,
        start=start,
        missed=max(Fraction(0), start - (start if timing.first is None else timing.first)),
        duration=_duration(start, timing, last=min(1 / rate, _LONGEST_LAST_PICTURE)),
        bit_rate=stream.bit_rate or None,
    )


def _with_copying(file: Source, source: InputContainer, stream: av.VideoStream, facts: VideoStream) -> VideoStream:
    """Add whether the packets can be used as they are."""
    found = copyable(file, source.format.name, facts, stream.id)
    return facts.model_copy(update={"uncopyable": found} if isinstance(found, str) else {"copyable": found})


def _audio(stream: av.AudioStream, frame: av.AudioFrame, timing: Timing) -> AudioStream:
    start = _start(frame.pts, stream, timing)
    return AudioStream(
        index=stream.index,
        codec=_codec(stream),
        sample_rate=frame.sample_rate,
        channels=frame.layout.nb_channels,
        layout=_layout(frame),
        language=_language(stream),
        title=_title(stream),
        default=bool(stream.disposition & Disposition.default),
        start=start,
        duration=_duration(start, timing, last=Fraction(frame.samples, frame.sample_rate)),
        bit_rate=stream.bit_rate or None,
    )


def _subtitles(stream: Stream) -> SubtitleStream:
    return SubtitleStream(
        index=stream.index,
        codec=_codec(stream),
        language=_language(stream),
        title=_title(stream),
        forced=bool(stream.disposition & Disposition.forced),
    )


def _language(stream: Stream) -> str | None:
    return None if stream.language in (None, "", "und") else stream.language[:_MOST_TAG]


def _title(stream: Stream) -> str | None:
    return stream.metadata.get("title", "").strip()[:_MOST_TITLE] or None


def _layout(frame: av.AudioFrame) -> str:
    """Return the name of the channel layout; a file that gives only a number of channels means the usual layout."""
    name, channels = frame.layout.name, frame.layout.nb_channels
    return _USUAL_LAYOUTS.get(channels, name) if name == f"{channels} channels" else name


def _until_the_movie_ends(
    file: Source, video: tuple[VideoStream, ...], audio: tuple[AudioStream, ...]
) -> tuple[AudioStream, ...]:
    """Leave out sound from when the header says that the movie is over, where the pictures keep to that.

    Edit lists that let sound begin late push its end out of the movie (ISO/IEC 14496-12 section 8.2.2).
    """
    with open_bytes(file) as movie:
        said = movie_duration(read_movie_box(movie, size_of(file)))
    last_picture = max(_end(stream) for stream in video)
    begin = min([*(stream.start for stream in video), *(stream.start for stream in audio)])
    if said is None or abs(begin + said - last_picture) > _LONGEST_LAST_PICTURE:  # it tells of more, or of too little
        return audio
    end = max(last_picture, begin + said)
    return tuple(
        stream.model_copy(update={"duration": end - stream.start}) if stream.start < end < _end(stream) else stream
        for stream in audio
    )


def _start(pts: int | None, stream: Stream, timing: Timing) -> Fraction:
    """Return when the first frame is shown, in doubt when the first packet is."""
    if timing.within is not None and (pts is None or not timing.within.holds(float(pts * timing.tick))):
        return timing.first or Fraction(0)
    if pts is not None:
        return pts * timing.tick
    if stream.start_time is not None:
        return stream.start_time * timing.tick
    return timing.first or Fraction(0)


def _duration(start: Fraction, timing: Timing, *, last: Fraction) -> Fraction:
    """Return the seconds to the end of the last packet, which lasts as long as a frame if it does not say."""
    if timing.end is None:
        return last
    end = timing.end
    if timing.ends_with_a_start():
        end += last
    return max(last, end - start)


def _frame_rate(stream: av.VideoStream, timing: Timing, *, interlaced: bool) -> Fraction:
    """Return the rate of the headers that agrees with the packets, or else that of the packets."""
    claims = [rate for rate in (stream.guessed_rate, stream.base_rate, stream.average_rate) if rate]
    measured = timing.rate()
    if measured is None:
        return min(claims, default=Fraction(25))
    if interlaced and claims and abs(measured - 2 * claims[0]) <= measured * _TRUSTED_RATE:
        measured /= 2  # a packet holds a field, half a frame
    if not timing.is_variable():
        for claim in claims:
            if abs(claim - measured) <= measured * _TRUSTED_RATE:
                return claim
    return max(measured.limit_denominator(1001), _SLOWEST)


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name if _has_decoder(stream) else "unknown codec"


def _has_decoder(stream: Stream) -> bool:
    return cast("CodecContext | None", stream.codec_context) is not None  # PyAV's annotation leaves the None out


def _end(stream: VideoStream | AudioStream) -> Fraction:
    return stream.start + (stream.duration or 0)


def _is_cover_art(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _check(name: str, quantity: str, value: float, limit: float) -> None:
    if value > limit:
        raise MediaTooLargeError(
            f"{name!r} has {value:g} {quantity}; at most {limit:g} are accepted",
            quantity=quantity,
            value=value,
            limit=limit,
        )
