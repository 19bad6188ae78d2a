"""Where workspaces want to be told of their events, and what became of each message.

A message is planned in the transaction that numbers its event, so that there is one for each endpoint, and only one.
Whoever delivers takes an endpoint with a lease: two processes never send to one endpoint at once. A process that is
killed after a message was taken and before that was noted sends it again, under the same id: at least once.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.errors import CatalogError, NotFoundError
from mamkit.catalog.event_models import Event, WebhookDelivery, WebhookEndpoint
from mamkit.catalog.events import PASSING, tell
from mamkit.ids import uuid7

__all__ = [
    "RETRIES",
    "Claim",
    "DeliveryNotFoundError",
    "EndpointDisabledError",
    "EndpointNotFoundError",
    "Outcome",
    "TooManyEndpointsError",
    "add_endpoint",
    "add_test",
    "claim_endpoint",
    "deliveries_are_due",
    "deliveries_of",
    "endpoint_by_id",
    "endpoints_of",
    "plan_deliveries",
    "purge_deliveries",
    "replay_delivery",
    "settle",
]

MAX_ENDPOINTS = 10  # of one workspace; each event is a message to each

RETRIES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""How long to wait after each failure: the schedule of the Standard Webhooks specification, "Retry schedule"."""

JITTER = 0.2  # of a delay, more or less, so that what failed together does not come again together
AT_ONCE = 10  # messages under one lease
GIVE_UP = timedelta(days=5)  # of failures alone, after which nobody seems to care
GONE = 410  # "disable the webhook", Standard Webhooks, "Status codes"


class EndpointNotFoundError(NotFoundError):
    """There is no such webhook, or whoever asks sees nothing of it."""

    code = "catalog.webhook_not_found"
    kind = "webhook"


class DeliveryNotFoundError(NotFoundError):
    """There is no such delivery of the webhook."""

    code = "catalog.delivery_not_found"
    kind = "delivery"


class TooManyEndpointsError(CatalogError):
    """A workspace has as many webhooks as it may."""

    code = "catalog.too_many_webhooks"

    def __init__(self) -> None:
        super().__init__(f"a workspace has at most {MAX_ENDPOINTS} webhooks; delete one first")


class EndpointDisabledError(CatalogError):
    """A message was to be sent to a webhook that is disabled."""

    code = "catalog.webhook_disabled"

    def __init__(self) -> None:
        super().__init__("the webhook is disabled; enable it first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to send some messages to an endpoint."""

    endpoint: WebhookEndpoint
    lease: UUID
    deliveries: Sequence[WebhookDelivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an attempt."""

    delivery_id: UUID
    status: int | None
    """Of the answer; None: there was none."""
    error: str | None
    """Why it failed; None: it succeeded."""
    attempted_at: datetime


async def add_endpoint(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    url: str,
    secret: str,
    kinds: Iterable[str] = (),
    description: str = "",
    id: UUID | None = None,  # noqa: A002 - the name of the column
) -> WebhookEndpoint:
    """Add an endpoint, and return it.

    Args:
        session: Of `Catalog.begin`.
        workspace_id: Whose events it is told.
        url: At most 2048 characters.
        secret: Sealed.
        kinds: Of `events.KINDS`; none: of all but progress.
        description: At most 200 characters.
        id: A new one if None.

    Raises:
        TooManyEndpointsError: The workspace has as many as it may.
        InvalidTextError: A text cannot be stored.
    """
    count = select(func.count()).where(WebhookEndpoint.workspace_id == workspace_id)
    if (await session.scalar(count) or 0) >= MAX_ENDPOINTS:
        raise TooManyEndpointsError
    moment = now(session)
    endpoint = WebhookEndpoint(
        id=id or uuid7(),
        workspace_id=workspace_id,
        url=url,
        secret=secret,
        kinds=sorted(set(kinds)),
        description=description,
        created_at=moment,
        updated_at=moment,
    )
    session.add(endpoint)
    await session.flush()
    return endpoint


async def endpoints_of(session: AsyncSession, workspace_id: UUID) -> Sequence[WebhookEndpoint]:
    """Return the endpoints of a workspace, the oldest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == workspace_id)
    return (await session.scalars(query.order_by(WebhookEndpoint.id))).all()


async def endpoint_by_id(
    session: AsyncSession, workspace_id: UUID, endpoint_id: UUID, *, for_update: bool = False
) -> WebhookEndpoint:
    """Return an endpoint of a workspace.

    Raises:
        EndpointNotFoundError: There is none with this id there that the session sees.
    """
    endpoint = await session.get(WebhookEndpoint, endpoint_id, with_for_update=for_update, populate_existing=for_update)
    if endpoint is None or endpoint.workspace_id != workspace_id:
        raise EndpointNotFoundError(endpoint_id)
    return endpoint


async def plan_deliveries(
    session: AsyncSession, events: Iterable[Event], render: Callable[[Event], Mapping[str, Any]]
) -> None:
    """Add a message for each event and each endpoint that wants it.

    Args:
        session: The one that numbers the events.
        events: With their positions.
        render: Makes the message.
    """
    by_workspace: dict[UUID, list[Event]] = {}
    for event in events:
        if event.kind not in PASSING:
            by_workspace.setdefault(event.workspace_id, []).append(event)
    if not by_workspace:
        return
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.workspace_id.in_(by_workspace), WebhookEndpoint.disabled_reason.is_(None)
    )
    for endpoint in await session.scalars(query):
        for event in by_workspace[endpoint.workspace_id]:
            if not endpoint.kinds or event.kind in endpoint.kinds:
                body = json.dumps(render(event), separators=(",", ":"))
                session.add(_delivery(session, endpoint, event.kind, body, position=event.position))
    await session.flush()


async def add_test(session: AsyncSession, endpoint: WebhookEndpoint, message: Mapping[str, Any]) -> WebhookDelivery:
    """Add a message that is no event's, and return it.

    Raises:
        EndpointDisabledError: The endpoint is.
    """
    if endpoint.disabled_reason is not None:
        raise EndpointDisabledError
    delivery = _delivery(session, endpoint, str(message["type"]), json.dumps(message, separators=(",", ":")))
    session.add(delivery)
    await session.flush()
    return delivery


async def deliveries_of(
    session: AsyncSession, endpoint_id: UUID, *, after: UUID | None = None, limit: int = 50
) -> Sequence[WebhookDelivery]:
    """Return messages to an endpoint, the newest first: those older than `after`, at most `limit`."""
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    if after is not None:
        query = query.where(WebhookDelivery.id < after)
    return (await session.scalars(query.order_by(WebhookDelivery.id.desc()).limit(limit))).all()


async def replay_delivery(session: AsyncSession, endpoint: WebhookEndpoint, delivery_id: UUID) -> WebhookDelivery:
    """Send a message again, under its own id, whatever became of it; return it.

    Raises:
        DeliveryNotFoundError: The endpoint has no such message.
        EndpointDisabledError: The endpoint is.
    """
    delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery is None or delivery.endpoint_id != endpoint.id:
        raise DeliveryNotFoundError(delivery_id)
    if endpoint.disabled_reason is not None:
        raise EndpointDisabledError
    delivery.state, delivery.attempts, delivery.due_at = "waiting", 0, now(session)
    await session.flush()
    return delivery


async def deliveries_are_due(session: AsyncSession) -> bool:
    """Return whether an endpoint can be claimed; cheap to ask for often."""
    return bool(await session.scalar(select(_due(now(session)))))


async def claim_endpoint(session: AsyncSession, *, lease: timedelta) -> Claim | None:
    """Take the right to send what is due to one endpoint, at most ten messages; None if nothing is due.

    Args:
        session: Of `Catalog.begin`, without a scope.
        lease: For how long; longer than sending takes.
    """
    moment = now(session)
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.disabled_reason.is_(None),
        or_(WebhookEndpoint.lease_until.is_(None), WebhookEndpoint.lease_until <= moment),
        exists().where(
            WebhookDelivery.endpoint_id == WebhookEndpoint.id,
            WebhookDelivery.state == "waiting",
            WebhookDelivery.due_at <= moment,
        ),
    )
    endpoint = await session.scalar(query.limit(1).with_for_update(skip_locked=True, of=WebhookEndpoint))
    if endpoint is None:
        return None
    endpoint.lease, endpoint.lease_until = uuid7(), moment + lease
    due = select(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.state == "waiting", WebhookDelivery.due_at <= moment
    )
    found = (await session.scalars(due.order_by(WebhookDelivery.due_at, WebhookDelivery.id).limit(AT_ONCE))).all()
    await session.flush()
    return Claim(endpoint=endpoint, lease=endpoint.lease, deliveries=found)


async def settle(session: AsyncSession, claim: Claim, outcomes: Iterable[Outcome]) -> bool:
    """Note what became of the messages of a claim; return False, and note nothing, if its lease has gone to another.

    Args:
        session: Of `Catalog.begin`, without a scope.
        claim: As `claim_endpoint` gave it.
        outcomes: One for each message that was tried.
    """
    endpoint = await session.get(WebhookEndpoint, claim.endpoint.id, with_for_update=True, populate_existing=True)
    if endpoint is None or endpoint.lease != claim.lease:
        return False
    moment = now(session)
    endpoint.lease = endpoint.lease_until = None
    reason = None
    for outcome in outcomes:
        delivery = await session.get(WebhookDelivery, outcome.delivery_id, with_for_update=True, populate_existing=True)
        if delivery is None:
            continue
        delivery.attempts += 1
        delivery.status, delivery.error, delivery.attempted_at = outcome.status, outcome.error, outcome.attempted_at
        if outcome.error is None:
            delivery.state, endpoint.failing_since = "delivered", None
            continue
        endpoint.failing_since = endpoint.failing_since or moment
        if outcome.status == GONE:
            reason = "gone"
        if delivery.attempts > len(RETRIES):
            delivery.state = "failed"
        else:
            jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            delivery.due_at = moment + RETRIES[delivery.attempts - 1] * jitter
    if endpoint.failing_since is not None and moment - endpoint.failing_since >= GIVE_UP:
        reason = "failing"
    if reason is not None:
        endpoint.disabled_reason = reason
        data = {"webhook_id": str(endpoint.id), "reason": reason}
        await tell(session, "webhook.disabled", endpoint.workspace_id, data=data)
    await session.flush()
    return True


async def purge_deliveries(session: AsyncSession, *, older_than: timedelta) -> int:
    """Forget messages from longer ago that wait no more, and later those that wait in vain; return how many."""
    before = now(session) - older_than
    in_vain = WebhookDelivery.created_at < before - 2 * sum(RETRIES, timedelta())
    statement = delete(WebhookDelivery).where(
        WebhookDelivery.created_at < before, or_(WebhookDelivery.state != "waiting", in_vain)
    )
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return result.rowcount if isinstance(result, CursorResult) else 0


def _delivery(
    session: AsyncSession, endpoint: WebhookEndpoint, kind: str, body: str, *, position: int | None = None
) -> WebhookDelivery:
    moment = now(session)
    return WebhookDelivery(
        endpoint_id=endpoint.id,
        workspace_id=endpoint.workspace_id,
        position=position,
        kind=kind,
        body=body,
        due_at=moment,
        created_at=moment,
    )


def _due(moment: datetime) -> Any:
    return exists().where(
        WebhookDelivery.state == "waiting",
        WebhookDelivery.due_at <= moment,
        WebhookEndpoint.id == WebhookDelivery.endpoint_id,
        WebhookEndpoint.disabled_reason.is_(None),
        or_(WebhookEndpoint.lease_until.is_(None), WebhookEndpoint.lease_until <= moment),
    )
