"""Logins at Plex: a PIN that somebody confirms there (Plex developer documentation, "Authenticating with Plex")."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from mamkit.auth.identity.errors import IdentityPendingError, IdentityRefusedError, IdentityUnavailableError
from mamkit.auth.identity.provider import Identity, Started, Transport, ask, identity_of, text

__all__ = ["PlexProvider"]


class PlexProvider:
    """Logins at Plex by a strong PIN.

    The browser comes back without proof of anything; the server asks Plex about the PIN that it made itself.

    Args:
        client_identifier: Names this installation, e.g. a UUID made once.
        product: Name that Plex shows to people.
        transport: Asks Plex.
        site: Base URL of the interface.
        app: Base URL of the pages.
    """

    name = "plex"

    def __init__(
        self,
        *,
        client_identifier: str,
        product: str = "mamkit",
        transport: Transport,
        site: str = "https://plex.tv",
        app: str = "https://app.plex.tv",
    ) -> None:
        self._client_identifier = client_identifier
        self._product = product
        self._transport = transport
        self._site = site
        self._app = app

    def begin(self, *, redirect_uri: str) -> Started:
        """Begin a login; see `IdentityProvider`."""
        pin = ask(self.name, self._transport, "POST", f"{self._site}/api/v2/pins", {"strong": "true"}, self._headers())
        pin_id, code = pin.get("id"), text(self.name, pin, "code")
        if type(pin_id) is not int:
            raise IdentityUnavailableError(self.name, "its answer lacks id")
        state = secrets.token_urlsafe(24)
        forward = f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode({'state': state})}"
        parameters = {
            "clientID": self._client_identifier,
            "code": code,
            "forwardUrl": forward,
            "context[device][product]": self._product,
        }
        return Started(
            url=f"{self._app}/auth#?{urlencode(parameters, quote_via=quote)}",
            kept={"state": state, "pin_id": pin_id, "code": code},
        )

    def finish(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> Identity:
        """Return who logged in; see `IdentityProvider`."""
        if not secrets.compare_digest(str(kept["state"]).encode(), answer.get("state", "").encode("utf-8", "replace")):
            raise IdentityRefusedError(self.name, "it belongs to another login than the one that was begun here")
        query = urlencode({"code": kept["code"]})
        pin = ask(
            self.name,
            self._transport,
            "GET",
            f"{self._site}/api/v2/pins/{int(kept['pin_id'])}?{query}",
            headers=self._headers(),
        )
        token = pin.get("authToken")
        if not isinstance(token, str) or not token:
            raise IdentityPendingError(self.name)
        headers = {**self._headers(), "x-plex-token": token}
        user = ask(self.name, self._transport, "GET", f"{self._site}/api/v2/user", headers=headers)
        return identity_of(self.name, user, subject="uuid", verified="confirmed", names=("friendlyName", "username"))

    def _headers(self) -> dict[str, str]:
        return {"x-plex-client-identifier": self._client_identifier, "x-plex-product": self._product}
