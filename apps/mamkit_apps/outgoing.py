"""How the services ask others over HTTP."""

from collections.abc import Mapping

import httpx

from mamkit.auth.identity import Answer

__all__ = ["HttpTransport"]

TIMEOUT = 10.0  # seconds; somebody waits for the login
MAX_BODY = 1 << 20  # bytes


class HttpTransport:
    """A `mamkit.auth.identity.Transport`: follows no redirects, waits 10 s and reads 1 MiB at the most."""

    def __init__(self) -> None:
        self._client = httpx.Client(follow_redirects=False, timeout=TIMEOUT)

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return the answer.

        Raises:
            OSError: There is none, or one that is too long.
        """
        data = None if form is None else dict(form)
        try:
            with self._client.stream(method, url, data=data, headers=dict(headers or {})) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_BODY:
                        raise ConnectionError("the answer is too long")
                return Answer(status=answer.status_code, body=bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionError("there is no answer") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
