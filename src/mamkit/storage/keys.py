"""What a key may be, and the keys of the three zones.

A key is a relative path that means the same to an object store, to a file system, to a URL and to a proxy between them.
"""

import re
from uuid import UUID

from mamkit.storage.errors import InvalidKeyError

__all__ = [
    "MAX_KEY_BYTES",
    "check_key",
    "check_prefix",
    "master_key",
    "metadata_key",
    "preview_prefix",
    "staging_key",
]

MAX_KEY_BYTES = 1024  # Amazon S3 user guide, "Naming Amazon S3 objects": UTF-8 bytes

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # all of Unicode's category Cc
_EXTENSION = re.compile(r"[a-z0-9]{1,16}")


def check_key(key: str) -> str:
    """Return the key, if it is one.

    A key has 1 to 1024 bytes of UTF-8. It consists of segments with "/" between them; none is empty, "." or "..", so
    that there is neither a leading nor a trailing slash. It has no backslash and no control character (Unicode category
    Cc). Keys are compared byte by byte: letters that look alike but are encoded otherwise (NFC, NFD) are different.

    Raises:
        InvalidKeyError: It is none, or no text at all.
    """
    _check_text(key)
    if not key:
        raise InvalidKeyError(key, "it is empty")
    _check_segments(key, key.split("/"))
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix, if a key may start so; the empty one starts every key.

    Raises:
        InvalidKeyError: No key can start so.
    """
    _check_text(prefix)
    _check_segments(prefix, prefix.split("/")[:-1])  # the last segment may go on
    return prefix


def staging_key(user_id: UUID, asset_id: UUID, extension: str) -> str:
    """Return where a user's upload waits to be promoted.

    Args:
        user_id: Whose upload it is.
        asset_id: The asset that it is to become.
        extension: 1 to 16 ASCII letters and digits, without a dot; the key has it in lower case.

    Raises:
        InvalidKeyError: An argument is none of that.
    """
    return f"uploads/{_uuid(user_id)}/{_uuid(asset_id)}/original.{_extension(extension)}"


def master_key(asset_id: UUID, number: int, extension: str) -> str:
    """Return where a version of an asset is kept for good.

    Args:
        asset_id: The asset.
        number: Number of the version, 1 for the first.
        extension: As for `staging_key`.

    Raises:
        InvalidKeyError: An argument is none of that.
    """
    if type(number) is not int or number < 1:
        raise InvalidKeyError(number, "versions are numbered from 1")
    return f"masters/{_uuid(asset_id)}/v{number}/original.{_extension(extension)}"


def metadata_key(master: str) -> str:
    """Return the key of the facts that stand beside a master.

    Raises:
        InvalidKeyError: `master` is no key, or is itself named as the facts would be.
    """
    folder, slash, name = check_key(master).rpartition("/")
    if name == "metadata.json":
        raise InvalidKeyError(master, "this is the name of the facts beside a master")
    return f"{folder}{slash}metadata.json"


def preview_prefix(asset_id: UUID, version_id: UUID, *, generation: int = 1) -> str:
    """Return what the keys of a version's preview start with; it ends with a slash.

    Args:
        asset_id: The asset.
        version_id: The version.
        generation: How often the preview was begun: one that is built anew lies beside the one that plays meanwhile.

    Raises:
        InvalidKeyError: An id is no UUID, or the generation is less than 1.
    """
    if type(generation) is not int or generation < 1:
        raise InvalidKeyError(generation, "generations are numbered from 1")
    suffix = "" if generation == 1 else f".{generation}"
    return f"previews/{_uuid(asset_id)}/{_uuid(version_id)}{suffix}/"


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidKeyError(text, "it is no text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidKeyError(text, "it has half a surrogate pair, which UTF-8 cannot say") from error
    if size > MAX_KEY_BYTES:
        raise InvalidKeyError(text, f"it has {size} bytes of UTF-8, and {MAX_KEY_BYTES} is the limit")
    if "\\" in text:
        raise InvalidKeyError(text, "it has a backslash")
    if _CONTROL.search(text):
        raise InvalidKeyError(text, "it has a control character")


def _check_segments(text: str, segments: list[str]) -> None:
    if "" in segments:
        raise InvalidKeyError(text, "it has an empty segment, or a slash at its start or end")
    if "." in segments or ".." in segments:
        raise InvalidKeyError(text, 'it has "." or ".." as a segment')


def _uuid(value: UUID) -> UUID:
    if not isinstance(value, UUID):
        raise InvalidKeyError(value, "it is no UUID")
    return value


def _extension(extension: object) -> str:
    # Lowered only if it is ASCII: lower() would make an ASCII letter of the Kelvin sign.
    if isinstance(extension, str) and extension.isascii() and _EXTENSION.fullmatch(extension.lower()):
        return extension.lower()
    raise InvalidKeyError(extension, "an extension is 1 to 16 ASCII letters and digits, without a dot")
