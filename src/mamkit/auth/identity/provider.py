"""The contract of other people's logins, and how they are asked."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mamkit.auth.identity.errors import IdentityRefusedError, IdentityUnavailableError

__all__ = ["Answer", "Identity", "IdentityProvider", "Started", "Transport"]

_MAX_BODY = 1 << 20  # bytes; what services answer has some KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answered."""

    status: int
    """Of HTTP."""
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Asks a service over HTTP. The library has no client of its own: fill this in with the one that you use.

    Follow no redirects, wait a few seconds at most, and raise `OSError` where there is no answer.
    """

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, with `form` as `application/x-www-form-urlencoded`, and return the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A login that has begun."""

    url: str = field(repr=False)
    """Where to send the browser."""
    kept: Mapping[str, Any] = field(repr=False)
    """What `finish` needs, JSON values: to be kept on the server, for this browser alone (`mamkit.auth.Flows`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as a service says."""

    provider: str
    subject: str
    """Names the account there for good; addresses and names change."""
    email: str | None
    email_verified: bool
    """Whether the service has seen that the address is theirs. Link accounts by address only if it has."""
    name: str = ""


class IdentityProvider(Protocol):
    """A service where people have logins.

    `begin` gives the address to send the browser to; the service sends it back to `redirect_uri`, and `finish` turns
    what it brought into an `Identity`. Both are synchronous, and wait for the network.
    """

    @property
    def name(self) -> str:
        """Short name, as in addresses and records: never changed."""

    def begin(self, *, redirect_uri: str) -> Started:
        """Begin a login.

        Args:
            redirect_uri: Where the service sends the browser back to; registered there.

        Raises:
            IdentityUnavailableError: The service does not answer as it should.
        """

    def finish(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> Identity:
        """Return who logged in.

        Args:
            kept: `Started.kept` of the login that this browser began.
            answer: The parameters that the browser brought to `redirect_uri`.

        Raises:
            IdentityRefusedError: It proves nothing.
            IdentityPendingError: The login there is not finished; only where the browser does not come back by itself.
            IdentityUnavailableError: The service does not answer as it should.
        """


def ask(  # noqa: PLR0917 - a request is what it is
    provider: str,
    transport: Transport,
    method: str,
    url: str,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the JSON object that a service answers.

    Raises:
        IdentityRefusedError: The service says that the request is wrong (a status of 4xx).
        IdentityUnavailableError: There is no answer, or another one.
    """
    try:
        answer = transport(method, url, form=form, headers={"accept": "application/json", **(headers or {})})
    except OSError as error:
        raise IdentityUnavailableError(provider, "it does not answer") from error
    if 400 <= answer.status < 500:
        raise IdentityRefusedError(provider, f"the service answered {answer.status}{_error(answer.body)}")
    if not 200 <= answer.status < 300:
        raise IdentityUnavailableError(provider, f"it answered {answer.status}")
    try:
        found = json.loads(answer.body) if len(answer.body) <= _MAX_BODY else None
    except (ValueError, RecursionError) as error:
        raise IdentityUnavailableError(provider, "its answer is no JSON") from error
    if not isinstance(found, dict):
        raise IdentityUnavailableError(provider, "its answer is no JSON object")
    return found


def pkce() -> tuple[str, str]:
    """Return a new verifier and its challenge (RFC 7636 sections 4.1 and 4.2, method S256)."""
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def code_of(provider: str, kept: Mapping[str, Any], answer: Mapping[str, str]) -> str:
    """Return the authorisation code that a browser brought, if it brought the state of this login (RFC 6749 10.12).

    Raises:
        IdentityRefusedError: It did not, or the service reports an error.
    """
    if not hmac.compare_digest(str(kept["state"]).encode(), answer.get("state", "").encode("utf-8", "surrogatepass")):
        raise IdentityRefusedError(provider, "it belongs to another login than the one that was begun here")
    if "error" in answer:
        known = answer["error"] if answer["error"].replace("_", "").isalpha() else "an error"
        raise IdentityRefusedError(provider, f"the service reports {known[:50]}")
    code = answer.get("code", "")
    if not code:
        raise IdentityRefusedError(provider, "there is no authorisation code")
    return code


def text(provider: str, found: Mapping[str, Any], name: str) -> str:
    """Return a member that must be a text.

    Raises:
        IdentityUnavailableError: It is not.
    """
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise IdentityUnavailableError(provider, f"its answer lacks {name}")
    return value


def identity_of(
    provider: str, found: Mapping[str, Any], *, subject: str, verified: str, names: Sequence[str]
) -> Identity:
    """Return whom the members of an object describe; of them, the address is always `email`.

    Args:
        provider: Which service.
        found: What it says.
        subject: The member that names the account.
        verified: The member that says, by nothing but true, that the service has seen that the address is theirs: a
            text such as "false" is none (OpenID Connect Core section 5.1).
        names: The members that hold a name to show, the best one first.

    Raises:
        IdentityUnavailableError: No account is named.
    """
    email = found.get("email")
    name = next(filter(None, map(found.get, names)), "")
    return Identity(
        provider=provider,
        subject=text(provider, found, subject),
        email=email if isinstance(email, str) else None,
        email_verified=found.get(verified) is True,
        name=name if isinstance(name, str) else "",
    )


def _error(body: bytes) -> str:
    """Return the error code of RFC 6749 section 5.2, if the body has one; never more of it."""
    try:
        code = json.loads(body)["error"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    return f" ({code[:50]})" if isinstance(code, str) and code.replace("_", "").isalpha() else ""
