"""Logins at Discord, which speaks OAuth 2.0 and not OpenID Connect (Discord developer documentation, "OAuth2")."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from mamkit.auth.identity.provider import Identity, Started, Transport, ask, code_of, identity_of, pkce, text

__all__ = ["DiscordProvider"]


class DiscordProvider:
    """Logins at Discord: authorisation code with PKCE and state.

    Args:
        client_id: Of the application registered there.
        client_secret: The same.
        transport: Asks Discord.
        site: Base URL of Discord.
    """

    name = "discord"

    def __init__(
        self, *, client_id: str, client_secret: str, transport: Transport, site: str = "https://discord.com"
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._transport = transport
        self._site = site

    def begin(self, *, redirect_uri: str) -> Started:
        """Begin a login; see `IdentityProvider`."""
        verifier, challenge = pkce()
        state = secrets.token_urlsafe(24)
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "identify email",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return Started(
            url=f"{self._site}/oauth2/authorize?{urlencode(parameters)}",
            kept={"state": state, "verifier": verifier, "redirect_uri": redirect_uri},
        )

    def finish(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> Identity:
        """Return who logged in; see `IdentityProvider`."""
        form = {
            "grant_type": "authorization_code",
            "code": code_of(self.name, kept, answer),
            "redirect_uri": str(kept["redirect_uri"]),
            "code_verifier": str(kept["verifier"]),
        }
        pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
        basic = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        tokens = ask(self.name, self._transport, "POST", f"{self._site}/api/oauth2/token", form, basic)
        bearer = {"authorization": f"Bearer {text(self.name, tokens, 'access_token')}"}
        user = ask(self.name, self._transport, "GET", f"{self._site}/api/users/@me", headers=bearer)
        return identity_of(self.name, user, subject="id", verified="verified", names=("global_name", "username"))
