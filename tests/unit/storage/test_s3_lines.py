"""Connections to a server of S3: kept, looked at before they are used again, and given up when they break."""

import gc
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mamkit.storage import InvalidMetadataError, ObjectNotFoundError
from mamkit.storage.s3._lines import Lines
from mamkit.storage.s3._wire import BrokenLineError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: one\r\n\r\nbytes"
Serve = Callable[[socket.socket], object]


@contextmanager
def server(*serve: Serve) -> Iterator[tuple[int, list[str]]]:
    """Serve one connection after another, each by its function; gives the port and what went wrong there."""
    wrong: list[str] = []

    def run() -> None:
        for each in serve:
            line, _ = listener.accept()
            with line:
                line.settimeout(10)
                try:
                    each(line)
                except (OSError, AssertionError) as error:
                    wrong.append(repr(error))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = Thread(target=run)
        thread.start()
        yield listener.getsockname()[1], wrong
        thread.join()


@contextmanager
def lines_to(port: int, *, keep: int = 4, scheme: str = "http", ca_bundle: str | None = None) -> Iterator[Lines]:
    with closing(Lines(f"{scheme}://localhost:{port}", connect=5, keep=keep, ca_bundle=ca_bundle)) as lines:
        yield lines


def head_of(line: socket.socket) -> bytes:
    """Return a request up to its body, of which nothing may have come yet."""
    got = b""
    while b"\r\n\r\n" not in got:
        block = line.recv(1)
        assert block, "the client went away"
        got += block
    return got


def asked(lines: Lines, method: str = "GET", body: bytes = b"", patience: float = 10) -> bytes:
    headers = {"host": "x", "content-length": str(len(body))}
    reply = lines.ask(method, "/a?b=c", headers, body, patience=patience)
    data = reply.read()
    reply.release()
    return data


def answering(*answers: bytes) -> Serve:
    def serve(line: socket.socket) -> None:
        for answer in answers:
            head_of(line)
            line.sendall(answer)

    return serve


def test_one_connection_takes_one_request_after_another() -> None:
    heads: list[bytes] = []

    def serve(line: socket.socket) -> None:
        for _ in range(3):
            heads.append(head_of(line))
            line.sendall(OK)
        assert line.recv(1) == b""  # closed with the pool

    with server(serve) as (port, wrong), lines_to(port) as lines:
        for _ in range(3):
            assert asked(lines) == b"bytes"
    assert wrong == []
    assert heads == [b"GET /a?b=c HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"] * 3


def test_a_pool_that_is_forgotten_closes_its_connections() -> None:
    """Or each of them would warn of itself, as of a file that nobody closed, and fail this test."""
    with server(answering(OK)) as (port, wrong):
        lines = Lines(f"http://localhost:{port}", connect=5, keep=4)
        assert asked(lines) == b"bytes"
        del lines
        gc.collect()
    assert wrong == []


def test_an_answer_that_is_forgotten_closes_its_connection() -> None:
    def serve(line: socket.socket) -> None:
        head_of(line)
        line.sendall(OK)
        with suppress(ConnectionResetError):
            assert line.recv(1) == b""

    with server(serve) as (port, wrong), lines_to(port) as lines:
        lines.ask("GET", "/", {}, b"", patience=10)
        gc.collect()
    assert wrong == []


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    with server(answering(OK), answering(OK)) as (port, _), lines_to(port) as lines:
        assert asked(lines) == b"bytes"
        while not any(select_readable(line) for line in lines._idle):
            pass
        assert asked(lines) == b"bytes"


def select_readable(line: socket.socket) -> bool:
    line.settimeout(0.01)
    with suppress(TimeoutError):
        return line.recv(1, socket.MSG_PEEK) == b""
    return False


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbyt\r\n2\r\nes\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbytes",
        b"HTTP/1.0 200 OK\r\n\r\nbytes",
    ],
    ids=["chunked", "after 100", "until the end", "HTTP/1.0"],
)
def test_answers_of_every_kind_are_read(answer: bytes) -> None:
    with server(answering(answer)) as (port, _), lines_to(port) as lines:
        assert asked(lines) == b"bytes"


def test_an_answer_to_head_has_no_body() -> None:
    with server(answering(OK.removesuffix(b"bytes"), OK)) as (port, wrong), lines_to(port) as lines:
        reply = lines.ask("HEAD", "/", {}, b"", patience=10)
        assert (reply.status, reply.headers["etag"], reply.read()) == (200, "one", b"")
        reply.release()
        assert asked(lines) == b"bytes"
    assert wrong == []


def test_a_connection_whose_answer_is_not_read_is_not_used_again() -> None:
    with server(answering(OK), answering(OK)) as (port, _), lines_to(port) as lines:
        reply = lines.ask("GET", "/", {}, b"", patience=10)
        assert reply.read(2) == b"by"
        reply.release()
        reply.close()
        assert asked(lines) == b"bytes"


def test_a_large_body_arrives_whole_at_a_server_that_reads_slowly() -> None:
    body = bytes(range(256)) * 20_000
    got = bytearray()

    def serve(line: socket.socket) -> None:
        head_of(line)
        while len(got) < len(body):
            got.extend(line.recv(10_000))
        line.sendall(OK)

    with server(serve) as (port, wrong), lines_to(port) as lines:
        assert asked(lines, "PUT", body) == b"bytes"
    assert wrong == []
    assert bytes(got) == body


def test_a_refusal_before_the_body_was_read_is_heard() -> None:
    def serve(line: socket.socket) -> None:
        head_of(line)
        line.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        line.shutdown(socket.SHUT_WR)
        while line.recv(100_000):
            pass

    with server(serve) as (port, _), lines_to(port) as lines:
        reply = lines.ask("PUT", "/", {"content-length": "3000000"}, bytes(3_000_000), patience=10)
        assert (reply.status, reply.read()) == (403, b"no")
        reply.close()


def test_a_source_that_goes_away_meanwhile_is_no_broken_connection() -> None:
    """Though its error is an `OSError`: it would be asked for again and again."""

    def blocks() -> Iterator[bytes]:
        yield b"by"
        raise ObjectNotFoundError("source")

    with server(head_of) as (port, _), lines_to(port) as lines, pytest.raises(ObjectNotFoundError):
        lines.ask("PUT", "/", {"content-length": "5"}, blocks(), patience=10)


@pytest.mark.parametrize("value", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "a\0b", "ö"])
def test_a_header_is_never_two(value: str) -> None:
    """Even if its value came from a listing of the server; nothing is sent then."""
    with lines_to(1) as lines, pytest.raises(InvalidMetadataError):
        lines.ask("GET", "/", {"if-match": value}, b"", patience=1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbytes",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbytes",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "nonsense", "half a head", "half a body", "half a chunk", "endless header"],
)
def test_an_answer_that_is_none_breaks_the_connection(answer: bytes) -> None:
    with server(answering(answer)) as (port, _), lines_to(port) as lines:
        with pytest.raises(BrokenLineError):
            asked(lines)
        assert lines._idle == []


def test_a_body_that_ends_early_is_never_taken_for_whole() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbytes"
    with server(answering(half), answering(half)) as (port, _), lines_to(port) as lines:
        reply = lines.ask("GET", "/", {}, b"", patience=10)
        assert reply.read(5) == b"bytes"
        with pytest.raises(BrokenLineError):
            reply.read(5)
        reply.release()
        reply = lines.ask("GET", "/", {}, b"", patience=10)
        assert reply.readinto(memoryview(bytearray(5))) == 5
        with pytest.raises(BrokenLineError):
            reply.readinto(memoryview(bytearray(5)))
        reply.release()
        assert lines._idle == []


def test_a_server_that_says_nothing_is_given_up() -> None:
    def serve(line: socket.socket) -> None:
        head_of(line)
        assert line.recv(1) == b""

    with server(serve) as (port, wrong), lines_to(port) as lines, pytest.raises(BrokenLineError, match="in time"):
        asked(lines, patience=0.05)
    assert wrong == []


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with lines_to(port) as lines, pytest.raises(BrokenLineError, match="cannot be reached"):
        asked(lines)


def test_no_more_connections_are_kept_than_asked_for() -> None:
    with server(answering(OK), answering(OK)) as (port, _), lines_to(port, keep=1) as lines:
        replies = [lines.ask("GET", "/", {}, b"", patience=10) for _ in range(2)]
        for reply in replies:
            reply.read()
            reply.release()
        assert len(lines._idle) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of `localhost`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def over_tls(certificate: Path, serve: Serve) -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def wrapped(line: socket.socket) -> None:
        with context.wrap_socket(line, server_side=True) as secure:
            serve(secure)

    return wrapped


def test_a_trusted_server_is_spoken_to_over_tls(certificate: Path) -> None:
    body = bytes(range(256)) * 4_000

    def serve(line: socket.socket) -> None:
        for _ in range(2):
            head_of(line)
            left = len(body)
            while left:
                left -= len(line.recv(min(left, 100_000)))
            line.sendall(OK)

    with (
        server(over_tls(certificate, serve)) as (port, wrong),
        lines_to(port, scheme="https", ca_bundle=str(certificate)) as lines,
    ):
        for _ in range(2):
            assert asked(lines, "PUT", body) == b"bytes"
    assert wrong == []


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with (
        server(over_tls(certificate, answering(OK))) as (port, wrong),
        lines_to(port, scheme="https") as lines,
        pytest.raises(BrokenLineError, match="not trusted"),
    ):
        asked(lines)
    assert len(wrong) == 1
