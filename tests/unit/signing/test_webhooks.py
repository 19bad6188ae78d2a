"""Signed messages, in the form of Standard Webhooks."""

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mamkit.signing import (
    MemoryReplayGuard,
    ReplayGuardFullError,
    WebhookInvalidError,
    WebhookReplayedError,
    WebhookSecretError,
    WebhookSigner,
    WebhookTimestampError,
    generate_webhook_secret,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32
BODY = b'{"done": true}'


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(clock: Clock) -> WebhookSigner:
    return WebhookSigner(SECRET, clock=clock)


def expected(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Compute a signature by the letter of the specification."""
    digest = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_headers_are_those_of_the_specification(signer: WebhookSigner) -> None:
    headers = signer.sign("msg_1", BODY)
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1772366400",
        "webhook-signature": expected(SECRET, "msg_1", 1772366400, BODY),
    }
    assert signer.verify(headers, BODY) == "msg_1"


def test_the_example_of_the_specification_verifies() -> None:
    """The message, secret and signature that the specification's own libraries are tested with."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    sent_at = datetime.fromtimestamp(1614265330, UTC)
    signer = WebhookSigner("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", clock=lambda: sent_at)
    body = b'{"test": 2432232314}'
    assert signer.verify(headers, body) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", body) == headers


def test_names_of_headers_may_be_in_any_case(signer: WebhookSigner) -> None:
    headers = {name.title(): value for name, value in signer.sign("msg_1", BODY).items()}
    assert signer.verify(headers | {"Content-Type": "application/json"}, BODY) == "msg_1"


def test_what_was_changed_is_refused(signer: WebhookSigner) -> None:
    headers = signer.sign("msg_1", BODY)
    changed: list[tuple[dict[str, str], bytes]] = [
        (headers, BODY + b" "),
        (headers, b""),
        (headers | {"webhook-id": "msg_2"}, BODY),
        (headers | {"webhook-timestamp": "1772366401"}, BODY),
        (headers | {"webhook-signature": ""}, BODY),
        (headers | {"webhook-signature": headers["webhook-signature"].removeprefix("v1,")}, BODY),
        (headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")}, BODY),
        (headers | {"webhook-signature": headers["webhook-signature"] + "x"}, BODY),
        (headers | {"webhook-signature": "v1,é"}, BODY),
        (headers | {"webhook-signature": f"{'v1,x ' * 2000}{headers['webhook-signature']}"}, BODY),
        (headers | {"webhook-timestamp": "1772366400.0"}, BODY),
        (headers | {"webhook-timestamp": "01772366400"}, BODY),
        (headers | {"webhook-timestamp": "-1"}, BODY),
        (headers | {"webhook-timestamp": ""}, BODY),
        (headers | {"webhook-timestamp": "\u0661"}, BODY),
        (headers | {"webhook-id": ""}, BODY),
        (headers | {"webhook-id": "a b"}, BODY),
        (headers | {"webhook-id": "x" * 256}, BODY),
        ({}, BODY),
    ]
    for given, body in changed:
        with pytest.raises(WebhookInvalidError):
            signer.verify(given, body)
    for name in headers:
        with pytest.raises(WebhookInvalidError):
            signer.verify({other: value for other, value in headers.items() if other != name}, BODY)


def test_parts_of_a_message_cannot_be_shifted(signer: WebhookSigner) -> None:
    """`a.1772366400` at one time is signed over the same bytes as `a` at another, so an id has no dot."""
    with pytest.raises(WebhookInvalidError):
        signer.sign("a.1772366400", BODY)
    forged = {
        "webhook-id": "a.1772366400",
        "webhook-timestamp": "1772366400",
        "webhook-signature": expected(SECRET, "a.1772366400", 1772366400, BODY),
    }
    with pytest.raises(WebhookInvalidError):
        signer.verify(forged, BODY)


@pytest.mark.parametrize("message_id", ["", "a b", "a\n", "é", "x" * 256])
def test_an_id_is_short_and_printable(signer: WebhookSigner, message_id: str) -> None:
    with pytest.raises(WebhookInvalidError):
        signer.sign(message_id, BODY)


def test_a_message_is_good_for_five_minutes(signer: WebhookSigner, clock: Clock) -> None:
    headers = signer.sign("msg_1", BODY)
    for minutes in (-5, 0, 5):
        clock.now = NOON + timedelta(minutes=minutes)
        assert signer.verify(headers, BODY) == "msg_1"
    for seconds in (-301, 301, 10**6):
        clock.now = NOON + timedelta(seconds=seconds)
        with pytest.raises(WebhookTimestampError) as raised:
            signer.verify(headers, BODY)
        assert (raised.value.sent_at, raised.value.received_at) == (NOON, clock.now)


def test_the_time_is_believed_of_a_good_message_only(signer: WebhookSigner, clock: Clock) -> None:
    headers = signer.sign("msg_1", BODY, sent_at=NOON - timedelta(days=1))
    with pytest.raises(WebhookInvalidError):
        signer.verify(headers, BODY + b"x")
    with pytest.raises(WebhookTimestampError):
        signer.verify(headers, BODY)


def test_a_secret_is_changed_without_a_gap(clock: Clock) -> None:
    """Who knows both signs with both, and takes either."""
    old, new, both = (
        WebhookSigner(*secrets, clock=clock) for secrets in ((SECRET,), (b"n" * 32,), (b"n" * 32, SECRET))
    )
    headers = both.sign("msg_1", BODY)
    assert headers["webhook-signature"].count("v1,") == 2
    for signer in (old, new, both):
        assert signer.verify(headers, BODY) == "msg_1"
    for sender in (old, new):
        assert both.verify(sender.sign("msg_1", BODY), BODY) == "msg_1"
    with pytest.raises(WebhookInvalidError):
        new.verify(old.sign("msg_1", BODY), BODY)


def test_signatures_of_other_kinds_are_passed_over(signer: WebhookSigner) -> None:
    headers = signer.sign("msg_1", BODY)
    headers["webhook-signature"] = f"v1a,c29tZXRoaW5n v9 {headers['webhook-signature']}"
    assert signer.verify(headers, BODY) == "msg_1"


def test_a_generated_secret_is_good() -> None:
    secret = generate_webhook_secret()
    assert secret.startswith("whsec_")
    assert secret != generate_webhook_secret()
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    one, other = WebhookSigner(secret), WebhookSigner(raw)
    assert one.verify(other.sign("msg_1", BODY), BODY) == "msg_1"


@pytest.mark.parametrize(
    "secrets",
    [
        (),
        (b"",),
        (b"s" * 23,),
        ("",),
        ("whsec_",),
        ("s" * 40,),
        ("whsec_c2hvcnQ=",),
        ("whsec_!!!",),
        (SECRET, b"short"),
    ],
)
def test_a_poor_secret_is_refused_and_not_shown(secrets: tuple[Any, ...]) -> None:
    with pytest.raises(WebhookSecretError) as raised:
        WebhookSigner(*secrets)
    assert not any(str(secret) in str(raised.value) for secret in secrets if len(secret) > 6)


def test_no_repr_shows_a_secret(signer: WebhookSigner) -> None:
    assert repr(signer) == "<WebhookSigner of 1 secrets>"


def test_a_replayed_message_is_refused(clock: Clock) -> None:
    """A sender that tries again signs anew, and is heard: what is done twice then is for the id to tell."""
    signer = WebhookSigner(SECRET, clock=clock, replays=MemoryReplayGuard(clock=clock))
    headers = signer.sign("msg_1", BODY)
    assert signer.verify(headers, BODY) == "msg_1"
    with pytest.raises(WebhookReplayedError) as raised:
        signer.verify(headers, BODY)
    assert raised.value.message_id == "msg_1"
    with pytest.raises(WebhookInvalidError):
        signer.verify(headers, BODY + b"x")
    clock.now += timedelta(seconds=1)
    assert signer.verify(signer.sign("msg_1", BODY), BODY) == "msg_1"


def test_a_message_is_remembered_as_long_as_it_is_good(clock: Clock) -> None:
    signer = WebhookSigner(SECRET, clock=clock, replays=MemoryReplayGuard(clock=clock))
    headers = signer.sign("msg_1", BODY, sent_at=NOON + timedelta(minutes=5))
    assert signer.verify(headers, BODY) == "msg_1"
    for minutes in (1, 5, 10):
        clock.now = NOON + timedelta(minutes=minutes)
        with pytest.raises(WebhookReplayedError):
            signer.verify(headers, BODY)
    clock.now += timedelta(seconds=1)
    with pytest.raises(WebhookTimestampError):
        signer.verify(headers, BODY)


def test_a_guard_would_rather_refuse_than_forget(clock: Clock) -> None:
    guard = MemoryReplayGuard(capacity=3, clock=clock)
    for number in range(3):
        assert guard.remember(str(number), until=NOON + timedelta(minutes=number))
    with pytest.raises(ReplayGuardFullError) as raised:
        guard.remember("3", until=NOON)
    assert raised.value.capacity == 3
    assert not guard.remember("0", until=NOON)
    clock.now += timedelta(seconds=1)
    assert guard.remember("3", until=NOON)
    assert not guard.remember("1", until=NOON)


def test_of_racing_copies_of_a_message_one_is_accepted(clock: Clock) -> None:
    guard = MemoryReplayGuard(clock=clock)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: guard.remember(str(number % 50), until=NOON), range(400)))
    assert answers.count(True) == 50
