"""The one place where a source is opened: local regular files only, and only by demuxers of real media.

FFmpeg would otherwise follow whatever a file says it is: playlists, concat scripts, SDP sessions and DASH manifests
name other files and hosts, and the `tty` demuxer makes a film of any text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import (
    EmptyFileError,
    MediaEncryptedError,
    MediaUnreadableError,
    MediaUnsupportedError,
    NoMediaError,
    StillImageError,
)
from mamkit.transcode.reading import _adts
from mamkit.transcode.reading._animation import is_animated
from mamkit.transcode.reading._encryption import is_encrypted
from mamkit.transcode.reading._flac import with_true_rate
from mamkit.transcode.reading._order import in_order
from mamkit.transcode.reading._signatures import SIGNATURE_BYTES, image_format, looks_like_media, looks_like_still_image
from mamkit.transcode.reading.source import Source, name_of, open_bytes, size_of

try:
    import av
    from av.container import InputContainer
    from av.stream import Stream
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["MAX_IMAGE_PIXELS", "MAX_PIXELS", "describe", "open_ahead", "open_image", "open_source", "packets"]

MAX_PIXELS = 8192 * 4608
"""Pixels of the largest picture that a decoder makes room for: 8K at 16:9."""

MAX_IMAGE_PIXELS = 1 << 26
"""Pixels of the largest still image: what the cameras of telephones make has 50 million."""

# FFmpeg's names. None of these opens a second file or a host because of what it reads. Image demuxers are left out
# (`image2` takes a `%d` in a name for a sequence), and so are all that read text.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "m4v",
    "h264",
    "hevc",
    "obu",
    "ivf",
    "avi",
    "flv",
    "asf",
    "ogg",
    "mxf",
    "gxf",
    "dv",
    "nut",
    "gif",
    "apng",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "dts",
    "flac",
    "wav",
    "w64",
    "aiff",
    "au",
    "caf",
    "amr",
    "wv",
    "tta",
    "rm",
    "wtv",
    "loas",
    "truehd",
    "mlp",
    "ape",
    "tak",
    "mpc",
    "mpc8",
    "dsf",
    "voc",
)

# AVFMT_FLAG_GENPTS of libavformat/avformat.h, which PyAV sets: the guesses are wrong where pictures have decode times
# only, and B-frames among them (AVI). Without it such packets have no presentation time, and who decodes sorts it out.
_GUESS_TIMES = 1

_HEIF = {b"avif": "avif"}  # what images of this brand are called; all others are like those of telephones

_OPTIONS = {
    "format_whitelist": ",".join(_DEMUXERS),
    "protocol_whitelist": "file",
    "enable_drefs": "0",  # QuickTime's references to other files
    "use_absolute_path": "0",
    "probesize": str(16 << 20),  # bytes; within FFmpeg's own 5 MB some transport streams have no sound yet
    "analyzeduration": str(10_000_000),  # microseconds
}

_ahead: dict[Source, InputContainer] = {}  # of one source, the one that this process has to do with


def open_ahead(source: Source) -> None:
    """Open a media file for whoever opens it next in this process, while that is being thought about.

    Of a film of an hour it takes longer to read the index than to decode the first picture.

    Args:
        source: As for `open_source`, whose errors it raises.
    """
    for container in _ahead.values():
        container.close()
    _ahead.clear()
    _ahead[source] = open_source(source)


def open_source(source: Source) -> InputContainer:
    """Open a media file for reading; the caller closes it, best with `with`.

    The file is opened under its literal name: `concat:…`, `http://…` or `frame%03d.png` are names of local files, and
    nothing that the file says makes FFmpeg open another one.

    Args:
        source: A regular file, or what ranges are read from.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        EmptyFileError: The file has no bytes.
        MediaEncryptedError: A track is encrypted.
        StillImageError: The file is a still image.
        MediaUnsupportedError: The file is of a kind that is not accepted.
        MediaUnreadableError: The file begins like media, and cannot be opened: it is cut short or broken.
        NoMediaError: The file is not media.
    """
    if source in _ahead:
        return _ahead.pop(source)
    name = name_of(source)
    with open_bytes(source) as file:
        head = file.read(SIGNATURE_BYTES)
        if not head:
            raise EmptyFileError(f"{name!r} is empty")
        if looks_like_still_image(head) and not is_animated(file):
            kind = image_format(head) or ""
            kind = _HEIF.get(head[8:12], "heic") if kind == "mov" else kind.removesuffix("_pipe")
            raise StillImageError(f"{name!r} is a still image, not a film", format=kind)
        if is_encrypted(file, size_of(source)):
            raise MediaEncryptedError(f"{name!r} is encrypted; upload a copy without protection")
    try:
        container = av.open(
            _handle(with_true_rate(source, head)),
            "r",
            options={"max_pixels": str(MAX_PIXELS)},
            container_options=_OPTIONS,
            metadata_errors="replace",  # tags in a forgotten encoding do not make a film unreadable
        )
    except MemoryError:
        raise  # about this process, not about the file
    except av.ArgumentError as error:  # what FFmpeg says of a demuxer that is not on the list
        raise MediaUnsupportedError(
            f"{name!r} is not of a media format that is accepted", detail=describe(error)
        ) from error
    except av.FFmpegError as error:
        if looks_like_media(head):
            raise MediaUnreadableError(
                f"{name!r} is cut short or broken, and cannot be opened", detail=describe(error)
            ) from error
        raise NoMediaError(f"{name!r} is not a media file", detail=describe(error)) from error
    container.flags &= ~_GUESS_TIMES
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return container


def open_image(source: Source) -> InputContainer:
    """Open a still image for reading, by the one demuxer of its kind; the caller closes it.

    Args:
        source: A regular file, or what ranges are read from.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        EmptyFileError: The file has no bytes.
        MediaUnsupportedError: The file is no still image of a kind that is accepted.
        MediaUnreadableError: The file begins like an image, and is cut short or broken.
    """
    name = name_of(source)
    with open_bytes(source) as file:
        head = file.read(SIGNATURE_BYTES)
    if not head:
        raise EmptyFileError(f"{name!r} is empty")
    kind = image_format(head)
    if kind is None:
        raise MediaUnsupportedError(f"{name!r} is not a still image of a kind that is accepted")
    options = {"format_whitelist": f"{kind},{_DEMUXERS[0]}", "protocol_whitelist": "file", "enable_drefs": "0"}
    try:
        container = av.open(
            _handle(source),
            "r",
            format=kind,
            options={"max_pixels": str(MAX_IMAGE_PIXELS)},
            container_options=options,
            metadata_errors="replace",
        )
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise MediaUnreadableError(f"{name!r} is cut short or broken", detail=describe(error)) from error
    for stream in container.streams.video:
        stream.codec_context.options = {"max_pixels": str(MAX_IMAGE_PIXELS)}
    return container


def packets(container: InputContainer, *streams: Stream) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of some streams from where the container stands, and an empty one for each at the end.

    Lone timestamps that cannot be meant are mended (`in_order`). Sound in ADTS gets its times here (`counted`), and has
    to stand at its beginning.

    Args:
        container: An open source.
        streams: Which of its streams; all if none is named.

    Raises:
        av.FFmpegError: There is a broken place.
    """
    try:
        yield from in_order(
            _adts.counted(container) if container.format.name == _adts.NAME else container.demux(*streams)
        )
    except IndexError:
        # Some containers have streams that show up in the middle. PyAV 18.1 has none of their packets, but may try to
        # empty their decoders at the end, and does not find them.
        return


def _handle(source: Source) -> str | BinaryIO:
    """Return what PyAV opens: a path that is no other protocol's, or something to read from."""
    return f"file:{Path(source).absolute()}" if isinstance(source, (str, Path)) else open_bytes(source)


def describe(error: av.FFmpegError) -> str:
    """Return what FFmpeg calls an error; what it logged about it goes to standard error, for the parent to read."""
    return error.strerror or type(error).__name__
