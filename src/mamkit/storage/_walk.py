"""The objects below a folder in the order of their keys, which is not the order of a walk: "a-b" < "a/b" < "a0"."""

import os
from collections.abc import Iterator
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path

from mamkit.storage._paths import FOLDER_NAME, folder_path, key_path, name_bytes
from mamkit.storage.errors import InvalidKeyError
from mamkit.storage.keys import check_key

__all__ = ["walk"]


def walk(root: Path, prefix: str, after: str) -> Iterator[str]:
    """Yield the keys that start with `prefix` and sort after `after`, in order of their UTF-8 bytes.

    The most urgent entry comes first off a heap: a file is a key; a folder, whose place is that of the smallest key
    that it may hold, is replaced by what is in it. So the heap holds the entries of a few folders at a time. Files that
    no key stands for are passed over.
    """
    wanted, low = prefix.encode(), after.encode(errors="surrogatepass")
    start = prefix[: prefix.rfind("/") + 1]
    heap = [(start.encode(), True, str(root / folder_path(start)))]
    while heap:
        key, is_folder, path = heappop(heap)
        if not is_folder:
            if (found := _canonical(root, key, path)) is not None:
                yield found
            continue
        for inside, inside_is_folder, inside_path in _entries(key, path):
            if inside_is_folder:
                may_match = inside.startswith(wanted) or wanted.startswith(inside)
                may_match = may_match and (inside > low or low.startswith(inside))
            else:
                may_match = inside.startswith(wanted) and inside > low
            if may_match:
                heappush(heap, (inside, inside_is_folder, inside_path))


def _entries(start: bytes, folder: str) -> Iterator[tuple[bytes, bool, str]]:
    """Yield what is in a folder: the key, or the start of all keys in it; whether it is a folder; its path."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            piece = start + name_bytes(entry.name)
            if entry.is_file(follow_symlinks=False):
                yield piece, False, entry.path
            elif entry.is_dir(follow_symlinks=False) and FOLDER_NAME.fullmatch(entry.name):
                # A name that ends with "%" is the start of a segment that goes on within.
                yield piece if entry.name.endswith("%") else piece + b"/", True, entry.path


def _canonical(root: Path, key: bytes, path: str) -> str | None:
    """Return the key, if it is one and this is its path."""
    try:
        text = check_key(key.decode())
    except (UnicodeDecodeError, InvalidKeyError):
        return None
    return text if str(root / key_path(text)) == path else None
