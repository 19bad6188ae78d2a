"""Where the objects of a preview lie below its prefix, and of which type they are."""

from mamkit.transcode import Init, Segment, init_name, segment_name

__all__ = [
    "JSON_TYPE",
    "MANIFEST_TYPE",
    "MP4_TYPE",
    "PLAYLIST_TYPE",
    "SEGMENT_TYPE",
    "init_key",
    "plan_key",
    "segment_key",
]

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"  # RFC 8216 section 10
MANIFEST_TYPE = "application/dash+xml"  # ISO/IEC 23009-1 annex C
SEGMENT_TYPE = "video/iso.segment"  # ISO/IEC 23000-19 annex on media types; registered by ISO/IEC 14496-12
MP4_TYPE = "video/mp4"  # RFC 4337
JSON_TYPE = "application/json"


def plan_key(prefix: str) -> str:
    """Return the key of the plan that all workers of a preview read."""
    return f"{prefix}plan.json"


def init_key(prefix: str, init: Init) -> str:
    """Return the key of an initialisation segment."""
    return prefix + init_name(init.rendition)


def segment_key(prefix: str, segment: Segment) -> str:
    """Return the key of a media segment."""
    return prefix + segment_name(segment.rendition, segment.index)
