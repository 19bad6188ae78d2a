"""Ogg recordings behind each other in one file (RFC 3533 section 4, "chaining"), as captures of radio stations are.

FFmpeg shows the first one, or shows the others over it, because each has a clock that begins at zero.
"""

from collections.abc import Iterator

from mamkit.transcode.reading.source import Source, open_bytes, size_of

__all__ = ["is_chained"]

_CAPTURE = b"OggS\0"  # and the version: section 6
_FIRST = 2  # flag of the first page of a stream
_SERIAL = slice(14, 18)
_HEADER = 27  # bytes of a page before its segment table
_LARGEST_PAGE = 65_307  # bytes
_READ_THROUGH = 64 << 20  # bytes
_BLOCK = 1 << 20


def is_chained(source: Source) -> bool:
    """Return whether a file is several Ogg recordings behind each other; False for any file that is no Ogg.

    In a file of up to 64 MB streams begin only where the first ones do. Of a larger one the end is looked at: it
    belongs to streams that the beginning names.

    Args:
        source: The file.
    """
    with open_bytes(source) as file:
        if file.read(len(_CAPTURE)) != _CAPTURE:
            return False
    size = size_of(source)
    serials: set[bytes] = set()
    begun = False
    for header in _pages(source, 0, min(size, _READ_THROUGH)):
        if not header[5] & _FIRST:
            if size > _READ_THROUGH:
                break
            begun = True
        elif begun:
            return True
        serials.add(header[_SERIAL])
    if size <= _READ_THROUGH:
        return False
    return any(header[_SERIAL] not in serials for header in _pages(source, max(0, size - 2 * _LARGEST_PAGE), size))


def _pages(source: Source, start: int, stop: int) -> Iterator[bytes]:
    """Yield the headers of the pages that begin in a range of a file."""
    with open_bytes(source) as file:
        while start < stop:
            file.seek(start)
            data = file.read(min(_BLOCK, stop - start) + _HEADER - 1)
            at = data.find(_CAPTURE)
            while 0 <= at <= len(data) - _HEADER:
                yield data[at : at + _HEADER]
                at = data.find(_CAPTURE, at + _HEADER)
            start += _BLOCK
