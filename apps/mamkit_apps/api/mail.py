"""Mail, as it is written, and sent in the background; onto the console where no server is set."""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from typing import Protocol

from mamkit.errors import MamkitError

__all__ = ["ConsoleMailer", "Mail", "MailError", "Mailer", "Postbox"]

log = logging.getLogger(__name__)


class MailError(MamkitError):
    """A mail could not be handed over; the cause is chained."""

    code = "apps.mail_failed"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail to one person."""

    to: str
    subject: str
    text: str = field(repr=False)
    """It may hold a token."""


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, mail: Mail) -> None:
        """Hand a mail over.

        Raises:
            MailError: It was not taken.
        """


class ConsoleMailer:
    """Writes mails to standard error: enough for one machine, whose operator reads them."""

    async def send(self, mail: Mail) -> None:
        """Write a mail."""
        await asyncio.to_thread(sys.stderr.write, f"\n--- mail to {mail.to}: {mail.subject}\n{mail.text}\n---\n")


class Postbox:
    """Sends mails in the background, so that the time of an answer does not tell whether there was one.

    Args:
        mailer: Sends them.
    """

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, mail: Mail) -> None:
        """Send a mail soon; a failure is logged."""
        task = asyncio.create_task(self._send(mail))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait until all mails are sent."""
        await asyncio.gather(*self._under_way)

    async def _send(self, mail: Mail) -> None:
        try:
            await self._mailer.send(mail)
        except MailError:
            log.exception("a mail was not sent")
