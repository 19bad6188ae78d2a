"""URLs and messages that carry their own permission: HMAC-SHA256, keys that rotate, the standard library alone.

from datetime import timedelta
from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner

signer = UrlSigner(KeyRing.generate())
grant = Grant(scope="previews/42/", expires_at=utc_now() + timedelta(minutes=10))
url = signer.url("https://edge.example.org", grant, "previews/42/index.m3u8")
signer.verify(url.split("/")[4], key="previews/42/720p/segment_00000.m4s")  # the grant, or an error that says why
"""

from mamkit.signing.carriers import Carried, find_token
from mamkit.signing.errors import (
    InvalidGrantError,
    KeyRingError,
    SignatureAddressError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureMethodError,
    SignatureScopeError,
    SigningError,
    UnknownKeyError,
    WebhookError,
    WebhookInvalidError,
    WebhookReplayedError,
    WebhookSecretError,
    WebhookTimestampError,
)
from mamkit.signing.grant import Grant, is_plain_key
from mamkit.signing.keyring import KeyRing
from mamkit.signing.replay import MemoryReplayGuard, ReplayGuard, ReplayGuardFullError
from mamkit.signing.urls import UrlSigner, token_id
from mamkit.signing.webhooks import WebhookSigner, generate_webhook_secret

__all__ = [
    "Carried",
    "Grant",
    "InvalidGrantError",
    "KeyRing",
    "KeyRingError",
    "MemoryReplayGuard",
    "ReplayGuard",
    "ReplayGuardFullError",
    "SignatureAddressError",
    "SignatureExpiredError",
    "SignatureInvalidError",
    "SignatureMethodError",
    "SignatureScopeError",
    "SigningError",
    "UnknownKeyError",
    "UrlSigner",
    "WebhookError",
    "WebhookInvalidError",
    "WebhookReplayedError",
    "WebhookSecretError",
    "WebhookSigner",
    "WebhookTimestampError",
    "find_token",
    "generate_webhook_secret",
    "is_plain_key",
    "token_id",
]
