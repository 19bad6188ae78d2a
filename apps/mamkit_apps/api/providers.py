"""The services at which people may log in, as the settings name them."""

import json
from collections.abc import Mapping
from typing import Any

from mamkit.auth.identity import (
    DiscordProvider,
    IdentityProvider,
    IdentityUnavailableError,
    OidcProvider,
    PlexProvider,
    Transport,
)
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.settings import SettingsError

__all__ = ["open_providers"]


def open_providers(settings: ApiSettings, transport: Transport) -> Mapping[str, IdentityProvider]:
    """Return the services by name.

    Raises:
        SettingsError: `OIDC_PROVIDERS` cannot be read.
    """
    found: dict[str, IdentityProvider] = {}
    for entry in _entries(settings):
        try:
            provider = OidcProvider(
                entry["name"],
                issuer=entry["issuer"],
                client_id=entry["client_id"],
                client_secret=entry.get("client_secret"),
                transport=transport,
            )
        except (LookupError, TypeError, AttributeError, IdentityUnavailableError):
            raise _unusable() from None
        found[provider.name] = provider
    if settings.discord_client_id is not None and settings.discord_client_secret is not None:
        secret = settings.discord_client_secret.get_secret_value()
        found["discord"] = DiscordProvider(
            client_id=settings.discord_client_id, client_secret=secret, transport=transport
        )
    if settings.plex_client_identifier is not None:
        found["plex"] = PlexProvider(
            client_identifier=settings.plex_client_identifier, product=settings.site_name, transport=transport
        )
    return found


def _entries(settings: ApiSettings) -> list[Any]:
    if settings.oidc_providers is None:
        return []
    try:
        entries = json.loads(settings.oidc_providers.get_secret_value())
    except ValueError:
        raise _unusable() from None
    if not isinstance(entries, list):
        raise _unusable()
    return entries


def _unusable() -> SettingsError:
    return SettingsError(
        'OIDC_PROVIDERS: must be JSON, [{"name": …, "issuer": "https://…", "client_id": …, "client_secret": …}]',
        names=("OIDC_PROVIDERS",),
    )
