"""Requests to one bucket: signed, retried with jitter, on a pool of connections."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from mamkit.clock import Clock
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.s3._lines import Lines
from mamkit.storage.s3._reply import Reply
from mamkit.storage.s3._sigv4 import EMPTY_SHA256, Signer, encode_path
from mamkit.storage.s3._wire import BrokenLineError, RefusalError, parse_xml, text_of

__all__ = ["Answer", "Bucket", "Patience", "Transport"]

_RETRIED_STATUS = {408, 429, 500, 502, 503, 504}
# Codes that come with another status, and mean that this attempt failed on its way.
_RETRIED_CODES = {
    "RequestTimeout",
    "SlowDown",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
    "OperationAborted",
    "ConditionalRequestConflict",
    "InternalError",
}
_SLOWEST_COPY = 4 * 1024 * 1024  # bytes a second; giving up sooner would start a second copy beside the first
_MOST_OF_AN_ERROR = 64 * 1024  # bytes of an error document that are read
_MOST_OF_AN_ANSWER = 64 * 1024 * 1024  # bytes of any other; a list of 10,000 parts or 1,000 keys has some 4 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, and how often to try."""

    connect: float = 5.0
    """Seconds for a connection to open."""
    read: float = 60.0
    """Seconds without a byte after which a connection is given up."""
    attempts: int = 5
    """Attempts at one request."""
    backoff: float = 0.1
    """Seconds of the first pause at most; it doubles, and a random part of it is taken ("full jitter")."""
    longest: float = 5.0
    """Seconds of any pause at most."""

    def pause(self, attempt: int) -> None:
        """Wait after attempt number `attempt`, counted from 1."""
        time.sleep(random.uniform(0, min(self.longest, self.backoff * 2 ** (attempt - 1))))  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket is.

    Attributes:
        origin: Scheme, host and port of the requests.
        path: What their paths start with: empty if the host names the bucket.
    """

    origin: str
    path: str

    @property
    def host(self) -> str:
        """The `Host` of requests, without the port that is the scheme's own (RFC 3986 section 3.2.2)."""
        parts = urlsplit(self.origin)
        name = parts.hostname or ""
        host = f"[{name}]" if ":" in name else name
        default = {"http": 80, "https": 443}[parts.scheme]
        return host if parts.port in {None, default} else f"{host}:{parts.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        data: The body; empty where it was left to be streamed.
        raw: The response, to be read and released, where it was asked to be streamed.
        again: Whether an earlier attempt may have been carried out already.
    """

    status: int
    headers: Mapping[str, str]
    data: bytes
    raw: Reply | None = None
    again: bool = False


class Transport:
    """Sends requests to one bucket.

    Args:
        bucket: Where it is.
        signer: Signs.
        clock: Tells the time of signatures.
        patience: Time limits and attempts.
        connections: How many are kept open; more callers at once open more, and close them again.
        ca_bundle: File of certificates that are trusted instead of the system's.
    """

    def __init__(
        self,
        bucket: Bucket,
        signer: Signer,
        *,
        clock: Clock,
        patience: Patience,
        connections: int,
        ca_bundle: str | None = None,
    ) -> None:
        self.bucket = bucket
        self._signer = signer
        self._clock = clock
        self.patience = patience
        self._lines = Lines(bucket.origin, connect=patience.connect, keep=connections, ca_bundle=ca_bundle)
        self._host = bucket.host

    def request(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | Callable[[], Iterable[bytes]] = b"",
        payload: str = EMPTY_SHA256,
        stream: bool = False,
        at_work: int = 0,
    ) -> Answer:
        """Send a request until it is answered.

        Args:
            method: HTTP method.
            key: The object; empty for the bucket.
            query: Parameters.
            headers: In lower case.
            body: Sent with it; what is called gives the blocks anew for each attempt.
            payload: SHA-256 of the body, hexadecimal, or `UNSIGNED`.
            stream: Whether the body of the answer is left to be read.
            at_work: Bytes that the server copies before it answers; it is given the time for them.

        Raises:
            RefusalError: The server says no, and would say so again.
            StorageUnavailableError: No attempt was answered.
        """
        attempt, again = 1, False
        while True:
            try:
                answer = self._attempt(
                    method, key, query or {}, headers or {}, body=body, payload=payload, stream=stream, at_work=at_work
                )
            except BrokenLineError as error:
                reason = error.reason
                cause: Exception = error
            else:
                if answer.status < HTTPStatus.MULTIPLE_CHOICES and not _failed_after_all(answer):
                    return Answer(answer.status, answer.headers, answer.data, answer.raw, again)
                refusal = _refusal(answer, again=again)
                if refusal.status not in _RETRIED_STATUS and refusal.reason not in _RETRIED_CODES:
                    raise refusal
                reason, cause = str(refusal), refusal
            if attempt >= self.patience.attempts:
                raise StorageUnavailableError(key or self.bucket.path, f"{reason} ({attempt} attempts)") from cause
            self.patience.pause(attempt)
            attempt, again = attempt + 1, True

    def close(self) -> None:
        """Close the connections that are idle."""
        self._lines.close()

    def _attempt(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        body: bytes | memoryview | Callable[[], Iterable[bytes]],
        payload: str,
        stream: bool,
        at_work: int,
    ) -> Answer:
        path = f"{self.bucket.path}/{encode_path(key)}"
        signed = self._signer.sign(
            method, path, query=query, headers={**headers, "host": self._host}, payload=payload, now=self._clock()
        )
        signed["accept-encoding"] = "identity"
        if query:
            path += "?" + "&".join(f"{quote(n, safe='-._~')}={quote(v, safe='-._~')}" for n, v in query.items())
        if not callable(body) and method in {"PUT", "POST"}:
            signed["content-length"] = str(len(body))
        reply = self._lines.ask(
            method,
            path,
            signed,
            body() if callable(body) else body,
            patience=self.patience.read + at_work / _SLOWEST_COPY,
        )
        success = reply.status < HTTPStatus.MULTIPLE_CHOICES
        if stream and success:
            return Answer(reply.status, reply.headers, b"", reply)
        try:
            data = reply.read(_MOST_OF_AN_ANSWER if success else _MOST_OF_AN_ERROR)
            if not success:
                reply.close()  # the server may have left a body of ours unread: the connection is of no more use
            return Answer(reply.status, reply.headers, data)
        finally:
            reply.release()


def _failed_after_all(answer: Answer) -> bool:
    """Return whether the body of a success is an error: copies and completions are answered before they are done."""
    return answer.data.lstrip()[:200].find(b"<Error") >= 0


def _refusal(answer: Answer, *, again: bool) -> RefusalError:
    try:
        root = parse_xml(answer.data)
        code, message = text_of(root, "Code"), text_of(root, "Message")
    except StorageUnavailableError:
        code, message = "", ""
    status = answer.status if answer.status >= HTTPStatus.MULTIPLE_CHOICES else HTTPStatus.INTERNAL_SERVER_ERROR
    return RefusalError(status, code, message, answer.headers, again=again)
