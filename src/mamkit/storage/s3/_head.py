"""The head of an answer (RFC 9112), read strictly: what two readers could understand in two ways is refused.

The standard library reads heads as it reads mail. It takes the first of two lengths, a length beside chunks, a line
that goes on in the next one and a head that ends anywhere, and takes a quarter of a small request's processor time.
"""

import re
from dataclasses import dataclass

from mamkit.storage.s3._wire import BrokenLineError

__all__ = ["MOST_HEAD", "Head", "parse_chunk_size", "parse_head"]

MOST_HEAD = 64 * 1024  # bytes; that of an object with all the metadata that S3 allows has some 4 KiB
_MOST_FIELDS = 256
_LONGEST_NUMBER = 18  # digits; S3's largest object, of 50 TB, takes 14

# Sections 4 and 5; RFC 9110 sections 5.5 and 5.6.2. Neither takes a line end of one character, nor a folded line.
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?").fullmatch
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)").fullmatch
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
_ONCE = frozenset({"content-length", "transfer-encoding", "content-range", "etag"})  # two would say two things
_WITHOUT_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer begins with.

    Attributes:
        status: Of HTTP.
        headers: Names in lower case; those that came more than once with their values in one, after commas.
        length: Bytes of the body; None if it is chunked, or goes on to the end of the connection.
        chunked: Whether it is.
        last: Whether no other request goes over the connection.
    """

    status: int
    headers: dict[str, str]
    length: int | None
    chunked: bool
    last: bool


def parse_head(data: bytes, method: str) -> Head:
    """Return what a head says.

    Args:
        data: Everything before the empty line, without the line end before that.
        method: Of the request.

    Raises:
        BrokenLineError: It is no head, or does not say in just one way where the body ends.
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    said = _STATUS(first)
    if said is None:
        raise _refused("it begins with no status")
    if len(lines) > _MOST_FIELDS:
        raise _refused(f"it has more than {_MOST_FIELDS} fields")
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD(line)
        if field is None:
            raise _refused("a line of it is no field")
        name, value = field[1].lower(), field[2].strip(" \t")
        if name in headers:
            if name in _ONCE:
                raise _refused(f"it has two fields {name}")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    status, old = int(said[2]), said[1] == "0"
    last = old or _has_close(headers.get("connection"))
    length, chunked = _framing(headers, old=old)
    if status < 200 or method == "HEAD" or status in _WITHOUT_BODY:
        length, chunked = 0, False
    elif length is None and not chunked and not last:
        # It would go on to the end of the connection (section 6.3), and nobody could tell an early end from that.
        raise _refused("it does not say how long the body is")
    return Head(status, headers, length, chunked, last)


def parse_chunk_size(line: bytes) -> int:
    """Return how many bytes a chunk has (section 7.1), from its first line without the line end.

    Raises:
        BrokenLineError: It says none.
    """
    found = _CHUNK(line)
    if found is None:
        raise _refused("a chunk of it has no size")
    return int(found[1], 16)


def _framing(headers: dict[str, str], *, old: bool) -> tuple[int | None, bool]:
    """Return the length of a body, if it is given, and whether it is chunked (section 6)."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise _refused("it has both a length and a transfer coding")
        if old or coding.lower() != "chunked":
            raise _refused("its transfer coding is not known")
        return None, True
    if length is None:
        return None, False
    if not length.isascii() or not length.isdigit() or len(length) > _LONGEST_NUMBER:
        raise _refused("its length is no number")
    return int(length), False


def _has_close(connection: str | None) -> bool:
    return connection is not None and "close" in (option.strip() for option in connection.lower().split(","))


def _refused(reason: str) -> BrokenLineError:
    return BrokenLineError(f"the answer is not one of HTTP: {reason}")
