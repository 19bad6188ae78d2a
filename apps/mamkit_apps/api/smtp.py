"""Mail by SMTP."""

from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from mamkit_apps.api.mail import Mail, MailError

__all__ = ["SmtpMailer"]

TIMEOUT = 30.0  # seconds for a server to take a mail
SUBMISSION = {"smtp": 587, "smtps": 465}  # RFC 8314 section 3.3, RFC 6409 section 3.1


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
