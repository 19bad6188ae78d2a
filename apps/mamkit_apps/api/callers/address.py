"""Where a request came from: the peer, or whom the trusted proxies have seen."""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.types import Scope

from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.limits import client_address

__all__ = ["Address", "address_of", "provide_address"]

Address = NamedDependency[str]
"""Where a request came from, as far as the server knows."""


def provide_address(request: Request[Any, Any, Any]) -> str:
    """Return the network address of whoever sent a request."""
    return address_of(request.scope, request.app.state.parts.settings)


def address_of(scope: Scope, settings: ApiSettings) -> str:
    """Return the same for an ASGI scope: what is connected, or whom the proxies that are trusted have seen."""
    client = scope.get("client")
    peer = client[0] if client else None
    if settings.trusted_proxies:
        seen = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        peer = client_address(peer, seen, settings.trusted_proxies)
    return peer or "unknown"
