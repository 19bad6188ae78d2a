"""Sending the messages of webhooks: signed, to public addresses, and each at least once."""

import asyncio
import logging
from datetime import timedelta
from http import HTTPStatus

import mamkit
from mamkit.auth import SealedValueError, Vault
from mamkit.catalog import Catalog, CatalogUnavailableError
from mamkit.catalog.event_models import WebhookDelivery, WebhookEndpoint
from mamkit.catalog.webhooks import Claim, Outcome, claim_endpoint, deliveries_are_due, settle
from mamkit.clock import Clock, utc_now
from mamkit.signing import WebhookSigner
from mamkit_apps.api.slots import keep_working
from mamkit_apps.guard import DestinationRefusedError
from mamkit_apps.outgoing import GuardedClient, NoAnswerError
from mamkit_apps.sealed import WEBHOOKS

__all__ = ["Deliverer", "message_id"]

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds
WITHIN = timedelta(seconds=15)  # Standard Webhooks, "Timeouts": 15 to 30 s
LEASE = timedelta(seconds=60)  # of an endpoint; sending takes 15 s, noting it no more than the database's 10 s
ENDPOINTS = 8  # at once; each of them gets ten messages at once at the most
MAX_ANSWER = 4 << 10  # bytes that are read, so that the connection can be used again; nothing looks at them


def message_id(delivery: WebhookDelivery) -> str:
    """Return the `webhook-id` of a message."""
    return f"msg_{delivery.id.hex}"


class Deliverer:
    """Sends what is due.

    Args:
        catalog: Holds the messages.
        client: Sends them.
        vault: Opens the secrets that sign them.
        clock: Tells the time of an attempt.
    """

    def __init__(self, catalog: Catalog, client: GuardedClient, vault: Vault, *, clock: Clock = utc_now) -> None:
        self._catalog = catalog
        self._client = client
        self._vault = vault
        self._clock = clock

    async def run(self) -> None:
        """Send, for as long as the application runs."""
        await keep_working(ENDPOINTS, self._look, self._work, lambda _: asyncio.sleep(LOOK_EVERY))

    async def deliver_due(self) -> int:
        """Send all that is due now, and return how many messages were tried."""
        count = 0
        while claim := await self._claim():
            count += len(claim.deliveries)
            await self._send_all(claim)
        return count

    async def _look(self) -> Claim | None:
        try:
            return await self._claim()
        except CatalogUnavailableError:
            return None  # the hub says so in the log
        except Exception:  # the next look may do better, and the API must go on serving
            log.exception("looking for messages of webhooks failed")
            return None

    async def _claim(self) -> Claim | None:
        async with self._catalog.read() as session:
            if not await deliveries_are_due(session):
                return None
        async with self._catalog.begin() as session:
            return await claim_endpoint(session, lease=LEASE)

    async def _work(self, claim: Claim) -> None:
        try:
            await self._send_all(claim)
        except Exception:  # the lease ends, and another try may do better
            log.exception("delivering to a webhook failed")

    async def _send_all(self, claim: Claim) -> None:
        outcomes = await asyncio.gather(*(self._send(claim.endpoint, delivery) for delivery in claim.deliveries))
        async with self._catalog.begin() as session:
            if not await settle(session, claim, outcomes):
                log.warning("webhook %s was taken over meanwhile: its messages are sent again", claim.endpoint.id)

    async def _send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> Outcome:
        began = self._clock()
        status: int | None = None
        error: str | None = None
        try:
            body = delivery.body.encode()
            headers = self._signer(endpoint).sign(message_id(delivery), body, sent_at=began) | {
                "content-type": "application/json",
                "user-agent": f"mamkit/{mamkit.__version__}",
            }
            async with self._client.stream(
                "POST", endpoint.url, headers=headers, content=body, within=WITHIN
            ) as answer:
                status = answer.status
                if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                    error = f"the answer was {status}"
                await answer.read(MAX_ANSWER)
        except (DestinationRefusedError, NoAnswerError, SealedValueError) as failure:
            if status is None:
                error = str(failure)[:200]
        return Outcome(delivery_id=delivery.id, status=status, error=error, attempted_at=began)

    def _signer(self, endpoint: WebhookEndpoint) -> WebhookSigner:
        sealed = [endpoint.secret]
        if endpoint.old_secret is not None and (endpoint.old_secret_until or self._clock()) > self._clock():
            sealed.append(endpoint.old_secret)
        return WebhookSigner(*(self._vault.open(each, where=WEBHOOKS.where(endpoint.id)).decode() for each in sealed))
