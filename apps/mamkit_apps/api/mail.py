"""Mail: by SMTP, or onto the console where no server is set."""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from mamkit.errors import MamkitError

__all__ = ["ConsoleMailer", "Mail", "MailError", "Mailer", "Postbox", "SmtpMailer", "open_mailer"]

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds for a server to take a mail
SUBMISSION = {"smtp": 587, "smtps": 465}  # RFC 8314 section 3.3, RFC 6409 section 3.1


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


class SmtpMailer:
    """Hands mails to a server.

    Args:
        url: `smtps://user:password@host` (TLS from the start), or `smtp://…` (STARTTLS, which is demanded as soon as
            there is a password).
        sender: Address that mails are from.
    """

    def __init__(self, url: SecretStr, *, sender: str) -> None:
        self._url = url
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """Hand a mail over; see `Mailer`."""
        message = EmailMessage(policy=SMTP)
        try:
            message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        except ValueError:
            raise MailError("an address or a subject holds a line break") from None  # the cause shows it
        message.set_content(mail.text)
        parts = urlsplit(self._url.get_secret_value())
        password = None if parts.password is None else unquote(parts.password)
        try:
            await aiosmtplib.send(
                message,
                hostname=parts.hostname,
                port=parts.port or SUBMISSION[parts.scheme],
                username=None if parts.username is None else unquote(parts.username),
                password=password,
                use_tls=parts.scheme == "smtps",
                # None: where the server offers it. No password goes over an open line.
                start_tls=None if parts.scheme == "smtp" and password is None else parts.scheme == "smtp",
                timeout=TIMEOUT,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(f"the mail server did not take a mail: {type(error).__name__}") from error


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


def open_mailer(url: SecretStr | None, *, sender: str) -> Mailer:
    """Return the mailer for a server, or the console's where there is none."""
    return ConsoleMailer() if url is None else SmtpMailer(url, sender=sender)
