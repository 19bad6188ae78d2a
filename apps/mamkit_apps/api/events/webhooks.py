"""`/api/workspaces/{workspace_id}/webhooks`: where a workspace wants to be told of its events."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Principal, Resource
from mamkit.catalog import webhooks as store
from mamkit.catalog.event_models import WebhookDelivery, WebhookEndpoint
from mamkit.catalog.events import KINDS, PASSING
from mamkit.clock import utc_now
from mamkit.ids import uuid7
from mamkit.signing import generate_webhook_secret
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Owner, home_of, require, scope_of
from mamkit_apps.api.dispatch.delivering import message_id
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.sealed import WEBHOOKS

__all__ = ["routes"]

OVERLAP = timedelta(days=1)  # for which the old secret signs as well: time enough to put the new one into place
TEST = "webhook.test"
TOLD = frozenset(KINDS) - PASSING

Url = Annotated[str, Field(min_length=8, max_length=2048, examples=["https://hooks.example.com/mamkit"])]
Kinds = Annotated[list[str], Field(max_length=len(KINDS), examples=[["preview.ready", "preview.failed"]])]
Description = Annotated[str, Field(max_length=200)]


class NewWebhook(Body):
    """A webhook that is to be added."""

    url: Url
    kinds: Kinds = Field(default_factory=list)
    """Types of events; none is all."""
    description: Description = ""


class WebhookChange(Body):
    """What is to be changed of a webhook; what is left out stays."""

    url: Url | None = None
    kinds: Kinds | None = None
    description: Description | None = None
    enabled: bool | None = None
    """True begins anew after it was disabled; what happened meanwhile is not sent."""


class WebhookView(Body):
    """A webhook."""

    id: UUID
    url: str
    kinds: list[str]
    description: str
    enabled: bool
    disabled_reason: Literal["failing", "gone", "by hand"] | None
    """`failing`: nothing could be delivered for five days; `gone`: it answered 410."""
    failing_since: datetime | None
    created_at: datetime
    secret: Annotated[
        str | None, Field(repr=False, examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA="])
    ] = None
    """To verify signatures with; shown once, when it was made."""

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, *, secret: str | None = None) -> Self:
        """Return the view of a row."""
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            kinds=endpoint.kinds,
            description=endpoint.description,
            enabled=endpoint.disabled_reason is None,
            disabled_reason=endpoint.disabled_reason,  # type: ignore[arg-type]
            failing_since=endpoint.failing_since,
            created_at=endpoint.created_at,
            secret=secret,
        )


class DeliveryView(Body):
    """A message to a webhook, and what became of it."""

    id: UUID
    message_id: str
    """The `webhook-id`, the same however often it is sent."""
    type: str
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    status: int | None
    """Of the last answer; null: there was none."""
    error: str | None
    attempted_at: datetime | None
    due_at: datetime | None
    """When it is tried next; null: no more."""
    body: str
    created_at: datetime

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> Self:
        """Return the view of a row."""
        return cls(
            id=delivery.id,
            message_id=message_id(delivery),
            type=delivery.kind,
            state=delivery.state,
            attempts=delivery.attempts,
            status=delivery.status,
            error=delivery.error,
            attempted_at=delivery.attempted_at,
            due_at=delivery.due_at if delivery.state == "waiting" else None,
            body=delivery.body,
            created_at=delivery.created_at,
        )


@post("/")
async def create(workspace_id: FromPath[UUID], data: JSONBody[NewWebhook], owner: Owner, parts: Wired) -> WebhookView:
    """Add a webhook; the answer shows its secret, once."""
    _check(parts, data.url, data.kinds)
    secret, endpoint_id = generate_webhook_secret(), uuid7()
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.add_endpoint(
            session, workspace_id, id=endpoint_id, url=data.url, kinds=data.kinds, description=data.description,
            secret=parts.vault.seal(secret.encode(), where=WEBHOOKS.where(endpoint_id)),
        )  # fmt: skip
        await _record(session, owner, workspace_id, "webhook.created", endpoint)
    return WebhookView.of(endpoint, secret=secret)


@get("/")
async def list_all(workspace_id: FromPath[UUID], owner: Owner, parts: Wired) -> list[WebhookView]:
    """List the webhooks of a workspace, the oldest first."""
    async with parts.catalog.read(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        return [WebhookView.of(endpoint) for endpoint in await store.endpoints_of(session, workspace_id)]


@get("/{webhook_id:uuid}")
async def get_one(workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], owner: Owner, parts: Wired) -> WebhookView:
    """Return one webhook."""
    async with parts.catalog.read(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        return WebhookView.of(await store.endpoint_by_id(session, workspace_id, webhook_id))


@patch("/{webhook_id:uuid}")
async def change(
    workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], data: JSONBody[WebhookChange], owner: Owner, parts: Wired
) -> WebhookView:
    """Change a webhook, disable it, or enable it again."""
    _check(parts, data.url, data.kinds or [])
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id, for_update=True)
        for name in ("url", "description"):
            if (value := getattr(data, name)) is not None:
                setattr(endpoint, name, value)
        if data.kinds is not None:
            endpoint.kinds = sorted(set(data.kinds))
        if data.enabled is not None and data.enabled is not (endpoint.disabled_reason is None):
            endpoint.disabled_reason = None if data.enabled else "by hand"
            endpoint.failing_since = None
        endpoint.updated_at = utc_now()
        await _record(session, owner, workspace_id, "webhook.changed", endpoint)
    return WebhookView.of(endpoint)


@delete("/{webhook_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def remove(workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """Delete a webhook, with its messages."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id)
        await _record(session, owner, workspace_id, "webhook.deleted", endpoint)
        await session.delete(endpoint)


@post("/{webhook_id:uuid}/secret", status_code=HTTPStatus.OK)
async def rotate(workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], owner: Owner, parts: Wired) -> WebhookView:
    """Make a new secret, shown once; for a day the old one signs as well."""
    secret = generate_webhook_secret()
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id, for_update=True)
        endpoint.old_secret, endpoint.old_secret_until = endpoint.secret, utc_now() + OVERLAP
        endpoint.secret = parts.vault.seal(secret.encode(), where=WEBHOOKS.where(endpoint.id))
        await _record(session, owner, workspace_id, "webhook.secret_rotated", endpoint)
    return WebhookView.of(endpoint, secret=secret)


@post("/{webhook_id:uuid}/test", status_code=HTTPStatus.ACCEPTED)
async def test(workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], owner: Owner, parts: Wired) -> DeliveryView:
    """Send a message of the type `webhook.test`; the list of deliveries says what became of it."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id)
        message: dict[str, Any] = {
            "id": None, "type": TEST, "timestamp": utc_now().isoformat(), "workspace_id": str(workspace_id),
            "asset_id": None, "actor_id": str(owner.user_id), "data": {},
        }  # fmt: skip
        return DeliveryView.of(await store.add_test(session, endpoint, message))


@get("/{webhook_id:uuid}/deliveries")
async def list_deliveries(
    workspace_id: FromPath[UUID],
    webhook_id: FromPath[UUID],
    owner: Owner,
    parts: Wired,
    *,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> list[DeliveryView]:
    """List messages, the newest first; `after` is the id of the last one of the page before."""
    async with parts.catalog.read(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id)
        found = await store.deliveries_of(session, endpoint.id, after=after, limit=limit)
    return [DeliveryView.of(delivery) for delivery in found]


@post("/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay", status_code=HTTPStatus.ACCEPTED)
async def replay(
    workspace_id: FromPath[UUID], webhook_id: FromPath[UUID], delivery_id: FromPath[UUID], owner: Owner, parts: Wired
) -> DeliveryView:
    """Send a message again, under its own id, whatever became of it."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await _manage(session, owner, workspace_id)
        endpoint = await store.endpoint_by_id(session, workspace_id, webhook_id)
        return DeliveryView.of(await store.replay_delivery(session, endpoint, delivery_id))


def _check(parts: Parts, url: str | None, kinds: list[str]) -> None:
    """Refuse what could never be sent; where a name leads is looked at whenever it is connected to."""
    if url is not None:
        parts.guard.check_url(url)
    if unknown := set(kinds) - TOLD:
        raise InvalidRequestError(f"there is no type of event {min(unknown)!r} that webhooks are told of")


async def _manage(session: AsyncSession, owner: Principal, workspace_id: UUID) -> None:
    """Return if somebody may manage a workspace: their own, or one that they own."""
    await db.workspace_by_id(session, workspace_id)
    if workspace_id != home_of(owner.user_id):
        require(owner, "workspace.manage", Resource(kind="workspace", workspace_id=workspace_id))


async def _record(
    session: AsyncSession, owner: Principal, workspace_id: UUID, action: str, endpoint: WebhookEndpoint
) -> None:
    subject = f"workspace:{workspace_id}"
    detail = {"webhook": str(endpoint.id), "host": urlsplit(endpoint.url).hostname or ""}  # the rest may be a secret
    await db.record(session, actor_id=owner.user_id, action=action, subject=subject, detail=detail)


routes = [
    Router(
        "/api/workspaces/{workspace_id:uuid}/webhooks",
        route_handlers=[create, list_all, get_one, change, remove, rotate, test, list_deliveries, replay],
        tags=["webhooks"],
    )
]
