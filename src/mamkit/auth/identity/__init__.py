"""Other people's logins: OpenID Connect, Discord, Plex, or one of yours that keeps `IdentityProvider`.

    provider = OidcProvider("keycloak", issuer="https://id.example.org/realms/x", client_id=…, transport=…)
    started = provider.begin(redirect_uri="https://video.example.org/auth/providers/keycloak/callback")
    handle = flows.open("keycloak", started.kept)  # into a cookie; the browser goes to started.url, and comes back
    identity = provider.finish(flows.finish("keycloak", handle), answer)

SAML 2.0 has no implementation here: what handles its XML signatures safely is a service of its own, which speaks OpenID
Connect to us. `IdentityProvider` is the seam.
"""

from mamkit.auth.identity.discord import DiscordProvider
from mamkit.auth.identity.errors import (
    IdentityError,
    IdentityPendingError,
    IdentityRefusedError,
    IdentityUnavailableError,
)
from mamkit.auth.identity.oidc import OidcProvider
from mamkit.auth.identity.plex import PlexProvider
from mamkit.auth.identity.provider import Answer, Identity, IdentityProvider, Started, Transport

__all__ = [
    "Answer",
    "DiscordProvider",
    "Identity",
    "IdentityError",
    "IdentityPendingError",
    "IdentityProvider",
    "IdentityRefusedError",
    "IdentityUnavailableError",
    "OidcProvider",
    "PlexProvider",
    "Started",
    "Transport",
]
