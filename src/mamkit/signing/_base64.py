"""base64url without padding (RFC 4648 section 5), one spelling for each sequence of bytes."""

import base64
import binascii

__all__ = ["decode", "encode"]


def encode(data: bytes) -> str:
    """Return bytes as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that a text stands for.

    Raises:
        ValueError: It is not what `encode` makes of any bytes: RFC 4648 section 3.5 leaves room for other spellings.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode(data) != text:
        raise ValueError("not the one spelling of base64url")
    return data
