"""base64url without padding (RFC 4648 section 5), one spelling for each sequence of bytes."""

import binascii

__all__ = ["decode", "encode"]

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/!!")  # the standard alphabet's own two are no spelling of this one


def encode(data: bytes) -> str:
    """Return bytes as text."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that a text stands for.

    Raises:
        ValueError: It is not what `encode` makes of any bytes: RFC 4648 section 3.5 leaves room for other spellings.
    """
    try:
        data = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error
    if encode(data) != text:  # which also finds characters that the decoder has skipped
        raise ValueError("not the one spelling of base64url")
    return data
