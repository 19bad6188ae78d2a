"""Reading a URL of a user's: to public addresses, redirect by redirect, no faster to give up than is fair, bounded."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import mamkit
from mamkit_apps.api.imports.errors import (
    SourceChangedError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from mamkit_apps.guard import AddressGuard
from mamkit_apps.outgoing import GuardedAnswer, GuardedClient

__all__ = ["Fetched", "Fetcher", "clean_name", "name_in"]

REDIRECTS = 5  # RFC 9110 section 15.4: a client should end such loops; five is what servers were once promised
HEADERS = 30.0  # seconds until the headers of an answer are there
SILENCE = 30.0  # seconds without a byte
WINDOW = 60.0  # seconds over which it is counted how fast bytes come
SLOWEST = 1024  # bytes a second; below it a host only holds our place
AGAIN = frozenset({408, 421, 425, 429})  # of 4xx, those that may go better later: RFC 9110, RFC 8470, RFC 6585
LONGEST_PAUSE = 3600.0  # seconds; a host that asks for more is asked after an hour
MAX_NAME = 255
NAMELESS = "import"

_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")  # RFC 9110 section 14.4
_MOVED = frozenset({301, 302, 303, 307, 308})
_TYPE = re.compile(r"(?:video|audio)/[\w.+-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer whose body is to be read."""

    start: int
    """Of the whole, which byte the body begins with: the one that was asked for, or 0."""
    size: int | None
    """Bytes of the whole; None where the host does not say."""
    validator: str
    """What `If-Range` takes to go on with just these bytes later; empty if that cannot be done."""
    content_type: str
    """Of video or audio; of anything else `application/octet-stream`, since it will be served to browsers."""
    filename: str
    """As the host calls it, or the URL."""
    pieces: AsyncGenerator[bytes]


class Fetcher:
    """Reads URLs.

    Args:
        guard: Says where to go; the client asks it again for each address.
        client: Asks.
        most: Bytes of the largest body.
    """

    def __init__(self, guard: AddressGuard, client: GuardedClient, *, most: int) -> None:
        self._guard = guard
        self._client = client
        self._most = most

    @asynccontextmanager
    async def open(self, url: str, *, start: int = 0, validator: str = "", within: timedelta) -> AsyncIterator[Fetched]:
        """Ask for what is at a URL; the answer is good within the block.

        Args:
            url: As for `AddressGuard.check_url`.
            start: Of the whole, the first byte that is wanted; more than 0 only with a validator.
            validator: Of an earlier answer. If that does not hold any more, the answer is the whole.
            within: For everything together.

        Raises:
            DestinationRefusedError: It leads where the services do not go, be it by a redirect.
            NoAnswerError: A host does not answer.
            SourceUnavailableError: It says that it may answer later, or is too slow.
            SourceChangedError: It has not any more what the validator was of.
            SourceRefusedError: It says no, or gives what is not to be brought in.
            SourceTooLargeError: It gives too much.
        """
        wanted = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"mamkit/{mamkit.__version__}"}
        if start:
            wanted |= {"range": f"bytes={start}-", "if-range": validator}
        async with AsyncExitStack() as stack:
            answer, url = await self._follow(stack, url, wanted, within)
            yield self._checked(answer, url, start)

    async def _follow(
        self, stack: AsyncExitStack, url: str, wanted: Mapping[str, str], within: timedelta
    ) -> tuple[GuardedAnswer, str]:
        """Return the first answer that leads nowhere else, and the URL that gave it."""
        for _ in range(REDIRECTS + 1):
            hop = AsyncExitStack()
            try:
                async with asyncio.timeout(HEADERS):
                    answer = await hop.enter_async_context(
                        self._client.stream("GET", url, headers=wanted, within=within)
                    )
            except TimeoutError as error:
                raise SourceUnavailableError("its host does not answer in time") from error
            if answer.status not in _MOVED or "location" not in answer.headers:
                stack.push_async_exit(hop)
                return answer, url
            await hop.aclose()
            url = self._next(url, answer.headers["location"])
        raise SourceRefusedError(f"it was redirected more than {REDIRECTS} times")

    def _next(self, url: str, location: str) -> str:
        """Return where a redirect leads, if one may go there."""
        try:
            found = urljoin(url, location).partition("#")[0]
        except ValueError as error:
            raise SourceRefusedError("it is redirected to no URL") from error
        parts = self._guard.check_url(found)
        if parts.scheme == "http" and urlsplit(url).scheme == "https":
            raise SourceRefusedError("it is redirected from https to http")
        return found

    def _checked(self, answer: GuardedAnswer, url: str, start: int) -> Fetched:
        headers = answer.headers
        _check_status(answer.status, headers)
        if headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
            raise SourceRefusedError("its host sends it encoded, though that was not asked for")
        size = _number(headers.get("content-length"))
        found = 0
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            found, size = _range(headers.get("content-range", ""), start)
        if size is not None and size > self._most:
            raise SourceTooLargeError(self._most)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(
            start=found,
            size=size,
            validator=_validator(headers),
            content_type=content_type if _TYPE.fullmatch(content_type) else "application/octet-stream",
            filename=_disposed(headers.get("content-disposition", "")) or name_in(url),
            pieces=self._read(answer.pieces, found),
        )

    async def _read(self, pieces: AsyncIterator[bytes], start: int) -> AsyncGenerator[bytes]:
        """Yield the body, for as long as it comes fast enough and is not too large."""
        loop = asyncio.get_running_loop()
        since, lately, read = loop.time(), 0, start
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise SourceUnavailableError("nothing came for too long") from error
            if piece is None:
                return
            read, lately = read + len(piece), lately + len(piece)
            if read > self._most:
                raise SourceTooLargeError(self._most)
            yield piece
            elapsed = loop.time() - since
            if elapsed >= WINDOW:
                if lately < SLOWEST * elapsed:
                    raise SourceUnavailableError("it comes too slowly")
                since, lately = loop.time(), 0


def clean_name(text: str) -> str:
    """Return the last part of a path as the name of a file, without what no name should hold; empty if none is left."""
    name = text.replace("\\", "/").rpartition("/")[2]
    name = "".join(each for each in name if each.isprintable()).strip(" .")
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 16] + PurePosixPath(name).suffix[:16]


def name_in(url: str) -> str:
    """Return what a URL calls its file."""
    return clean_name(unquote(urlsplit(url).path, errors="replace")) or NAMELESS


def _disposed(header: str) -> str:
    """Return the name in a `Content-Disposition` (RFC 6266), empty if there is none that is usable."""
    message = Message()
    message["content-disposition"] = header.replace("\r", "").replace("\n", "")[:1024]
    try:
        return clean_name(message.get_filename() or "")
    except (LookupError, ValueError, TypeError):  # an encoding that nobody knows
        return ""


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return
    if status in AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.OK:
        pause = min(float(_number(headers.get("retry-after")) or 0), LONGEST_PAUSE)
        raise SourceUnavailableError(f"its host answered {status}", retry_after=pause)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise SourceChangedError
    raise SourceRefusedError(f"its host answered {status}")


def _range(header: str, start: int) -> tuple[int, int]:
    """Return where a part of the whole begins and how large the whole is, if the part goes to the end."""
    match = _RANGE.fullmatch(header.strip().lower())
    first, last, size = map(int, match.groups()) if match else (-1, -1, -1)
    if first != start or last != size - 1:
        raise SourceChangedError
    return first, size


def _validator(headers: Mapping[str, str]) -> str:
    """Return a strong validator (RFC 9110 section 8.8.1) of a host that gives ranges, empty if there is none.

    A date is strong only if the host's clock shows that it lies well back; that is left to the size, which has to be
    the same, and to whoever replaces a film within a second by one of just as many bytes.
    """
    if headers.get("accept-ranges", "").strip().lower() == "none":
        return ""
    etag = headers.get("etag", "").strip()
    if etag.startswith('"') and etag.isascii():
        return etag
    return headers.get("last-modified", "").strip() if not etag else ""


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None
