"""How an image of the HEIF family, as telephones and browsers write it, is put together from pictures.

Sections are those of ISO/IEC 23008-12:2022 where they begin with 6, and of ISO/IEC 14496-12:2022 where with 8.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from mamkit.transcode.reading._encryption import read_box
from mamkit.transcode.reading._orientation import Orientation
from mamkit.transcode.reading._samples import boxes

__all__ = ["MOST_TILES", "Mosaic", "is_heif", "read_mosaic"]

MOST_TILES = 512
"""Pictures of an image at most: of 512 pixels each way, 256 have as many pixels as are accepted."""

_MOST_BYTES = 1 << 20  # of boxes that tell of an image: fifty pictures take five thousand
_PICTURES = {b"hvc1", b"av01"}
_QUARTERS: tuple[Literal[0], Literal[90], Literal[180], Literal[270]] = (0, 90, 180, 270)


class Mosaic(NamedTuple):
    """The pictures of an image, row by row."""

    items: tuple[int, ...]
    """Their numbers in the file."""
    columns: int
    size: tuple[int, int] | None
    """Width and height of the image, pixels: what the pictures have beyond that is not shown. None: all of one."""
    turn: Orientation
    """What makes it upright."""


def is_heif(head: bytes) -> bool:
    """Return whether a file that begins with `head` has the boxes of HEIF."""
    return head[4:8] == b"ftyp"


def read_mosaic(file: BinaryIO, size: int) -> Mosaic | None:
    """Return what the main image of a file is made of; None if of something else than pictures side by side.

    Args:
        file: The file, open.
        size: Bytes of the file.
    """
    try:
        found = read_box(file, size, b"meta")
        if len(found) > _MOST_BYTES:
            return None
        meta = dict(boxes(found[4:]))
        main = _number(meta[b"pitm"], 4, wide=meta[b"pitm"][0] > 0)
        kinds = dict(_kinds(meta[b"iinf"]))
        turn = _turn(meta[b"iprp"], main)
        if kinds[main] in _PICTURES:
            return Mosaic((main,), 1, None, turn)
        if kinds[main] != b"grid":
            return None
        rows, columns, shown = _grid(_data(file, meta, main))
        items = tuple(_parts(meta[b"iref"], main))
        whole = len(items) == rows * columns <= MOST_TILES and all(kinds[item] in _PICTURES for item in items)
        return Mosaic(items, columns, shown, turn) if whole else None
    except (struct.error, LookupError, ValueError):
        return None


def _number(box: bytes, at: int, *, wide: bool) -> int:
    """Read the number of an item, which has 16 bits or 32."""
    (number,) = struct.unpack_from(">I" if wide else ">H", box, at)
    return int(number)


def _kinds(box: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and kinds of all items (section 8.11.6)."""
    for name, entry in boxes(box[6 if box[0] == 0 else 8 :]):
        if name == b"infe" and entry[0] >= 2:
            wide = entry[0] > 2
            at = 10 if wide else 8  # behind the number, and that of the protection
            yield _number(entry, 4, wide=wide), entry[at : at + 4]


def _parts(box: bytes, item: int) -> Iterator[int]:
    """Yield the items that an item is derived from (section 8.11.12)."""
    wide = box[0] > 0
    step = 4 if wide else 2
    for name, entry in boxes(box[4:]):
        if name == b"dimg" and _number(entry, 0, wide=wide) == item:
            (count,) = struct.unpack_from(">H", entry, step)
            for n in range(count):
                yield _number(entry, step + 2 + n * step, wide=wide)


def _grid(data: bytes) -> tuple[int, int, tuple[int, int]]:
    """Return rows, columns and the size of what is shown (section 6.6.2.3)."""
    _, flags, rows, columns = struct.unpack_from(">4B", data)
    width, height = struct.unpack_from(">II" if flags & 1 else ">HH", data, 4)
    return rows + 1, columns + 1, (width, height)


def _data(file: BinaryIO, meta: dict[bytes, bytes], item: int) -> bytes:
    """Return the bytes of a small item (section 8.11.3)."""
    box = meta[b"iloc"]
    version, sizes = box[0], struct.unpack_from(">2B", box, 4)
    offset_size, length_size, base_size, index_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
    wide = version > 1
    at, count = (10 if wide else 8), _number(box, 6, wide=wide)
    for _ in range(count):
        number = _number(box, at, wide=wide)
        at += 4 if wide else 2
        method = box[at + 1] & 15 if version else 0
        at += (2 if version else 0) + 2  # and which file it is in, where only this one is looked at
        base = int.from_bytes(box[at : at + base_size])
        at += base_size
        (extents,) = struct.unpack_from(">H", box, at)
        at += 2
        if number == item:
            at += index_size if version else 0
            start = base + int.from_bytes(box[at : at + offset_size])
            length = min(int.from_bytes(box[at + offset_size : at + offset_size + length_size]), 12)
            if method == 1:
                return meta[b"idat"][start : start + length]
            file.seek(start)
            return file.read(length)
        at += extents * ((index_size if version else 0) + offset_size + length_size)
    raise ValueError(f"item {item} is nowhere")


def _turn(box: bytes, item: int) -> Orientation:
    """Return how an item is turned, and then flipped (sections 6.5.10 and 6.5.12)."""
    parts = dict(boxes(box))
    properties = list(boxes(parts[b"ipco"]))
    rotation, mirrored = 0, False
    for index in _properties(parts[b"ipma"], item):
        name, data = properties[index - 1] if 0 < index <= len(properties) else (b"", b"")
        if name == b"irot":
            quarters = data[0] & 3  # counterclockwise; what is flipped before is turned the other way for it
            rotation += 90 * (quarters if mirrored else -quarters)
        elif name == b"imir":
            rotation += 180 * (data[0] & 1)  # top to bottom is that, and then left to right
            mirrored = not mirrored
    return Orientation(_QUARTERS[rotation // 90 % 4], mirrored)


def _properties(box: bytes, item: int) -> Iterator[int]:
    """Yield the properties of an item by their numbers, counted from 1 (section 8.11.14)."""
    wide, long = box[0] > 0, bool(box[3] & 1)
    (count,) = struct.unpack_from(">I", box, 4)
    at = 8
    for _ in range(min(count, len(box))):
        number = _number(box, at, wide=wide)
        at += 4 if wide else 2
        associations = box[at]
        at += 1
        if number == item:
            for n in range(associations):
                yield _number(box, at + 2 * n, wide=False) & 0x7FFF if long else box[at + n] & 0x7F
            return
        at += associations * (2 if long else 1)
