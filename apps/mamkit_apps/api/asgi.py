"""The API's application factory."""

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin

import mamkit
from mamkit_apps.api import (
    accounts,
    administration,
    api_keys,
    assets,
    health,
    identities,
    letters,
    passkeys,
    previews,
    second_factor,
)
from mamkit_apps.api.access import provide_owner, provide_principal
from mamkit_apps.api.logins import provide_address
from mamkit_apps.api.metrics import Watch
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import lifespan, provide_parts
from mamkit_apps.problems import exception_handlers
from mamkit_apps.wiring import migrate

__all__ = ["create_app", "prepare"]

MAX_BODY = 8 << 20  # bytes; the report of a part with many segments is the largest body, some hundred KiB


def prepare(settings: ApiSettings) -> None:
    """Make the data folder, the secrets and the tables that are missing. Safe to repeat, and to run twice at once.

    Raises:
        SettingsError: A setting cannot be used.
        CatalogError: The database cannot be brought up to date.
    """
    for name in ("edge_signing_key", "jwt_secret", "sealing_keys"):
        settings.ring(name)
    settings.key_pairs()
    for name in ("session_secret", "callback_secret"):
        settings.secret(name)
    migrate(settings)


def create_app(settings: ApiSettings | None = None) -> Litestar:
    """Return the API.

    Args:
        settings: None reads the environment.

    Raises:
        SettingsError: A setting cannot be used.
    """
    return Litestar(
        [
            *accounts.routes,
            *letters.routes,
            *second_factor.routes,
            *passkeys.routes,
            *api_keys.routes,
            *identities.routes,
            *administration.routes,
            *assets.routes,
            *previews.routes,
            *health.routes,
        ],
        state=State({"settings": settings or ApiSettings.load()}),
        lifespan=[lifespan],
        plugins=[Watch()],
        dependencies={
            "parts": Provide(provide_parts, sync_to_thread=False),
            "principal": Provide(provide_principal),
            "owner": Provide(provide_owner),
            "address": Provide(provide_address, sync_to_thread=False),
        },
        exception_handlers=exception_handlers,
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="mamkit", version=mamkit.__version__, render_plugins=[SwaggerRenderPlugin()], path="/schema"
        ),
    )
