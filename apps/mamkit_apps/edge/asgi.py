"""The edge's application factory."""

from litestar import Litestar, get
from litestar.config.cors import CORSConfig
from litestar.datastructures import State

from mamkit.storage import to_async
from mamkit_apps.edge.delivery import deliver
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.edge.uploads import accept_upload
from mamkit_apps.problems import exception_handlers
from mamkit_apps.wiring import open_zones, url_signer

__all__ = ["create_app"]

# A player reads ranges and lengths of what it fetched from another origin; the grant is in the URL, never in a cookie.
CORS = CORSConfig(
    allow_origins=["*"],
    allow_methods=["GET", "HEAD", "PUT"],
    allow_headers=["range", "if-none-match", "content-type"],
    expose_headers=["content-length", "content-range", "accept-ranges", "etag"],
    max_age=86400,
)


@get(["/health", "/healthz"], sync_to_thread=False, include_in_schema=False)
def health() -> dict[str, str]:
    """Say that the process serves."""
    return {"status": "ok"}


def create_app(settings: EdgeSettings | None = None) -> Litestar:
    """Return the edge.

    Args:
        settings: None reads the environment.

    Raises:
        SettingsError: A setting cannot be used.
    """
    settings = settings or EdgeSettings.load()
    zones = open_zones(settings)
    stores = {  # by the first segment of their keys
        "uploads": to_async(zones.staging),
        "masters": to_async(zones.masters),
        "previews": to_async(zones.previews),
    }
    return Litestar(
        [deliver, accept_upload, health],
        state=State({"signer": url_signer(settings), "stores": stores}),
        on_shutdown=[store.close for store in stores.values()],
        cors_config=CORS,
        exception_handlers=exception_handlers,
        openapi_config=None,
    )
