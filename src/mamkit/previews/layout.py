"""Where the objects of a preview lie below its prefix, and of which type they are."""

from mamkit.transcode import ArtFile, Init, Segment, init_name, segment_name

__all__ = [
    "JSON_TYPE",
    "MANIFEST_TYPE",
    "MP4_TYPE",
    "PLAYLIST_TYPE",
    "SEGMENT_TYPE",
    "art_key",
    "art_type",
    "init_key",
    "plan_key",
    "segment_key",
    "segment_type",
]

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"  # RFC 8216 section 10
MANIFEST_TYPE = "application/dash+xml"  # ISO/IEC 23009-1 annex C
SEGMENT_TYPE = "video/iso.segment"  # ISO/IEC 23000-19 annex on media types; registered by ISO/IEC 14496-12
MP4_TYPE = "video/mp4"  # RFC 4337
JSON_TYPE = "application/json"
TRANSPORT_TYPE = "video/mp2t"  # RFC 3555 section 4.2.8
VTT_TYPE = "text/vtt"
_ART_TYPES = {"jpg": "image/jpeg", "png": "image/png", "vtt": VTT_TYPE, "json": JSON_TYPE}


def plan_key(prefix: str) -> str:
    """Return the key of the plan that all workers of a preview read."""
    return f"{prefix}plan.json"


def art_key(prefix: str, file: ArtFile) -> str:
    """Return the key of a piece of artwork."""
    return prefix + file.name


def art_type(file: ArtFile) -> str:
    """Return of which type a piece of artwork is, by its name."""
    return _ART_TYPES[file.name.rpartition(".")[2]]


def init_key(prefix: str, init: Init) -> str:
    """Return the key of an initialisation segment."""
    return prefix + init_name(init.rendition)


def segment_type(segment: Segment) -> str:
    """Return of which type a media segment is."""
    return {"m4s": SEGMENT_TYPE, "ts": TRANSPORT_TYPE, "vtt": VTT_TYPE}[segment.file]


def segment_key(prefix: str, segment: Segment) -> str:
    """Return the key of a media segment."""
    return prefix + segment_name(segment.rendition, segment.index, segment.file)
