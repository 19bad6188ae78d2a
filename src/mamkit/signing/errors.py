"""What signing and verifying raise. None of it holds a secret, a token or a signature."""

from datetime import datetime

from mamkit.errors import MamkitError

__all__ = [
    "InvalidGrantError",
    "KeyRingError",
    "SignatureAddressError",
    "SignatureExpiredError",
    "SignatureInvalidError",
    "SignatureMethodError",
    "SignatureScopeError",
    "SigningError",
    "UnknownKeyError",
    "WebhookError",
    "WebhookInvalidError",
    "WebhookReplayedError",
    "WebhookSecretError",
    "WebhookTimestampError",
]


class SigningError(MamkitError):
    """Base of what `mamkit.signing` raises."""

    code = "signing.error"


class KeyRingError(SigningError, ValueError):
    """A key ring cannot be made of what was given; the message says which part, not what stands there."""

    code = "signing.key_ring"


class InvalidGrantError(SigningError, ValueError):
    """A grant cannot be signed as it is.

    Attributes:
        field: Name of the field that is wrong.
    """

    code = "signing.invalid_grant"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"a grant cannot have such {field}: {reason}")
        self.field = field


class SignatureInvalidError(SigningError):
    """A token was not made by a holder of the key, or was changed since."""

    code = "signing.invalid"

    def __init__(self, reason: str = "it was not signed with a key of this ring, or was changed since") -> None:
        super().__init__(f"the token is not valid: {reason}")


class UnknownKeyError(SignatureInvalidError, LookupError):
    """A key id is not on the ring: it was retired, or never was.

    Attributes:
        kid: The key id.
    """

    code = "signing.unknown_key"

    def __init__(self, kid: str) -> None:
        super().__init__(f"there is no key {kid!r:.40} on the ring")
        self.kid = kid


class SignatureExpiredError(SigningError):
    """A token was good once, and is not any more.

    Attributes:
        expired_at: Until when it was.
    """

    code = "signing.expired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"the token expired at {expired_at.isoformat()}; ask for a new one")
        self.expired_at = expired_at


class SignatureScopeError(SigningError):
    """A token grants another key than the one that was asked for, or this is no key at all.

    Attributes:
        key: What was asked for.
        scope: What the token grants.
    """

    code = "signing.scope"

    def __init__(self, key: str, scope: str) -> None:
        super().__init__(f"the token grants {scope!r}, and not {key!r:.200}")
        self.key = key
        self.scope = scope


class SignatureMethodError(SigningError):
    """A token grants other methods than the one that was used.

    Attributes:
        method: What was used.
        allowed: What the token grants.
    """

    code = "signing.method"

    def __init__(self, method: str, allowed: frozenset[str]) -> None:
        super().__init__(f"the token grants {', '.join(sorted(allowed))}, and not {method!r:.40}")
        self.method = method
        self.allowed = allowed


class SignatureAddressError(SigningError):
    """A token is bound to another client address.

    Attributes:
        address: The client's, None if it is not known.
        allowed: The network that the token is bound to.
    """

    code = "signing.address"

    def __init__(self, address: str | None, allowed: str) -> None:
        super().__init__(f"the token is bound to the address {allowed}, and the client's is {address!r:.60}")
        self.address = address
        self.allowed = allowed


class WebhookError(SigningError):
    """Base of what is wrong with a webhook message."""

    code = "signing.webhook"


class WebhookSecretError(WebhookError, ValueError):
    """A webhook secret is too short, or no secret at all; the message does not show it."""

    code = "signing.webhook_secret"


class WebhookInvalidError(WebhookError):
    """A message was not signed by a holder of the secret, was changed since, or lacks a header."""

    code = "signing.webhook_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the message is not valid: {reason}")


class WebhookTimestampError(WebhookError):
    """A message is good, but was signed too long ago or, by this machine's clock, in the future.

    Attributes:
        sent_at: When it was signed.
        received_at: When it was verified.
    """

    code = "signing.webhook_timestamp"

    def __init__(self, sent_at: datetime, received_at: datetime) -> None:
        super().__init__(
            f"the message was signed at {sent_at.isoformat()}, too far from {received_at.isoformat()}; "
            "send it anew, or set the clocks"
        )
        self.sent_at = sent_at
        self.received_at = received_at


class WebhookReplayedError(WebhookError):
    """The very same signed message was accepted before.

    Attributes:
        message_id: Its id.
    """

    code = "signing.webhook_replayed"

    def __init__(self, message_id: str) -> None:
        super().__init__(f"the message {message_id!r} was accepted before")
        self.message_id = message_id
