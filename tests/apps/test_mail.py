"""Mail goes out by SMTP, to a real server, and no password over an open line."""

import asyncio
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from litestar.testing import TestClient
from pydantic import SecretStr

from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.mail import ConsoleMailer, Mail, MailError, Postbox
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.smtp import SmtpMailer
from mamkit_apps.settings import SettingsError
from tests.servers.postgres import free_port

MAIL = Mail(to="ada@example.org", subject="Grüße", text="Ein Link:\n\nhttps://video.example.org/x#token=secret")


class Received:
    """Keeps what a server takes, but for one person; its methods are named as aiosmtpd calls them."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def server(received: Received) -> Iterator[Controller]:
    controller = Controller(received, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


def send(url: str, mail: Mail = MAIL) -> None:
    asyncio.run(SmtpMailer(SecretStr(url), sender="mamkit <noreply@example.org>").send(mail))


def test_a_mail_arrives_as_it_was_written(server: Controller, received: Received) -> None:
    send(f"smtp://127.0.0.1:{server.port}")
    [envelope] = received.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("noreply@example.org", ["ada@example.org"])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=default)
    assert (message["Subject"], message["To"]) == ("Grüße", "ada@example.org")
    assert message.get_content().replace("\r\n", "\n").strip() == MAIL.text


def test_a_mail_that_is_not_taken_is_an_error_of_ours(server: Controller) -> None:
    with pytest.raises(MailError) as caught:
        send(f"smtp://127.0.0.1:{server.port}", Mail(to="nobody@example.org", subject="x", text="secret"))
    assert "secret" not in str(caught.value)
    with pytest.raises(MailError):
        send(f"smtp://127.0.0.1:{free_port()}")


def test_attack_header_injection(server: Controller, received: Received) -> None:
    with pytest.raises(MailError):
        send(f"smtp://127.0.0.1:{server.port}", Mail(to="ada@example.org\nBcc: eve@example.org", subject="x", text=""))
    assert received.envelopes == []


def test_no_password_goes_over_an_open_line(received: Received) -> None:
    """The server offers logins without encryption; they are not taken."""
    tried = []

    def authenticate(*arguments: object) -> AuthResult:
        tried.append(arguments)
        return AuthResult(success=True)

    controller = Controller(
        received, hostname="127.0.0.1", port=free_port(), authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    try:
        with pytest.raises(MailError):
            send(f"smtp://ada:p%40ss@127.0.0.1:{controller.port}")
    finally:
        controller.stop()
    assert tried == []
    assert received.envelopes == []


def test_the_api_hands_its_mails_to_the_server_that_its_settings_name(
    server: Controller, received: Received, tmp_path: Path
) -> None:
    settings = ApiSettings.load(
        data_dir=tmp_path, smtp_url=f"smtp://127.0.0.1:{server.port}", mail_from="mamkit <mamkit@example.org>"
    )
    prepare(settings)
    with TestClient(create_app(settings)) as client:
        assert client.blocking_portal is not None
        client.blocking_portal.call(client.app.state.parts.post.put, MAIL)  # which is sent before the end
    [envelope] = received.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("mamkit@example.org", ["ada@example.org"])


def test_without_a_server_mails_are_written_to_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(ConsoleMailer().send(MAIL))
    assert "https://video.example.org/x#token=secret" in capsys.readouterr().err
    assert "secret" not in repr(MAIL)


def test_a_failed_mail_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        async def send(self, mail: Mail) -> None:
            raise MailError("the server is down")

    async def post() -> None:
        postbox = Postbox(Failing())
        postbox.put(MAIL)
        await postbox.close()

    asyncio.run(post())
    assert "the server is down" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["mail.example.org", "http://mail.example.org", "smtp://", "smtp:mail"])
def test_an_address_that_is_no_mail_server_s_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL"):
        ApiSettings.load(smtp_url=url)
