"""The API's application factory."""

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

import mamkit
from mamkit_apps.api import health, jobs
from mamkit_apps.api.accounts import (
    administration,
    api_keys,
    identities,
    letters,
    passkeys,
    second_factor,
    sessions,
)
from mamkit_apps.api.callers.access import provide_owner, provide_principal
from mamkit_apps.api.callers.address import provide_address
from mamkit_apps.api.callers.visitors import provide_visitor
from mamkit_apps.api.described import JsonPage, ReadablePage, StyleSheet
from mamkit_apps.api.events import notifications, sockets, streams, webhooks
from mamkit_apps.api.imports import routes as imports
from mamkit_apps.api.imports.wiring import importing
from mamkit_apps.api.library import (
    assets,
    captions,
    collections,
    comments,
    finding,
    playback,
    previews,
    share_links,
    shared,
    shares,
    stats,
    trash,
    uploads,
    workspaces,
)
from mamkit_apps.api.lifespan import lifespan
from mamkit_apps.api.metrics import Watch
from mamkit_apps.api.middleware.envelope import Envelope
from mamkit_apps.api.middleware.idempotency import Idempotency
from mamkit_apps.api.middleware.limits import RateLimits
from mamkit_apps.api.middleware.representation import Representation
from mamkit_apps.api.problems import exception_handlers
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import provide_parts
from mamkit_apps.tracing import open_tracing
from mamkit_apps.wiring import migrate

__all__ = ["create_app", "prepare"]

DESCRIPTION = "Assets, their previews, and who may see them. Errors are problem documents (RFC 9457)."
MAX_BODY = 1 << 20  # bytes; the drawing of a comment is the largest, some hundred KiB


def prepare(settings: ApiSettings) -> None:
    """Make the data folder, the secrets and the tables that are missing. Safe to repeat, and to run twice at once.

    Raises:
        SettingsError: A setting cannot be used.
        CatalogError: The database cannot be brought up to date.
    """
    settings.make_secrets()
    migrate(settings)


def create_app(settings: ApiSettings | None = None) -> Litestar:
    """Return the API.

    Args:
        settings: None reads the environment.

    Raises:
        SettingsError: A setting cannot be used.
        MissingExtraError: Traces are asked for, and the extra `telemetry` is not installed.
    """
    settings = settings or ApiSettings.load()
    tracing = open_tracing(settings, "mamkit-api")
    app = Litestar(
        [
            *sessions.routes,
            *letters.routes,
            *second_factor.routes,
            *passkeys.routes,
            *api_keys.routes,
            *identities.routes,
            *administration.routes,
            *shares.routes,
            *jobs.routes,
            *workspaces.routes,
            Router(
                "/api",
                route_handlers=[
                    *assets.handlers,
                    *finding.handlers,
                    *trash.handlers,
                    *comments.handlers,
                    *stats.handlers,
                ],
            ),
            *collections.routes,
            *share_links.routes,
            *shared.routes,
            *uploads.routes,
            *imports.routes,
            *previews.routes,
            *playback.routes,
            *captions.routes,
            *streams.routes,
            *sockets.handlers,
            *webhooks.routes,
            *notifications.routes,
            *health.routes,
        ],
        state=State({"settings": settings, "tracing": tracing}),
        lifespan=[lifespan, importing],
        plugins=[Watch()],
        dependencies={
            "parts": Provide(provide_parts, sync_to_thread=False),
            "principal": Provide(provide_principal),
            "owner": Provide(provide_owner),
            "visitor": Provide(provide_visitor),
            "address": Provide(provide_address, sync_to_thread=False),
        },
        middleware=[RateLimits(), Representation(), Idempotency()],
        cors_config=_cors(settings),
        exception_handlers=exception_handlers,
        request_max_body_size=MAX_BODY,
        logging_config=None,  # the process decides where its log goes
        openapi_config=OpenAPIConfig(
            title="mamkit",
            version=mamkit.__version__,
            description=DESCRIPTION,
            use_handler_docstrings=True,
            render_plugins=[ReadablePage(), JsonPage(), StyleSheet()],
            path="/schema",
        ),
    )
    app.asgi_handler = Envelope(
        app.asgi_handler, https=settings.api_url.startswith("https:"), subdomains=settings.hsts_subdomains
    )
    if tracing is not None:
        from mamkit_apps.api.middleware.traced import TracedRequests  # noqa: PLC0415 - of an extra that most do without

        app.asgi_handler = TracedRequests(app.asgi_handler, tracing, incoming=settings.trace_incoming)
    return app


def _cors(settings: ApiSettings) -> CORSConfig | None:
    """Return what scripts of other origins may do: with a bearer token, which no browser sends by itself."""
    if not settings.api_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.api_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            "authorization",
            "content-type",
            "if-match",
            "if-none-match",
            "idempotency-key",
            "share-pass",
            "last-event-id",
            "x-request-id",
        ],
        expose_headers=["etag", "x-request-id", "ratelimit", "ratelimit-policy", "retry-after", "idempotent-replayed"],
    )
