"""What the first bytes of a file say about it, without a parser that they could attack."""

__all__ = ["SIGNATURE_BYTES", "image_format", "looks_like_media", "looks_like_still_image"]

SIGNATURE_BYTES = 16
"""How many bytes of a file's start the functions here look at."""

_STILL_IMAGES = (
    b"\xff\xd8\xff",  # JPEG, ISO/IEC 10918-1 annex B
    b"\x89PNG\r\n\x1a\n",  # PNG specification section 5.2
    b"GIF8",
    b"BM",
    b"II*\x00",  # TIFF 6.0 section 2, and with it DNG and most raw photographs
    b"MM\x00*",
    b"\xff\x0a",  # JPEG XL codestream, ISO/IEC 18181-2
    b"\x00\x00\x00\x0cJXL ",
)

_IMAGE_FORMATS = {
    b"\xff\xd8\xff": "jpeg_pipe",
    b"\x89PNG\r\n\x1a\n": "png_pipe",
    b"GIF8": "gif",
    b"BM": "bmp_pipe",
    b"II*\x00": "tiff_pipe",
    b"MM\x00*": "tiff_pipe",
}

# Major brands of ISO/IEC 23008-12 (HEIF) and AV1 image files that hold one picture, not a sequence.
_STILL_IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")

_MEDIA = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM: EBML header, RFC 8794 section 11.2.1
    b"RIFF",
    b"OggS",
    b"FLV",
    b"\x30\x26\xb2\x75",  # ASF header object
    b"\x06\x0e\x2b\x34",  # MXF partition pack, SMPTE ST 377-1
    b"\x00\x00\x01\xba",  # MPEG program stream pack header
    b"\x00\x00\x01\xb3",  # MPEG video sequence header
    b"fLaC",
    b"ID3",
    b"FORM",
    b"caff",
    b"#!AMR",
    b".RMF",  # RealMedia
    b".ra\xfd",  # RealAudio
    b"\x47",  # MPEG transport stream sync byte, ISO/IEC 13818-1 section 2.4.3.2
)

_BOXES = (
    b"ftyp",
    b"moov",
    b"mdat",
    b"moof",
    b"styp",
    b"wide",
    b"free",
    b"skip",
    b"pnot",
)  # ISO/IEC 14496-12, QuickTime


def looks_like_still_image(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a picture that does not move."""
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in _STILL_IMAGE_BRANDS
    return head.startswith(_STILL_IMAGES)


def image_format(head: bytes) -> str | None:
    """Return FFmpeg's name of the demuxer for a still image; None where there is none that reads it alone."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp_pipe"
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_IMAGE_BRANDS:
        return "mov"
    return next((name for start, name in _IMAGE_FORMATS.items() if head.startswith(start)), None)


def looks_like_media(head: bytes) -> bool:
    """Return whether a file that begins with `head` claims to be a film or sound; it may be lying."""
    return head[4:8] in _BOXES or head.startswith(_MEDIA)
