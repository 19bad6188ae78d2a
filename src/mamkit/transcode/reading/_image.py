"""A still image: how large it is as it is shown, which way up, and its picture, put together where it is of several."""

from collections.abc import Sequence

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import MediaTooLargeError, MediaUnreadableError, MediaUnsupportedError
from mamkit.transcode.reading._heif import Mosaic, is_heif, read_mosaic
from mamkit.transcode.reading._input import MAX_IMAGE_PIXELS, describe, open_image, packets
from mamkit.transcode.reading._orientation import Orientation, exif_orientation
from mamkit.transcode.reading._signatures import SIGNATURE_BYTES
from mamkit.transcode.reading.source import Source, name_of, open_bytes, size_of

try:
    import av
    from av.container import InputContainer
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["image_picture", "shown_size", "upright"]

_HEAD = 1 << 17  # bytes in which an Exif block is looked for; it is at most half of that


def shown_size(source: Source) -> tuple[int, int]:
    """Return width and height of a still image as it is shown, pixels.

    Raises:
        MediaError: As for `image_picture`.
    """
    mosaic = _mosaic(source)
    with open_image(source) as container:
        context = _streams(container, mosaic, name_of(source))[0].codec_context
        width, height = mosaic.size if mosaic and mosaic.size else (context.width, context.height)
        return upright(source).before(width, height)


def upright(source: Source) -> Orientation:
    """Return which way up a picture is as the boxes of HEIF say, or the Exif block of a JPEG file.

    What stands beside decoded pictures is not looked at: PyAV 18.1 has no names for some of what FFmpeg puts beside
    images, and crashes on it.

    Raises:
        MediaUnsupportedError: As for `image_picture`.
    """
    mosaic = _mosaic(source)
    if mosaic is not None:
        return mosaic.turn
    with open_bytes(source) as file:
        return exif_orientation(file.read(_HEAD)) or Orientation(0, mirrored=False)


def image_picture(source: Source) -> av.VideoFrame:
    """Return the picture of a still image, not turned yet.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
        EmptyFileError: The file has no bytes.
        MediaUnsupportedError: The file is no still image of a kind that is accepted, or put together in another way
            than of pictures side by side.
        MediaTooLargeError: There are too many pixels.
        MediaUnreadableError: The image is cut short or broken.
    """
    name, mosaic = name_of(source), _mosaic(source)
    with open_image(source) as container:
        streams = _streams(container, mosaic, name)
        wanted = [stream.index for stream in streams]
        decoders = _decoders(streams)
        pictures: dict[int, av.VideoFrame] = {}
        detail = ""
        try:
            for packet in packets(container, *streams):
                index = packet.stream.index
                if packet.size and index not in pictures:
                    pictures.update((index, each) for each in _decoded(packet, decoders)[:1])
                if len(pictures) == len(wanted):
                    break
        except MemoryError:
            raise
        except av.FFmpegError as error:
            detail = describe(error)
    if len(pictures) < len(wanted):
        raise MediaUnreadableError(f"{name!r} is an image that cannot be decoded", detail=detail)
    found = [pictures[index] for index in wanted]
    if mosaic is None or mosaic.size is None:
        return found[0]
    return _side_by_side(found, mosaic.columns, mosaic.size, name)


def _mosaic(source: Source) -> Mosaic | None:
    """Return what an image of the HEIF family is made of; None for any other."""
    with open_bytes(source) as file:
        if not is_heif(file.read(SIGNATURE_BYTES)):
            return None
        found = read_mosaic(file, size_of(source))
    name = name_of(source)
    if found is None:
        raise MediaUnsupportedError(f"{name!r} is broken, or an image of other things than pictures side by side")
    pixels = found.size[0] * found.size[1] if found.size else 0
    if pixels > MAX_IMAGE_PIXELS:
        raise MediaTooLargeError(
            f"{name!r} has {pixels} pixels; at most {MAX_IMAGE_PIXELS} are accepted",
            quantity="pixels",
            value=pixels,
            limit=MAX_IMAGE_PIXELS,
        )
    return found


def _streams(container: InputContainer, mosaic: Mosaic | None, name: str) -> list[av.VideoStream]:
    """Return the streams that an image is made of, in order: FFmpeg has one for each picture, with its number."""
    if mosaic is None:
        found = list(container.streams.video)[:1]
    else:
        by_number = {stream.id: stream for stream in container.streams.video}
        found = [by_number[item] for item in mosaic.items if item in by_number]
    if len(found) != (len(mosaic.items) if mosaic else 1) or not found:
        raise MediaUnreadableError(f"{name!r} is an image of which pictures are missing")
    return found


def _decoders(streams: Sequence[av.VideoStream]) -> dict[bytes, av.VideoCodecContext]:
    """Return a decoder for each kind of headers: one a picture would take room for hundreds."""
    decoders: dict[bytes, av.VideoCodecContext] = {}
    for stream in streams:
        context = decoders.setdefault(bytes(stream.codec_context.extradata or b""), stream.codec_context)
        context.thread_count = 1
    return decoders


def _decoded(packet: "av.Packet[av.VideoStream]", decoders: dict[bytes, av.VideoCodecContext]) -> list[av.VideoFrame]:
    """Return what becomes of a packet alone."""
    context = decoders[bytes(packet.stream.codec_context.extradata or b"")]
    found = [*context.decode(packet), *context.decode(None)]
    context.flush_buffers()
    for picture in found:
        picture.pts = 0
    return found


def _side_by_side(pictures: Sequence[av.VideoFrame], columns: int, size: tuple[int, int], name: str) -> av.VideoFrame:
    """Put pictures that are alike side by side, row by row, and leave out what lies beyond a size."""
    first = pictures[0]
    width, height = size
    alike = {(each.width, each.height, each.format.name) for each in pictures}
    enough = first.width * columns >= width > 0 and first.height * (len(pictures) // columns) >= height > 0
    if len(alike) > 1 or not enough:
        raise MediaUnreadableError(f"{name!r} is an image whose pictures do not go together")
    sheet = av.VideoFrame(width, height, first.format.name)
    sheet.colorspace, sheet.color_range = first.colorspace, first.color_range
    sheet.color_trc, sheet.color_primaries = first.color_trc, first.color_primaries
    sheet.pts = 0
    sample = 2 if first.format.components[0].bits > 8 else 1  # bytes
    for number, plane in enumerate(sheet.planes):
        stride, pixels = plane.line_size, bytearray(plane.buffer_size)
        for place, picture in enumerate(pictures):
            tile = picture.planes[number]
            lines, left, top = memoryview(tile), place % columns * tile.width, place // columns * tile.height
            row = sample * min(tile.width, plane.width - left)
            for y in range(min(tile.height, plane.height - top) if row > 0 else 0):
                at = (top + y) * stride + sample * left
                pixels[at : at + row] = lines[y * tile.line_size : y * tile.line_size + row]
        plane.update(bytes(pixels))
    return sheet
