"""Heads of answers are read in one way or not at all: lengths that are smuggled, lines that are folded, and no end."""

import socket
import string
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.storage import ByteRange, ObjectChangedError, StorageUnavailableError
from mamkit.storage._buffers import fill
from mamkit.storage.s3 import Patience, S3Options, S3Store
from mamkit.storage.s3._head import Head, parse_chunk_size, parse_head
from mamkit.storage.s3._wire import BrokenLineError, modified_at
from tests.unit.storage.test_s3_lines import OK, answering, asked, head_of, lines_to, server

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS = b"HTTP/1.1 200 OK\r\n"


def test_a_head_says_status_fields_and_where_the_body_ends() -> None:
    head = parse_head(STATUS + b'ETag: "a"\r\nX-A:\t b \r\nx-a: c\r\nContent-Length: 0042\r\nX-Empty:', "GET")
    headers = {"etag": '"a"', "x-a": "b, c", "content-length": "0042", "x-empty": ""}
    assert head == Head(200, headers, length=42, chunked=False, last=False)


@pytest.mark.parametrize(
    ("data", "length", "chunked", "last"),
    [
        (STATUS + b"Transfer-Encoding: Chunked", None, True, False),
        (STATUS + b"Connection: close", None, False, True),
        (STATUS + b"Connection: keep-alive , CLOSE\r\nContent-Length: 1", 1, False, True),
        (STATUS + b"Connection: closed\r\nContent-Length: 1", 1, False, False),
        (b"HTTP/1.0 200\r\nContent-Length: 1", 1, False, True),
        (b"HTTP/1.1 204 No Content", 0, False, False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9", 0, False, False),
        (b"HTTP/1.1 404 nicht gefunden \xfc\r\nContent-Length: 9", 9, False, False),
    ],
)
def test_where_a_body_ends(data: bytes, length: int | None, chunked: bool, last: bool) -> None:
    head = parse_head(data, "GET")
    assert (head.length, head.chunked, head.last) == (length, chunked, last)


@pytest.mark.parametrize("field", [b"Content-Length: 9", b"Transfer-Encoding: chunked", b"ETag: a"])
def test_an_answer_to_head_has_no_body_whatever_it_says(field: bytes) -> None:
    head = parse_head(STATUS + field, "HEAD")
    assert (head.length, head.chunked) == (0, False)


ATTACKS = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 9",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5",
    "two lengths in one": b"Content-Length: 5, 9",
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "another coding": b"Transfer-Encoding: gzip, chunked",
    "a coding that is nearly one": b"Transfer-Encoding: xchunked",
    "a coding after a control character": b"Transfer-Encoding: \x0bchunked",
    "a negative length": b"Content-Length: -5",
    "a length with a sign": b"Content-Length: +5",
    "a length in hexadecimal": b"Content-Length: 0x5",
    "a length with a digit of another script": "Content-Length: ²".encode("latin-1"),
    "a length with an underscore": b"Content-Length: 1_0",
    "an empty length": b"Content-Length:",
    "a huge length": b"Content-Length: " + b"9" * 19,
    "an endless length": b"Content-Length: " + b"9" * 5000,
    "no length": b"ETag: a",
    "two ranges": b"Content-Length: 1\r\nContent-Range: bytes 0-0/5\r\nContent-Range: bytes 0-0/9",
    "two ETags": b"Content-Length: 1\r\nETag: a\r\nETag: b",
    "a folded line": b"X: a\r\n Content-Length: 5",
    "a line folded by a tab": b"X: a\r\n\tb\r\nContent-Length: 5",
    "a space before the colon": b"Content-Length : 5",
    "a space before the name": b" Content-Length: 5",
    "no colon": b"Content-Length 5",
    "no name": b": 5",
    "a name with a control character": b"Content\x00-Length: 5",
    "a null": b"X: a\0b\r\nContent-Length: 5",
    "a line end of one character": b"X: a\nContent-Length: 5",
    "a carriage return alone": b"X: a\rContent-Length: 5",
    "a line that is empty": b"X: a\r\n\r\nContent-Length: 5",
    "too many fields": b"X: a\r\n" * 300 + b"Content-Length: 5",
}


@pytest.mark.parametrize("fields", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_can_be_understood_in_two_ways_is_refused(fields: bytes, method: str) -> None:
    if method == "HEAD" and fields == ATTACKS["no length"]:
        assert parse_head(STATUS + fields, method).length == 0  # which has none to say
        return
    with pytest.raises(BrokenLineError, match="not one of HTTP"):
        parse_head(STATUS + fields, method)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/2 200",
        b"HTTP/1.1 2000",
        b"HTTP/1.1 20",
        b"HTTP/1.1  200",
        b"HTTP/1.1 099 a",
        b"HTTP/1.1 600 a",
        b"HTTP/1.1 200\x0bOK",
        b" HTTP/1.1 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"\xff" * 99,
    ],
)
def test_a_first_line_that_is_none_is_refused(first: bytes) -> None:
    with pytest.raises(BrokenLineError, match="status"):
        parse_head(first + b"\r\nContent-Length: 5", "GET")


@given(st.binary(max_size=300), st.sampled_from(["GET", "HEAD", "PUT"]))
def test_whatever_comes_is_a_head_or_a_named_error(data: bytes, method: str) -> None:
    for each in (data, STATUS + data):
        try:
            head = parse_head(each, method)
        except BrokenLineError:
            continue
        assert head.length is None or head.length >= 0


TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20)
VALUES = st.text(string.ascii_letters + " \t:;,=\"'/\xe9", max_size=20)


@given(st.dictionaries(TOKENS.map(lambda name: f"x-{name.lower()}"), VALUES, max_size=20), st.integers(0, 10**17))
def test_every_field_that_is_one_is_read(fields: dict[str, str], length: int) -> None:
    lines = [f"{name.upper()}:{value}" for name, value in fields.items()] + [f"content-length: {length}"]
    head = parse_head(STATUS + "\r\n".join(lines).encode("latin-1"), "GET")
    assert head.headers == {name: value.strip(" \t") for name, value in fields.items()} | {
        "content-length": str(length)
    }
    assert head.length == length


@pytest.mark.parametrize("line", [b"", b"-1", b"+1", b"0x1", b" 1", b"1 2", b"g", b"1_0", b"f" * 16, b"1;\0", b"1\n"])
def test_a_chunk_whose_size_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(BrokenLineError):
        parse_chunk_size(line)
    assert parse_chunk_size(b"00fF \t;a=b") == 255


CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (CHUNKED + b"2;x=y\r\nby\r\n3\r\ntes\r\n000\r\nX-Checksum: a\r\n\r\n", b"bytes"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK, b"bytes"),
    ],
    ids=["chunks", "no chunk", "after two others"],
)
def test_the_connection_is_used_again_after_just_this_answer(answer: bytes, wanted: bytes) -> None:
    with server(answering(answer, OK)) as (port, wrong), lines_to(port) as lines:
        assert asked(lines) == wanted
        assert asked(lines) == b"bytes"
    assert wrong == []


def broken_bodies() -> Iterator[tuple[str, bytes]]:
    yield "a chunk longer than it says", CHUNKED + b"2\r\nbytes\r\n0\r\n\r\n"
    yield "a chunk without its end", CHUNKED + b"5\r\nbytes0\r\n\r\n"
    yield "chunks without a last one", CHUNKED + b"5\r\nbytes\r\n"
    yield "a last chunk without its end", CHUNKED + b"5\r\nbytes\r\n0\r\n"
    yield "a line of a chunk without an end", CHUNKED + b"5;" + b"x" * 20_000
    yield "endless trailers", CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
    yield "a body shorter than its length", STATUS + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nbytes"
    yield "an endless field", STATUS + b"X: " + b"y" * 70_000
    yield "endless fields", STATUS + b"X: y\r\n" * 20_000
    yield "endless answers before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" * 50
    yield "another protocol", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize("answer", [data for _, data in broken_bodies()], ids=[name for name, _ in broken_bodies()])
def test_a_body_without_its_end_breaks_the_connection(answer: bytes) -> None:
    """And takes no memory for a length that was only announced."""
    with server(answering(answer)) as (port, _), lines_to(port) as lines:
        with pytest.raises(BrokenLineError):
            asked(lines)
        assert lines._idle == []


def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one() -> None:
    """What a server sends beyond the end of a body, at once or later, ends the connection."""
    stray = OK.replace(b"bytes", b"stray")
    with server(answering(OK + stray), answering(OK)) as (port, _), lines_to(port) as lines:
        assert asked(lines) == b"bytes"
        assert lines._idle == []
        assert asked(lines) == b"bytes"


def test_bytes_are_read_as_they_are_asked_for() -> None:
    """A few at a time, into a buffer, the rest; also of chunks; and none for a request of none."""
    for answer in (OK, CHUNKED + b"1\r\nb\r\n4\r\nytes\r\n0\r\n\r\n"):
        with server(answering(answer)) as (port, _), lines_to(port) as lines:
            reply = lines.ask("GET", "/", {}, b"", patience=10)
            assert reply.read(0) == b""
            assert reply.read(2) == b"by"
            buffer = bytearray(9)
            assert reply.readinto(memoryview(buffer)[:0]) == 0
            assert reply.readinto(memoryview(buffer)) == 3
            assert bytes(buffer[:3]) == b"tes"
            assert (reply.read(5), reply.read(), reply.readinto(memoryview(buffer))) == (b"", b"", 0)
            reply.release()
            assert len(lines._idle) == 1


def store_at(port: int) -> S3Store:
    patience = Patience(connect=5, read=5, attempts=2, backoff=0.01)
    options = S3Options(
        endpoint=f"http://localhost:{port}", access_key="id", secret_key="secret", region="us-east-1", patience=patience
    )
    return S3Store("films", options)


ETAG = b'ETag: "a"\r\n'


@pytest.mark.parametrize(
    "answer",
    [
        STATUS + ETAG + b"Content-Length: 9\r\n\r\n012345678",
        b"HTTP/1.1 206 Some\r\n" + ETAG + b"Content-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\n0123",
        b"HTTP/1.1 206 Some\r\n" + ETAG + b"Content-Range: bytes 4-7/*\r\nContent-Length: 4\r\n\r\n4567",
        b"HTTP/1.1 206 Some\r\n" + ETAG + b"Content-Range: octets 4-7/9\r\nContent-Length: 4\r\n\r\n4567",
        CHUNKED + b"4\r\n4567\r\n0\r\n\r\n",
    ],
    ids=["the range ignored", "another range", "no size", "another unit", "no range and no size"],
)
def test_bytes_are_those_that_were_asked_for(answer: bytes) -> None:
    """Of a server that answers with others nothing is believed."""
    with (
        server(answering(answer)) as (port, _),
        store_at(port) as store,
        pytest.raises(StorageUnavailableError),
    ):
        store.get("film", ByteRange(4, 8))


def test_an_object_without_a_size_is_not_taken_for_an_empty_one() -> None:
    with (
        server(answering(CHUNKED + b"5\r\nbytes\r\n0\r\n\r\n"), answering(STATUS + b"ETag: a\r\n\r\n")) as (port, _),
        store_at(port) as store,
    ):
        with pytest.raises(StorageUnavailableError):
            store.get("film")
        with pytest.raises(StorageUnavailableError):
            store.head("film")


def test_a_listing_that_goes_on_for_ever_is_given_up() -> None:
    """Without holding it."""
    sent = 0

    def serve(line: socket.socket) -> None:
        nonlocal sent
        head_of(line)
        line.sendall(CHUNKED)
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with suppress(OSError):
            while sent < 500:
                line.sendall(block)
                sent += 1

    with server(serve) as (port, _), store_at(port) as store, pytest.raises(StorageUnavailableError, match="no XML"):
        list(store.list())
    assert 64 <= sent < 100


def test_a_range_from_the_first_byte_may_be_answered_with_the_whole() -> None:
    """As RFC 9110 section 14.2 lets a server do: these are the bytes that were asked for."""
    with (
        server(answering(STATUS + ETAG + b"Content-Length: 9\r\n\r\n012345678")) as (port, _),
        store_at(port) as store,
        store.get("film", ByteRange(0, 4)) as body,
    ):
        assert (body.info.size, body.read()) == (9, b"0123")


@pytest.mark.parametrize("etag", [b"b", b"a"])
def test_reading_goes_on_with_the_same_object_only(etag: bytes) -> None:
    """Also where the server ignores `If-Match`: bytes of two objects never make one."""
    first = STATUS + ETAG + b"Content-Length: 9\r\n\r\n0123"
    rest = b'ETag: "' + etag + b'"\r\nContent-Range: bytes 4-8/9\r\nContent-Length: 5\r\n\r\n45678'
    with (
        server(answering(first), answering(b"HTTP/1.1 206 Some\r\n" + rest)) as (port, _),
        store_at(port) as store,
        store.get("film") as body,
    ):
        if etag == b"a":
            buffer = bytearray(9)
            assert fill(body, memoryview(buffer)) == 9
            assert buffer == b"012345678"
        else:
            assert body.readinto(bytearray(4)) == 4
            with pytest.raises(ObjectChangedError):
                body.readinto(bytearray(5))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Sat, 21 Nov 2026 12:43:50 GMT", datetime(2026, 11, 21, 12, 43, 50, tzinfo=UTC)),
        ("Sat, 21 Nov 2026 13:43:50 +0100", datetime(2026, 11, 21, 12, 43, 50, tzinfo=UTC)),
        ("Sat, 31 Feb 2026 12:43:50 GMT", EPOCH),
        ("Sat, 21 Nix 2026 12:43:50 GMT", EPOCH),
        ("yesterday", EPOCH),
        ("", EPOCH),
        (None, EPOCH),
    ],
)
def test_times_are_read_or_left(value: str | None, found: datetime) -> None:
    """A server that tells no time tells an early one, and fails nothing."""
    assert modified_at(value) == found
