"""The database of an installation, as its services need it: migrated, with the queue, and without what is long over."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine

from mamkit.catalog import Catalog, sync_engine, upgrade
from mamkit.catalog.events import purge_events
from mamkit.catalog.imports import purge_imports
from mamkit.catalog.notifications import purge_notifications
from mamkit.catalog.webhooks import purge_deliveries
from mamkit.jobs import NewJob, Queue, QueueUnavailableError
from mamkit.jobs.sql import SqlQueue
from mamkit_apps.bell import ring
from mamkit_apps.settings import ServiceSettings

__all__ = ["RingingQueue", "forget_old", "migrate", "open_queue"]

KEEP_NOTIFICATIONS = timedelta(days=90)


class RingingQueue(SqlQueue):
    """A queue in a database that wakes the workers of this machine when there is something to do.

    Args:
        engine: Of the database.
        data_dir: Of the installation.
    """

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        super().__init__(engine)
        self._data_dir = data_dir

    def enqueue(self, *new: NewJob) -> list[UUID]:
        """See `Queue.enqueue`."""
        added = super().enqueue(*new)
        ring(self._data_dir)
        return added

    def requeue(self, job_id: UUID) -> None:
        """See `Queue.requeue`."""
        super().requeue(job_id)
        ring(self._data_dir)


def migrate(settings: ServiceSettings) -> None:
    """Bring the tables of catalog and queue up to date. Safe to repeat and to run twice at once.

    Raises:
        CatalogError: The database cannot be brought up to date.
    """
    settings.make_data_dir()
    upgrade(settings.database)
    if settings.redis_url is None:
        engine = sync_engine(settings.database)
        open_queue(settings, engine)
        engine.dispose()


async def forget_old(catalog: Catalog, lifetime: timedelta) -> int:
    """Forget events, deliveries and imports after a lifetime, notifications after 90 days; return how many.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    gone = 0
    for purge, older_than in (
        (purge_events, lifetime),
        (purge_deliveries, lifetime),
        (purge_imports, lifetime),
        (purge_notifications, KEEP_NOTIFICATIONS),
    ):
        async with catalog.begin() as session:  # one each: a transaction holds up other writers
            gone += await purge(session, older_than=older_than)
    return gone


def open_queue(settings: ServiceSettings, engine: Engine | None = None) -> Queue:
    """Return the queue: in Redis if there is a `REDIS_URL`, else in the database, its table made if need be.

    A Redis that is not there yet is no failure: what is asked of the queue raises `QueueUnavailableError` until it is.

    Args:
        settings: Say where.
        engine: Of the database, to share connections with; None opens one where it is needed.

    Raises:
        MissingExtraError: `REDIS_URL` is set, and the extra `redis` is not installed.
        UnsupportedServerError: The Redis answers and cannot keep a queue.
    """
    if settings.redis_url is None:
        table = RingingQueue(engine or sync_engine(settings.database), settings.data_dir)
        table.create_schema()
        return table
    from mamkit.jobs.redis import RedisQueue  # noqa: PLC0415 - of an extra that the embedded default does without

    queue = RedisQueue.from_url(settings.redis_url.get_secret_value())
    with suppress(QueueUnavailableError):
        queue.check()
    return queue
