"""What the API does apart from requests, from its start to its end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.datastructures import State

from mamkit import catalog as db
from mamkit.auth import ROLES
from mamkit.catalog.kept_answers import purge_answers
from mamkit.clock import utc_now
from mamkit.jobs import QueueUnavailableError
from mamkit_apps.api.wiring import Parts, build
from mamkit_apps.wiring import forget_old

if TYPE_CHECKING:
    from mamkit_apps.tracing.tracing import Tracing

__all__ = ["lifespan"]

log = logging.getLogger(__name__)

FORGET_EVERY = 3600.0  # seconds between two looks for sessions, logins and jobs that have ended
EMPTY_TRASH_EVERY = 10.0  # seconds between two looks for assets that are to be removed for good
RECONCILE_EVERY = 10.0  # seconds between two looks for previews that a crash has left behind
KEEP_FINISHED_JOBS = timedelta(days=7)  # long enough to ask what happened last week


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Look after unfinished previews while the application runs, and close what it opened."""
    tracing: Tracing | None = app.state.tracing
    parts = build(app.state.settings, tracing)
    async with parts.catalog.begin() as session:
        await db.ensure_roles(session, ROLES)
    await parts.hub.start()
    app.state.update(State({"parts": parts}))
    janitors = [asyncio.create_task(work(parts)) for work in (_reconcile, _forget, _empty_trash)]
    janitors += [asyncio.create_task(each.run()) for each in (parts.hub, parts.deliverer, parts.notifier)]
    try:
        with tracing or contextlib.nullcontext():
            yield
    finally:
        for janitor in janitors:
            janitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await janitor
        await parts.guarded.close()
        await parts.post.close()
        parts.transport.close()
        parts.hashing.shutdown(cancel_futures=True)
        await parts.catalog.close()
        parts.engine.dispose()


async def _reconcile(parts: Parts) -> None:
    """Take up what a crash has left behind, for as long as the application runs."""
    trouble = ""
    while True:
        try:
            await parts.publisher.reconcile()
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


async def _empty_trash(parts: Parts) -> None:
    """Remove what is condemned, for as long as the application runs."""
    while True:
        try:
            await parts.trash.empty()
        except Exception:  # the next round may do better, and the API must go on serving
            log.exception("emptying the trash failed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EMPTY_TRASH_EVERY):
                await parts.condemned.wait()
        parts.condemned.clear()


async def _forget(parts: Parts) -> None:
    """Forget what is long over, for as long as the application runs."""
    while True:
        try:
            for store in (parts.sessions, parts.flows, parts.lockout):
                await asyncio.to_thread(store.purge)
            async with parts.catalog.begin() as session:
                await purge_answers(session)
            await forget_old(parts.catalog, parts.settings.event_lifetime)
            await asyncio.to_thread(parts.queue.purge, finished_before=utc_now() - KEEP_FINISHED_JOBS)
        except Exception:  # the next round may do better, and the API must go on serving
            log.exception("forgetting what is over failed")
        await asyncio.sleep(FORGET_EVERY)
