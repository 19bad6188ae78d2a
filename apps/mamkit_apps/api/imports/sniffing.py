"""What the first bytes of a file say it is, where that is certainly no film and no sound.

Only what cannot be media is told apart here, without a parser. Everything else is made a master, as an upload is, and a
worker opens it in its child process.
"""

from mamkit_apps.api.imports.errors import SourceRefusedError

__all__ = ["HEAD", "check_head"]

HEAD = 512  # bytes of a start that are looked at

# RFC 1952, APPNOTE.TXT of PKWARE, ISO 32000, the ELF and PE specifications, RFC 8878, the xz and bzip2 formats, 7z.
OTHERS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a ZIP archive",
    b"%PDF-": "a PDF document",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}
MEDIA_IN_TEXT = (b"RIFF", b"FORM", b"OggS", b"fLaC", b"ID3", b"#!AMR", b"caff", b".snd", b"YUV4MPEG2", b"wvpk", b"MAC ")


def check_head(head: bytes) -> None:
    """Return if a file that begins so may be media.

    Args:
        head: Its first 512 bytes, or all of a shorter one.

    Raises:
        SourceRefusedError: It is a page, a text, an archive, a program, or empty.
    """
    if not head:
        raise SourceRefusedError("it is empty")
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise SourceRefusedError(f"it is {what}, and no film or sound")
    text = head[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:14].lower() == b"<!doctype html" or text[:5].lower() == b"<html":
        raise SourceRefusedError("it is a web page, and no film or sound; does it need a login?")
    if not head.startswith(MEDIA_IN_TEXT) and head[4:8] != b"ftyp" and _is_text(head[:HEAD]):
        raise SourceRefusedError("it is a text, and no film or sound")


def _is_text(head: bytes) -> bool:
    # Of UTF-8, the last character may be cut; a byte below blank is in no text but for these four.
    if any(byte < 0x20 and byte not in b"\t\n\r\f" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
