"""What every request to the edge must pass, a token that grants this key and method, and the store it then reaches."""

from typing import Any

from litestar import Request

from mamkit.signing import Grant, UrlSigner
from mamkit.storage import AsyncStore, ObjectNotFoundError

__all__ = ["authorize", "store_of"]


def authorize(request: Request[Any, Any, Any], token: str, key: str) -> Grant:
    """Return the grant of a request.

    The client's address is that of the connection: no header of the request is believed.

    Raises:
        SigningError: The token is not ours, has expired, or grants something else.
    """
    signer: UrlSigner = request.app.state.signer
    address = request.client.host if request.client else None
    return signer.verify(token, key=key, method=request.method, address=address)


def store_of(request: Request[Any, Any, Any], key: str) -> AsyncStore:
    """Return the store of the zone whose keys start as this one does.

    Raises:
        ObjectNotFoundError: There is no such zone.
    """
    stores: dict[str, AsyncStore] = request.app.state.stores
    zone = key.partition("/")[0]
    if zone not in stores:
        raise ObjectNotFoundError(key)
    return stores[zone]
