"""The API's parts, put together once a process."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.auth import (
    AccessTokens,
    Flows,
    KeyPairs,
    Lockout,
    OneTimeTokens,
    PasswordHasher,
    Sessions,
    Vault,
)
from mamkit.auth.identity import IdentityProvider
from mamkit.auth.passkeys import Passkeys
from mamkit.auth.sql import SqlSessionStore
from mamkit.auth.sql_logins import SqlAttemptStore, SqlFlowStore
from mamkit.catalog import LOGIN_ATTEMPTS, LOGIN_FLOWS, Catalog, sync_engine
from mamkit.catalog.event_models import Event
from mamkit.catalog.models import SESSIONS
from mamkit.catalog.notifications import plan_notifications
from mamkit.catalog.webhooks import plan_deliveries
from mamkit.jobs import Queue
from mamkit.previews import Ingest, Publisher, Trash
from mamkit.signing import MemoryReplayGuard, UrlSigner, WebhookSigner
from mamkit.storage import Zones
from mamkit_apps.api.dispatch.delivering import Deliverer
from mamkit_apps.api.dispatch.hub import Hub, message_of
from mamkit_apps.api.dispatch.notifying import Notifier
from mamkit_apps.api.dispatch.watchers import Watchers
from mamkit_apps.api.mail import ConsoleMailer, Mailer, Postbox
from mamkit_apps.api.providers import open_providers
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.guard import AddressGuard
from mamkit_apps.limits import BURST, GoodKeys, Meter, SharedRate
from mamkit_apps.outgoing import GuardedClient, HttpTransport
from mamkit_apps.wiring import open_queue
from mamkit_apps.zones import open_zones, url_signer

if TYPE_CHECKING:
    from mamkit_apps.tracing.tracing import Tracing

__all__ = ["Parts", "Wired", "build", "provide_parts"]

HASHES_AT_ONCE = 4  # 256 MiB at the default profile
LATEST_CLOCK = timedelta(hours=1)  # how much longer than any URL an old preview stays: an edge's clock may be off


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
    hashing: ThreadPoolExecutor
    """For what takes long on purpose."""
    tokens: AccessTokens
    key_pairs: KeyPairs | None
    sessions: Sessions
    mail_tokens: OneTimeTokens
    lockout: Lockout
    mail_limit: Lockout
    """Counts the mails that an address makes us send."""
    share_lockout: Lockout
    """Counts the passwords that are tried at a share link."""
    flows: Flows
    vault: Vault
    passkeys: Passkeys
    providers: Mapping[str, IdentityProvider]
    transport: HttpTransport
    post: Postbox
    signer: UrlSigner
    callbacks: WebhookSigner
    publisher: Publisher
    ingest: Ingest
    trash: Trash
    condemned: asyncio.Event
    """Set when something waits to be removed, so that nobody waits for the next look."""
    meter: Meter
    good_keys: GoodKeys
    hub: Hub
    watchers: Watchers
    guard: AddressGuard
    """Says which URLs of users are gone to."""
    guarded: GuardedClient
    deliverer: Deliverer
    notifier: Notifier
    spans: Callable[[], Mapping[str, int]]
    """Says what became of the spans of traces; of none where none are made."""


Wired = NamedDependency[Parts]
"""The parts, given to a handler by `provide_parts`."""


def build(settings: ApiSettings, tracing: "Tracing | None" = None) -> Parts:
    """Return the parts; the database must be migrated.

    Args:
        settings: Of the API.
        tracing: Tells what is asked of queue and stores; None: nobody does.

    Raises:
        SettingsError: A setting cannot be used.
    """
    catalog = Catalog(settings.database)
    engine = sync_engine(settings.database)
    queue = open_queue(settings, engine)
    zones = open_zones(settings, edge_url=settings.edge_url)
    if tracing is not None:
        queue, zones = tracing.queue(queue), tracing.zones(zones)
    publisher = Publisher(
        catalog, queue, zones, keep=settings.sign_bounds[1] + LATEST_CLOCK, card_wait=settings.card_wait
    )
    ring = settings.ring("jwt_secret")
    pairs = settings.key_pairs()
    transport = HttpTransport()
    attempts = SqlAttemptStore(engine, LOGIN_ATTEMPTS)
    watchers = Watchers(catalog)
    guard = AddressGuard(settings.webhook_networks)
    guarded = GuardedClient(guard)
    vault = Vault(settings.ring("sealing_keys"))
    post = Postbox(_mailer(settings))
    return Parts(
        settings=settings,
        catalog=catalog,
        engine=engine,
        zones=zones,
        queue=queue,
        passwords=PasswordHasher(max_concurrent=HASHES_AT_ONCE),
        hashing=ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="mamkit-hashing"),
        tokens=AccessTokens(ring if pairs is None else pairs, issuer="mamkit", audience="mamkit-api"),
        key_pairs=pairs,
        mail_tokens=OneTimeTokens(ring),
        lockout=Lockout(attempts),
        mail_limit=Lockout(attempts, prefix="mail:"),
        share_lockout=Lockout(attempts, prefix="share:"),
        flows=Flows(SqlFlowStore(engine, LOGIN_FLOWS)),
        vault=vault,
        passkeys=Passkeys(
            rp_id=urlsplit(settings.public_url).hostname or "localhost",
            rp_name=settings.site_name,
            origins=[settings.public_url],
        ),
        transport=transport,
        providers=open_providers(settings, transport),
        post=post,
        sessions=Sessions(
            SqlSessionStore(engine, SESSIONS),
            secret=settings.secret("session_secret").get_secret_value().encode(),
        ),
        signer=url_signer(settings),
        callbacks=WebhookSigner(
            settings.secret("callback_secret").get_secret_value().encode(), replays=MemoryReplayGuard()
        ),
        publisher=publisher,
        ingest=Ingest(catalog, zones, publisher),
        trash=Trash(catalog, zones, kept_for=settings.trash_lifetime),
        condemned=asyncio.Event(),
        meter=Meter(_shared_rate(settings)),
        good_keys=GoodKeys(),
        hub=Hub(catalog, watchers, _plan),
        watchers=watchers,
        guard=guard,
        guarded=guarded,
        deliverer=Deliverer(catalog, guarded, vault),
        notifier=Notifier(
            catalog,
            post,
            lambda: next(iter(zones.previews.list("previews/")), None),
            escalate_after=timedelta(minutes=settings.escalate_minutes),
            site=(settings.site_name, settings.public_url),
        ),
        spans=dict if tracing is None else tracing.counts,
    )


def _mailer(settings: ApiSettings) -> Mailer:
    if settings.smtp_url is None:
        return ConsoleMailer()
    from mamkit_apps.api.smtp import SmtpMailer  # noqa: PLC0415 - the embedded default has no mail server

    return SmtpMailer(settings.smtp_url, sender=settings.mail_from)


def _shared_rate(settings: ApiSettings) -> SharedRate | None:
    if settings.redis_url is None:
        return None
    from mamkit_apps.redis_limits import RedisRate  # noqa: PLC0415 - of an extra that the embedded default does without

    return RedisRate(settings.redis_url.get_secret_value(), burst=BURST, service="api")


def provide_parts(state: State) -> Parts:
    """Return the parts of the application that serves a request."""
    parts: Parts = state.parts
    return parts


async def _plan(session: AsyncSession, events: Sequence[Event]) -> None:
    """Plan what follows from events for those who do not listen: messages of webhooks, and notifications."""
    await plan_deliveries(session, events, message_of)
    await plan_notifications(session, events)
