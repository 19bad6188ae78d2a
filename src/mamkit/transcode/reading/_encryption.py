"""The headers of an MP4 or QuickTime file, and whether it is encrypted: FFmpeg fails on some without saying why."""

import re
from typing import BinaryIO

__all__ = ["is_encrypted", "read_box", "read_movie_box"]

_MOST_BOXES = 1024  # at the top level, before the search is given up; a fragmented film has its `moov` first
_MOST_HEADER_BYTES = 32 << 20

# The first entry of a sample description box (ISO/IEC 14496-12 section 8.5.2): version and flags, count, size, then the
# format, which is replaced in encrypted tracks (section 8.12; `drms` and `drmi` are those of the iTunes Store).
_ENCRYPTED_TRACK = re.compile(rb"stsd.{12}(?:encv|enca|drms|drmi)", re.DOTALL)


def is_encrypted(file: BinaryIO, size: int) -> bool:
    """Return whether a track of an MP4 or QuickTime file is encrypted; False for any other file.

    Args:
        file: The file, open.
        size: Bytes of the file.

    Raises:
        OSError: The file cannot be read.
    """
    movie = read_movie_box(file, size)
    return _ENCRYPTED_TRACK.search(movie) is not None


def read_movie_box(file: BinaryIO, size: int) -> bytes:
    """Return the body of the `moov` box, or nothing where there is none."""
    return read_box(file, size, b"moov")


def read_box(file: BinaryIO, size: int, name: bytes) -> bytes:
    """Return the body of a box at the top level, or nothing where there is none (ISO/IEC 14496-12 section 4.2).

    Args:
        file: The file, open.
        size: Bytes of the file.
        name: Of the box, four bytes.
    """
    position = 0
    for _ in range(_MOST_BOXES):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            break
        length = int.from_bytes(header[:4])
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(header[8:16])
        if header[4:8] == name:
            file.seek(position + 8)
            return file.read(min(max(0, length - 8), _MOST_HEADER_BYTES))
        if length < 8 or position + length > size:
            break
        position += length
    return b""
