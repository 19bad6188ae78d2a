"""Mails about what people were told of and have not read, and a look whether the stores answer."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from mamkit.catalog import Catalog, CatalogUnavailableError, User
from mamkit.catalog.event_models import Notification
from mamkit.catalog.notifications import claim_mail, close_incident, escalate, open_incident
from mamkit_apps.api.mail import Mail, Postbox

__all__ = ["Notifier", "digest"]

log = logging.getLogger(__name__)

LOOK_EVERY = 15.0  # seconds
PROBE_EVERY = 4  # rounds: a minute
PROBE_WITHIN = 20.0  # seconds
FAILURES = 2  # in a row: one may be a hiccup
STORAGE = "storage"

SAYS = {
    "comment.created": "comments on assets of yours, or in threads of yours",
    "escalated": "problems that nobody has looked at",
    "import.failed": "imports that brought nothing in",
    "member.set": "workspaces that you were added to, or have a new role in",
    "preview.failed": "previews that could not be built",
    "storage.failing": "storage that does not answer",
    "webhook.disabled": "webhooks that were disabled, since nothing could be delivered to them",
}


def digest(user: User, notifications: Sequence[Notification], *, site: str, url: str) -> Mail:
    """Return one mail about several notifications; it says what there is and where, and quotes nobody."""
    counts = Counter(each.kind for each in notifications)
    lines = [f"- {count} x {SAYS.get(kind, kind)}" for kind, count in sorted(counts.items())]
    noun = "notification" if len(notifications) == 1 else "notifications"
    text = "\n".join([f"What is new at {site}:", "", *lines, "", f"See {url}/notifications"])
    return Mail(to=user.email, subject=f"{site}: {len(notifications)} {noun}", text=text)


class Notifier:
    """Mails and escalates.

    Args:
        catalog: Holds what people are told of.
        post: Sends mails.
        probe: Raises if the stores do not answer; runs in a thread.
        escalate_after: How long people have to look at what went wrong, before administrators are told.
        site: Its name and the base URL of its pages.
    """

    def __init__(
        self,
        catalog: Catalog,
        post: Postbox,
        probe: Callable[[], object],
        *,
        escalate_after: timedelta,
        site: tuple[str, str],
    ) -> None:
        self._catalog = catalog
        self._post = post
        self._probe = probe
        self._escalate_after = escalate_after
        self._site, self._url = site
        self._failures = 0

    async def run(self) -> None:
        """Look from time to time, for as long as the application runs."""
        count = 0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.round()
                count += 1
                if count % PROBE_EVERY == 0:
                    await self.probe()
            except CatalogUnavailableError:
                continue  # the hub says so in the log
            except Exception:  # the next round may do better, and the API must go on serving
                log.exception("notifying failed")

    async def round(self) -> int:
        """Escalate what nobody has seen, send the mails that are due, and return how many these are."""
        async with self._catalog.begin() as session:
            await escalate(session, after=self._escalate_after)
        count = 0
        while True:
            async with self._catalog.begin() as session:
                claimed = await claim_mail(session)
            if claimed is None:
                return count
            user, notifications = claimed
            if notifications:
                self._post.put(digest(user, notifications, site=self._site, url=self._url))
                count += 1

    async def probe(self) -> None:
        """Look whether the stores answer; tell the administrators if they do not twice in a row."""
        try:
            async with asyncio.timeout(PROBE_WITHIN):
                await asyncio.to_thread(self._probe)
        except Exception as error:  # whatever it is, it does not work
            self._failures += 1
            if self._failures >= FAILURES:
                log.warning("the storage does not answer: %s", type(error).__name__)
                async with self._catalog.begin() as session:
                    data = {"code": getattr(error, "code", type(error).__name__)}
                    await open_incident(session, "storage.failing", STORAGE, data=data)
            return
        recovered, self._failures = self._failures, 0
        if recovered:
            async with self._catalog.begin() as session:
                await close_incident(session, STORAGE)
