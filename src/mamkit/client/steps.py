"""What both clients do, as steps: a generator yields what it wants done, and is sent what came of it.

So the order of requests, what is tried again, and what an answer means are written once, without I/O. `synchronous` and
`asynchronous` do the I/O, in one loop each.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mamkit.client.errors import ApiError, ApiUnavailableError, NotUnderstoodError

__all__ = [
    "Answer",
    "Call",
    "Credentials",
    "Document",
    "FileRange",
    "Lost",
    "Pause",
    "Progress",
    "Run",
    "Steps",
    "api",
    "store",
]

TRIES = 6  # with the pauses below, half a minute: a service that restarts is back by then
FIRST_PAUSE = 0.5  # seconds; each further one is twice as long
LONGEST_PAUSE = 60.0  # seconds; a server that asks for more is not waited for
AGAIN = frozenset({429, 502, 503, 504})  # statuses after which the same request may do (RFC 9110 section 15, RFC 6585)


class Progress(Protocol):
    """Is told how far an upload is: 0 once the file is read, then what is there already, and then what is sent."""

    def __call__(self, sent: int, size: int, /) -> object:
        """Take note.

        Args:
            sent: Bytes that were sent, or were there already; after a failed try it may be less than before.
            size: Bytes of the file.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRange:
    """A run of bytes of a file, as the body of a request."""

    path: Path
    start: int
    size: int
    """Bytes."""
    sent: Callable[[int], object] = field(default=lambda _: None, repr=False)
    """Is told how many bytes of the run were sent so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to be sent."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    body: FileRange | None = None
    patience: float = 0.0
    """Seconds without a sign of life for which an answer is waited for beyond the client's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Time to be let pass."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Something that blocks, such as reading a file, to be done off the event loop."""

    do: Callable[[], Any] = field(repr=False)


class Document(dict[str, Any]):
    """A JSON object of an answer; a member that is not there says that the two do not understand each other."""

    def __missing__(self, name: str) -> Any:
        raise NotUnderstoodError(f"an answer lacks the member {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    document: Any = field(repr=False)
    """The JSON body; None if it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """There was no answer."""

    reason: Exception


Result = TypeVar("Result")
Steps = Generator[Call | Pause | Run, Any, Result]
"""Steps that end with a result."""


class Credentials:
    """Who a client is.

    Args:
        base_url: Of the API.
        token: An API key or an access token.
    """

    def __init__(self, base_url: str, token: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._refresh_token = ""

    def __repr__(self) -> str:
        return f"Credentials({self.base_url!r})"

    def header(self) -> dict[str, str]:
        """Return the header that says who asks."""
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    def take(self, tokens: Mapping[str, Any]) -> None:
        """Be whom a login was for."""
        self._token, self._refresh_token = tokens["access_token"], tokens["refresh_token"]

    def renew(self) -> "Steps[bool]":
        """Exchange the refresh token for the next one; return whether that could be done."""
        if not self._refresh_token:
            return False
        body = {"refresh_token": self._refresh_token}
        answer = yield from _sent(Call(method="POST", url=f"{self.base_url}/auth/refresh", json=body))
        if answer.status != 200:
            self._refresh_token = ""
            return False
        self.take(answer.document)
        return True


def api(
    credentials: Credentials,
    method: str,
    path: str,
    json: Mapping[str, Any] | None = None,
    *,
    params: Mapping[str, str] | None = None,
    key: str = "",
    patience: float = 0.0,
) -> Steps[Any]:
    """Ask the API and return the document that it answers.

    Args:
        credentials: Of whoever asks.
        method: Of the request.
        path: Of the request.
        json: Its body.
        params: Its query.
        key: `Idempotency-Key`, so that a request whose answer was lost does nothing twice.
        patience: Seconds that it may take longer than other requests.

    Raises:
        ApiError: The API refused.
        ApiUnavailableError: It did not answer.
        NotUnderstoodError: The answer is no JSON document.
    """
    more = {"idempotency-key": f'"{key}"'} if key else {}

    def call() -> Call:
        headers = {**credentials.header(), **more}
        url = credentials.base_url + path
        return Call(method=method, url=url, headers=headers, json=json, params=params or {}, patience=patience)

    answer = yield from _sent(call())
    if answer.status == 401 and (yield from credentials.renew()):
        answer = yield from _sent(call())
    found = _document(f"{method} {path}", answer)
    if found is None:
        raise NotUnderstoodError(f"{_origin(credentials.base_url)} answers {method} {path} with no JSON document")
    return found


def store(call: Call) -> Steps[None]:
    """Send a presigned request; the URL is never shown.

    Raises:
        ApiError: The store refused.
        ApiUnavailableError: It did not answer.
    """
    _document(f"{call.method} to the store", (yield from _sent(call)))


def _sent(call: Call) -> Steps[Answer]:
    """Send a request until there is an answer that is worth something."""
    pause, tries = FIRST_PAUSE, 0
    while True:
        found: Answer | Lost = yield call
        tries += 1
        last = tries == TRIES
        if isinstance(found, Lost):
            if last:
                what = f"{call.method} to {_origin(call.url)}"
                raise ApiUnavailableError(what, tries=tries, reason=found.reason) from found.reason
            yield Pause(seconds=pause)
        elif found.status in AGAIN and not last and (asked := _asked_pause(found, pause)) <= LONGEST_PAUSE:
            yield Pause(seconds=asked)
        else:
            return found
        pause *= 2


def _asked_pause(answer: Answer, default: float) -> float:
    """Return how long a server asks us to wait, in seconds (RFC 9110 section 10.2.3)."""
    try:
        seconds = float(answer.headers.get("retry-after", default))
    except ValueError:  # a date, which our servers do not send
        return default
    return seconds if isfinite(seconds) and seconds >= 0 else default


def _document(what: str, answer: Answer) -> Any:
    if 200 <= answer.status < 300:
        return answer.document
    found = answer.document if isinstance(answer.document, dict) else {}
    raise ApiError(
        what,
        status=answer.status,
        detail=_detail(found),
        problem=str(found.get("code") or ""),
        request_id=str(found.get("request_id") or ""),
    )


def _detail(found: Mapping[str, Any]) -> str:
    """Return what a problem document says, and of a member that cannot be used, which it is and why."""
    errors = found.get("errors")
    faults = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    told = [f"{each.get('key')}: {each.get('message')}" for each in faults]
    return "; ".join([str(found.get("detail") or "no reason given"), *told])


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
