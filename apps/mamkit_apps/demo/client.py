"""A client of the API that knows HTTP and nothing of the library."""

import hashlib
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx

from mamkit.errors import MamkitError

__all__ = ["Client", "RefusedError", "sha256_of_file", "upload"]

BLOCK = 1 << 20  # bytes
TIMEOUT = 60.0  # seconds; the API answers at once, a hash of a large upload takes a while


class RefusedError(MamkitError):
    """A service answered with something else than success.

    Attributes:
        status: HTTP status.
        problem: Stable code of the problem document, if there was one.
    """

    code = "apps.refused"

    def __init__(self, response: httpx.Response) -> None:
        try:
            document = response.json()
        except ValueError:
            document = {}
        what = document.get("detail") or response.reason_phrase
        path = response.request.url.path.partition("/s/")[0] or "/s/…"  # what follows /s/ is a token
        super().__init__(f"{response.request.method} {path} answered {response.status_code}: {what}")
        self.status = response.status_code
        self.problem = document.get("code")


class Client:
    """Talks to one API as one user; renews its access token when that has expired.

    Args:
        api_url: Base URL.
    """

    def __init__(self, api_url: str) -> None:
        self._http = httpx.Client(base_url=api_url, timeout=TIMEOUT)
        self._refresh_token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def register(self, email: str, password: str) -> None:
        """Make an account."""
        self._take(self._call("POST", "/auth/register", {"email": email, "password": password}))

    def log_in(self, email: str, password: str) -> None:
        """Log in."""
        self._take(self._call("POST", "/auth/login", {"email": email, "password": password}))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a document and return the answer."""
        return self._call("POST", path, body)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return a document."""
        return self._call("GET", path, None, parameters)

    def events(self, version_id: str) -> Iterator[dict[str, Any] | None]:
        """Yield what the event stream of a preview says, and None for each sign of life between, until it ends."""
        with self._http.stream("GET", "/api/preview/events", params={"version_id": version_id}) as response:
            if not response.is_success:
                response.read()
                raise RefusedError(response)
            for line in response.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))
                elif line.startswith(":"):
                    yield None

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, parameters: dict[str, str] | None = None
    ) -> dict[str, Any]:
        response = self._http.request(method, path, json=body, params=parameters)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._refresh_token:
            token, self._refresh_token = self._refresh_token, ""
            self._take(self._call("POST", "/auth/refresh", {"refresh_token": token}))
            response = self._http.request(method, path, json=body, params=parameters)
        if not response.is_success:
            raise RefusedError(response)
        answer: dict[str, Any] = response.json()
        return answer

    def _take(self, tokens: dict[str, Any]) -> None:
        self._http.headers["authorization"] = f"Bearer {tokens['access_token']}"
        self._refresh_token = tokens["refresh_token"]


def upload(path: Path, request: dict[str, Any], advance: Callable[[float], None]) -> None:
    """Send a file as a presigned request says, in blocks.

    Raises:
        RefusedError: The store did not take it.
    """
    size = path.stat().st_size

    def blocks() -> Iterator[bytes]:
        sent = 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
                sent += len(block)
                advance(sent / size)

    headers = request["headers"] | {"content-length": str(size)}
    response = httpx.request(request["method"], request["url"], content=blocks(), headers=headers, timeout=TIMEOUT)
    if not response.is_success:
        raise RefusedError(response)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
