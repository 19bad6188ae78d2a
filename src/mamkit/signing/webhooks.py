"""Signed HTTP messages from one service to another, in the form of the Standard Webhooks specification 1.0.

Three headers, `webhook-id`, `webhook-timestamp` and `webhook-signature`; the signature is an HMAC-SHA256 over
`{id}.{timestamp}.{body}`.
"""

import base64
import hmac
import re
import secrets as random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mamkit.clock import Clock, utc_now
from mamkit.signing.errors import (
    WebhookInvalidError,
    WebhookReplayedError,
    WebhookSecretError,
    WebhookTimestampError,
)
from mamkit.signing.replay import ReplayGuard

__all__ = ["WebhookSigner", "generate_webhook_secret"]

_MIN_SECRET_BYTES = 24  # Standard Webhooks, "Signature scheme": 24 to 64 bytes
_PREFIX = "whsec_"  # ibid.; so that secret scanners find one that has leaked
_TOLERANCE = timedelta(minutes=5)  # what its reference libraries take

# No dot: the id "a.1" of a message at time 2 would be signed as the id "a" at time 1 with "2." before the body.
_ID = re.compile(r"[!-\-/-~]{1,255}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}")
_MAX_SIGNATURES = 4096  # characters of the header: some 90 signatures


class WebhookSigner:
    """Signs messages, and verifies them.

    To change the secret, have both sides know both for a while: all of them sign, and any one of them verifies.

    Args:
        secrets: Each at least 24 random bytes, or such bytes as text: `whsec_` and their base64.
        tolerance: How far the time of signing may be from now.
        clock: Tells the time of signing and of verifying.
        replays: Remembers what was accepted; None lets the same message pass again until its time has run out.

    Raises:
        WebhookSecretError: There is no secret, or one is not as described.
    """

    def __init__(
        self,
        *secrets: bytes | str,
        tolerance: timedelta = _TOLERANCE,
        clock: Clock = utc_now,
        replays: ReplayGuard | None = None,
    ) -> None:
        if not secrets:
            raise WebhookSecretError("a webhook signer needs a secret; make one with generate_webhook_secret()")
        self._secrets = [_read_secret(secret, position) for position, secret in enumerate(secrets, 1)]
        self._tolerance = tolerance
        self._clock = clock
        self._replays = replays

    def __repr__(self) -> str:
        return f"<WebhookSigner of {len(self._secrets)} secrets>"

    def sign(self, message_id: str, body: bytes, *, sent_at: datetime | None = None) -> dict[str, str]:
        """Return the headers of a message.

        Args:
            message_id: Tells the message from others; stays the same when it is sent anew. 1 to 255 printable ASCII
                characters other than blank and dot.
            body: The bytes that are sent.
            sent_at: Aware; now, if it is None.

        Raises:
            WebhookInvalidError: `message_id` is no such id.
        """
        if not _ID.fullmatch(message_id):
            raise WebhookInvalidError("its id is not 1 to 255 printable ASCII characters other than blank and dot")
        timestamp = str(int((sent_at or self._clock()).timestamp()))
        signatures = [_signature(secret, message_id, timestamp, body) for secret in self._secrets]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        }

    def verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the id of a message that is good; anything else raises.

        A sender that got no answer sends the message anew, with the same id and a new time: whoever handles it must
        look at the id for what it has done already.

        Args:
            headers: Of the request; names in any case.
            body: The bytes that came, untouched.

        Raises:
            WebhookInvalidError: A header is missing or no such header, or no secret gives the signature.
            WebhookTimestampError: The message was signed too long ago, or in the future.
            WebhookReplayedError: The same message, signed at the same time, was accepted before.
        """
        found = {name.lower(): value for name, value in headers.items()}
        message_id = _header(found, "webhook-id", _ID)
        timestamp = _header(found, "webhook-timestamp", _TIMESTAMP)
        given = found.get("webhook-signature", "")
        if len(given) > _MAX_SIGNATURES or not given.isascii():
            raise WebhookInvalidError("the header webhook-signature is no list of signatures")
        wanted = [_signature(secret, message_id, timestamp, body) for secret in self._secrets]
        # All are compared, so that the time taken does not tell which one fits.
        if not any([hmac.compare_digest(a, b) for a in wanted for b in given.split(" ")]):  # noqa: C419
            raise WebhookInvalidError("it was not signed with a secret of this signer, or was changed since")
        self._check_time(message_id, int(timestamp))
        return message_id

    def _check_time(self, message_id: str, timestamp: int) -> None:
        sent_at, now = datetime.fromtimestamp(timestamp, UTC), self._clock()
        if abs(now - sent_at) > self._tolerance:
            raise WebhookTimestampError(sent_at, now)
        until = sent_at + self._tolerance
        if self._replays is not None and not self._replays.remember(f"{message_id}.{timestamp}", until=until):
            raise WebhookReplayedError(message_id)


def generate_webhook_secret() -> str:
    """Return a new secret as text."""
    return _PREFIX + base64.b64encode(random.token_bytes(32)).decode()


def _read_secret(secret: bytes | str, position: int) -> bytes:
    if isinstance(secret, str):
        prefix, encoded = secret[: len(_PREFIX)], secret[len(_PREFIX) :]
        try:
            secret = base64.b64decode(encoded, validate=True) if prefix == _PREFIX else b""
        except ValueError:
            secret = b""
    if len(secret) < _MIN_SECRET_BYTES:
        raise WebhookSecretError(
            f"secret {position} is not {_MIN_SECRET_BYTES} bytes or more, or, as text, {_PREFIX!r} and their base64"
        )
    return secret


def _header(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = headers.get(name, "")
    if not pattern.fullmatch(value):
        raise WebhookInvalidError(f"the header {name} is missing, or not as it must be")
    return value


def _signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
