"""Our webhook signatures and those of the specification's own library verify each other."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mamkit.signing import MemoryReplayGuard, WebhookInvalidError, WebhookReplayedError, WebhookSigner
from mamkit.signing.webhooks import generate_webhook_secret

BODY = json.dumps({"event": "preview.ready", "title": "été 🎬"}).encode()


def test_their_library_takes_what_we_sign() -> None:
    secret = generate_webhook_secret()
    headers = WebhookSigner(secret).sign("msg_1", BODY)
    assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)


def test_their_library_takes_what_we_sign_with_two_secrets() -> None:
    old, new = generate_webhook_secret(), generate_webhook_secret()
    headers = WebhookSigner(new, old).sign("msg_2", BODY)
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)


def test_we_take_what_their_library_signs_once() -> None:
    secret, now = generate_webhook_secret(), datetime.now(UTC)
    signature = Webhook(secret).sign("msg_3", now, BODY.decode())
    headers = {"webhook-id": "msg_3", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    signer = WebhookSigner(secret, replays=MemoryReplayGuard())
    assert signer.verify(headers, BODY) == "msg_3"
    with pytest.raises(WebhookReplayedError):
        signer.verify(headers, BODY)
    with pytest.raises(WebhookInvalidError):
        WebhookSigner(generate_webhook_secret()).verify(headers, BODY)
