"""What is kept with an object besides its bytes: content type and metadata, such as every store can keep them."""

import re
from collections.abc import Mapping

from mamkit.storage.errors import InvalidMetadataError

__all__ = ["check_facts", "content_type_of"]

_MAX_METADATA = 2048  # bytes of names and values together: Amazon S3, "Working with object metadata"
_MAX_CONTENT_TYPE = 255  # characters; no registered media type comes near: RFC 6838 section 4.2 has 127 + "/" + 127
_TYPE = re.compile(r"[!-~]+/[ -~]*[!-~]")
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # a token (RFC 9110 section 5.6.2) in lower case
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")  # printable ASCII without outer blanks: a header's value survives as it is

_TYPES = {
    "avif": "image/avif",
    "flac": "audio/flac",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m3u8": "application/vnd.apple.mpegurl",  # RFC 8216 section 10
    "m4a": "audio/mp4",
    "m4s": "video/iso.segment",  # ISO/IEC 14496-12 annex K
    "m4v": "video/mp4",
    "mkv": "video/matroska",  # RFC 9559 section 27.3
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "ogg": "audio/ogg",
    "png": "image/png",
    "ts": "video/mp2t",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}


def check_facts(content_type: str, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return the metadata as a dictionary of its own.

    Raises:
        InvalidMetadataError: The content type is no media type, a name is no lower-case token, a value is not printable
            ASCII, or names and values have more than 2048 bytes.
    """
    if not _fits(_TYPE, content_type) or len(content_type) > _MAX_CONTENT_TYPE:
        raise InvalidMetadataError("content_type", f"{str(content_type)[:100]!r} is no media type")
    kept = dict(metadata or {})
    for name, value in kept.items():
        if not _fits(_NAME, name):
            raise InvalidMetadataError(name, "a name is lower-case letters, digits and hyphens")
        if not _fits(_VALUE, value):
            raise InvalidMetadataError(name, "a value is printable ASCII without blanks at its ends; encode it")
    if sum(len(name) + len(value) for name, value in kept.items()) > _MAX_METADATA:
        raise InvalidMetadataError("metadata", f"names and values have more than {_MAX_METADATA} bytes together")
    return kept


def content_type_of(key: str) -> str:
    """Return the media type that the extension of a key stands for; the general one where it stands for none."""
    return _TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
