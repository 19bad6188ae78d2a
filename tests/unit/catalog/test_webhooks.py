"""Webhooks as rows: when messages are tried again, and how long they are kept."""

from datetime import timedelta
from uuid import uuid4

import pytest

from mamkit.catalog import Catalog, User
from mamkit.catalog.event_models import WebhookDelivery
from mamkit.catalog.webhooks import (
    RETRIES,
    DeliveryNotFoundError,
    EndpointNotFoundError,
    Outcome,
    add_endpoint,
    add_test,
    claim_endpoint,
    deliveries_of,
    endpoint_by_id,
    purge_deliveries,
    replay_delivery,
    settle,
)
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


async def test_a_message_is_tried_ten_times_ever_more_seldom(catalog: Catalog, user: User, clock: Clock) -> None:
    async with catalog.begin() as session:
        endpoint = await add_endpoint(session, user.id, url="https://example.com/", secret="")
        await add_test(session, endpoint, {"type": "webhook.test"})
    waits = []
    while True:
        async with catalog.begin() as session:
            claim = await claim_endpoint(session, lease=timedelta(minutes=1))
            assert claim is not None
            [delivery] = claim.deliveries
            failed = Outcome(delivery_id=delivery.id, status=500, error="the answer was 500", attempted_at=clock())
            assert await settle(session, claim, [failed])
            assert await claim_endpoint(session, lease=timedelta(minutes=1)) is None
            if delivery.state == "failed":
                break
            waits.append(delivery.due_at - clock())
        clock.now = delivery.due_at
    assert len(waits) == len(RETRIES) == 9
    assert all(0.8 * wanted <= wait <= 1.2 * wanted for wait, wanted in zip(waits, RETRIES, strict=True))


async def test_messages_are_forgotten_and_those_in_vain_too(catalog: Catalog, user: User, clock: Clock) -> None:
    async with catalog.begin() as session:
        endpoint = await add_endpoint(session, user.id, url="https://example.com/", secret="")
        for state in ("waiting", "delivered", "failed"):
            (await add_test(session, endpoint, {"type": state})).state = state

    async def left(after: timedelta) -> list[str]:
        clock.advance(after)
        async with catalog.begin() as session:
            await purge_deliveries(session, older_than=7 * DAY)
            return sorted(each.kind for each in await deliveries_of(session, endpoint.id))

    assert await left(7 * DAY) == ["delivered", "failed", "waiting"]
    assert await left(DAY) == ["waiting"]
    assert await left(7 * DAY) == []


async def test_one_workspace_does_not_reach_the_webhooks_of_another(catalog: Catalog, user: User) -> None:
    async with catalog.begin() as session:
        endpoint = await add_endpoint(session, user.id, url="https://example.com/", secret="")
        other = await add_endpoint(session, user.id, url="https://example.com/", secret="")
        delivery: WebhookDelivery = await add_test(session, endpoint, {"type": "webhook.test"})
        with pytest.raises(EndpointNotFoundError):
            await endpoint_by_id(session, uuid4(), endpoint.id)
        with pytest.raises(DeliveryNotFoundError):
            await replay_delivery(session, other, delivery.id)
