"""An OpenID Connect provider in a process of its own, and a browser that logs in there."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.servers.postgres import free_port

PATIENCE = 60  # seconds for a start on a busy machine
ADA = {"sub": "ada", "email": "ada@example.org", "email_verified": True, "name": "Ada Lovelace"}
EVE = {"sub": "eve", "email": "ada@example.org", "email_verified": False, "name": "Eve"}


@dataclass(frozen=True)
class Issuer:
    """A running provider with one registered client."""

    url: str
    client_id: str
    client_secret: str

    def log_in(self, url: str, *, sub: str = "ada") -> dict[str, str]:
        """Log in as a browser does, and return the parameters with which it is sent back."""
        answer = httpx.post(url, data={"sub": sub}, follow_redirects=False)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@contextlib.contextmanager
def running(redirect_uri: str, *, port: int | None = None) -> Iterator[Issuer]:
    """Run a provider, with new keys, until the block ends.

    Args:
        redirect_uri: Of the client that is registered.
        port: Where; a free one if not given.
    """
    port = port or free_port()
    users = [argument for user in (ADA, EVE) for argument in ("--user-claims", json.dumps(user))]
    process = subprocess.Popen(
        [
            sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port),
            "--require-registration", "true", "--require-nonce", "true", *users,
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = httpx.post(f"{url}/oauth2/clients", json={"redirect_uris": [redirect_uri]})
            except httpx.TransportError:
                assert process.poll() is None, "the provider did not start"
                assert time.monotonic() < deadline, "the provider does not answer"
                time.sleep(0.05)
            else:
                break
        assert answer.status_code == 201, answer.text
        client = answer.json()
        yield Issuer(url, client["client_id"], client["client_secret"])
    finally:
        process.terminate()
        process.wait(PATIENCE)
