"""What stands in the `Authorization` header of a request."""

__all__ = ["bearer_of"]


def bearer_of(header: str) -> str:
    """Return the token that a header shows (RFC 6750 section 2.1); empty if it shows none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
