"""What every request to the edge must pass: a token in the path that grants just this key and method."""

from typing import Any

from litestar import Request

from mamkit.signing import Grant, UrlSigner

__all__ = ["authorize"]


def authorize(request: Request[Any, Any, Any], token: str, key: str) -> Grant:
    """Return the grant of a request.

    The client's address is that of the connection: no header of the request is believed.

    Raises:
        SigningError: The token is not ours, has expired, or grants something else.
    """
    signer: UrlSigner = request.app.state.signer
    address = request.client.host if request.client else None
    return signer.verify(token, key=key, method=request.method, address=address)
