"""Keys as paths of a file system, one to one, so that plain keys can be read off the disk or served by a web server.

The name of a *file* has a dot in it and the name of a *folder* has none, so that the keys "a" and "a/b" never collide.
Lower-case ASCII letters, digits, "-" and "_" stand for themselves, and so do dots in the last segment of a key, but for
one at its start. Every other byte is written `%xx`: capitals too, so that keys that differ in case stay apart where the
file system ignores case. A last segment without a dot gets the ending ".%". A segment that is too long for one name
goes through nested folders whose names end with "%". (A plain "%" is always followed by two hexadecimal digits.)
"""

import re
from pathlib import PurePosixPath

__all__ = ["FOLDER_NAME", "folder_path", "key_path", "name_bytes"]

MAX_NAME = 200  # bytes; file systems take 255, and the sidecar appends up to 51

FOLDER_NAME = re.compile(r"(?:[a-z0-9_-]|%[0-9a-f]{2})+%?")
"""What the name of a folder that holds objects looks like."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
_IN_FOLDER = tuple(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in range(256))
_IN_FILE = tuple("." if byte == ord(".") else written for byte, written in enumerate(_IN_FOLDER))


def key_path(key: str) -> PurePosixPath:
    """Return the path of a key's file, relative to the root. The key has been checked."""
    folder, slash, name = key.rpartition("/")
    return folder_path(folder + slash).joinpath(*_file_names(name.encode()))


def folder_path(prefix: str) -> PurePosixPath:
    """Return the folder of all keys that start with `prefix`, which is empty or ends with a slash."""
    segments = prefix.split("/")[:-1]
    return PurePosixPath(*(name for segment in segments for name in _folder_names(segment.encode())))


def name_bytes(name: str) -> bytes:
    """Return the piece of a key that the name of a file or a folder stands for."""
    plain = name.removesuffix("%").removesuffix(".") if name.endswith(".%") else name.removesuffix("%")
    return re.sub(rb"%([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), plain.encode())


def _folder_names(segment: bytes) -> list[str]:
    names = _split([_IN_FOLDER[byte] for byte in segment])
    return [f"{name}%" for name in names[:-1]] + names[-1:]


def _file_names(segment: bytes) -> list[str]:
    name = _IN_FOLDER[segment[0]] + "".join(_IN_FILE[byte] for byte in segment[1:])
    if "." not in name:
        name += ".%"
    if len(name) <= MAX_NAME:
        return [name]
    # All of its dots are escaped, since all but the last of these names are folders.
    names = _split([_IN_FOLDER[byte] for byte in segment])
    return [f"{name}%" for name in names[:-1]] + [f"{names[-1]}.%"]


def _split(written: list[str]) -> list[str]:
    names = [""]
    for piece in written:
        if len(names[-1]) + len(piece) > MAX_NAME - 2:  # leaves room for ".%"
            names.append("")
        names[-1] += piece
    return names
