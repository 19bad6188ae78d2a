"""The API's parts, put together once a process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy import Engine

from mamkit import catalog as db
from mamkit.auth import ROLES, AccessTokens, PasswordHasher, Sessions
from mamkit.auth.sql import SqlSessionStore
from mamkit.catalog import Catalog, sync_engine
from mamkit.catalog.models import SESSIONS
from mamkit.clock import utc_now
from mamkit.jobs import Queue, QueueUnavailableError
from mamkit.previews import Ingest, Publisher
from mamkit.signing import UrlSigner, WebhookSigner
from mamkit.storage import Zones
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.wiring import open_queue, open_zones, url_signer

__all__ = ["Parts", "Wired", "build", "lifespan", "provide_parts"]

log = logging.getLogger(__name__)

RECONCILE_EVERY = 10.0  # seconds between two looks for previews that a crash has left behind
PURGE_EVERY = 86_400.0  # seconds
KEEP_FINISHED_JOBS = timedelta(days=7)  # long enough to ask what happened last week


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the routes work with."""

    settings: ApiSettings
    catalog: Catalog
    engine: Engine
    """For what is synchronous: sessions and the queue."""
    zones: Zones
    queue: Queue
    passwords: PasswordHasher
    tokens: AccessTokens
    sessions: Sessions
    signer: UrlSigner
    callbacks: WebhookSigner
    publisher: Publisher
    ingest: Ingest


Wired = NamedDependency[Parts]
"""The parts, given to a handler by `provide_parts`."""


def build(settings: ApiSettings) -> Parts:
    """Return the parts; the database must be migrated.

    Raises:
        SettingsError: A setting cannot be used.
    """
    catalog = Catalog(settings.database)
    engine = sync_engine(settings.database)
    queue = open_queue(settings, engine)
    zones = open_zones(settings, edge_url=settings.edge_url)
    publisher = Publisher(catalog, queue, zones)
    return Parts(
        settings=settings,
        catalog=catalog,
        engine=engine,
        zones=zones,
        queue=queue,
        passwords=PasswordHasher(),
        tokens=AccessTokens(settings.ring("jwt_secret"), issuer="mamkit", audience="mamkit-api"),
        sessions=Sessions(
            SqlSessionStore(engine, SESSIONS),
            secret=settings.secret("session_secret").get_secret_value().encode(),
        ),
        signer=url_signer(settings),
        callbacks=WebhookSigner(settings.secret("callback_secret").get_secret_value().encode()),
        publisher=publisher,
        ingest=Ingest(catalog, zones, publisher),
    )


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Look after unfinished previews while the application runs, and close what it opened."""
    parts = build(app.state.settings)
    async with parts.catalog.begin() as session:
        await db.ensure_roles(session, ROLES)
    app.state.update(State({"parts": parts}))
    janitor = asyncio.create_task(_look_after(parts))
    try:
        yield
    finally:
        janitor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await janitor
        await parts.catalog.close()
        parts.engine.dispose()


def provide_parts(state: State) -> Parts:
    """Return the parts of the application that serves a request."""
    parts: Parts = state.parts
    return parts


async def _look_after(parts: Parts) -> None:
    """Take up what a crash has left behind, and forget what is long over, for as long as the application runs."""
    purged = float("-inf")
    trouble = ""
    while True:
        try:
            await parts.publisher.reconcile()
            if time.monotonic() - purged >= PURGE_EVERY:
                await asyncio.to_thread(parts.sessions.purge)
                await asyncio.to_thread(parts.queue.purge, finished_before=utc_now() - KEEP_FINISHED_JOBS)
                purged = time.monotonic()
            if trouble:
                log.info("the queue answers again")
                trouble = ""
        except QueueUnavailableError as error:
            if str(error) != trouble:
                trouble = str(error)
                log.warning("waiting for the queue: %s", error)
        except Exception:  # the next round may do better, and the API must go on serving
            log.exception("looking after unfinished previews failed")
        await asyncio.sleep(RECONCILE_EVERY)
