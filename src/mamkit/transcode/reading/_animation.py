"""Whether an image of a kind that may move does."""

from typing import BinaryIO

__all__ = ["is_animated"]

_PNG, _GIF = b"\x89PNG\r\n\x1a\n", b"GIF8"
_MOST_BLOCKS = 1 << 16  # of a GIF, before the second picture: 16 MB
_MOST_CHUNKS = 1_000  # of a PNG, before its first picture
_EXTENSION, _PICTURE = 0x21, 0x2C  # GIF89a sections 20 and 24 to 26


def is_animated(file: BinaryIO) -> bool:
    """Return whether a file is a GIF of several pictures, or an APNG; nothing is decoded.

    Args:
        file: The file, open.
    """
    file.seek(0)
    head = file.read(13)
    if head.startswith(_GIF) and len(head) == 13:
        return _pictures_of_gif(file, head[10]) > 1
    return head.startswith(_PNG) and _is_apng(file)


def _pictures_of_gif(file: BinaryIO, flags: int) -> int:
    """Return how many pictures a GIF has; 2 if there are more."""
    _skip_colours(file, flags)
    pictures = blocks = 0
    while pictures < 2 and blocks < _MOST_BLOCKS:
        kind = file.read(1)
        if kind == bytes([_PICTURE]):
            facts = file.read(9)
            if len(facts) < 9:
                break
            pictures += 1
            _skip_colours(file, facts[8])
            file.seek(1, 1)  # size of the codes
        elif kind == bytes([_EXTENSION]):
            file.seek(1, 1)  # its label
        else:
            break
        while (size := file.read(1)) and size[0] and blocks < _MOST_BLOCKS:
            file.seek(size[0], 1)
            blocks += 1
        blocks += 1
    return pictures


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:  # GIF89a sections 18 and 20: there is a table of colours, of so many bits
        file.seek(3 << (flags & 7) + 1, 1)


def _is_apng(file: BinaryIO) -> bool:
    """Return whether a PNG moves: then a chunk says so before the picture (PNG specification, section 11.3.6.1)."""
    at = len(_PNG)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] in {b"IDAT", b"IEND"}:
            return False
        if head[4:] == b"acTL":
            return int.from_bytes(file.read(4)) > 1
        at += 12 + int.from_bytes(head[:4])
    return False
