"""The publisher of an installation, for commands that run beside its services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mamkit.catalog import Catalog
from mamkit.previews import Publisher
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import open_queue
from mamkit_apps.zones import open_zones

__all__ = ["open_publisher"]


@asynccontextmanager
async def open_publisher(settings: ServiceSettings) -> AsyncIterator[Publisher]:
    """Give a publisher that starts previews; their workers report to the API.

    Args:
        settings: Say where catalog, queue and zones are.

    Raises:
        SettingsError: A setting cannot be used.
    """
    async with Catalog(settings.database) as catalog:
        yield Publisher(catalog, open_queue(settings), open_zones(settings))
