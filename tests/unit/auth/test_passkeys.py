"""Passkeys: a device answers our question, at our site, and nobody else's answer counts."""

from uuid import uuid4

import pytest

from mamkit.auth import PasskeyRefusedError
from mamkit.auth.passkeys import Passkey, Passkeys
from tests.unit.auth.authenticator import Authenticator

SITE, ORIGIN = "video.example.org", "https://video.example.org"


@pytest.fixture
def passkeys() -> Passkeys:
    return Passkeys(rp_id=SITE, rp_name="mamkit", origins=[ORIGIN])


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(SITE, ORIGIN)


def register(passkeys: Passkeys, device: Authenticator) -> Passkey:
    question = passkeys.begin_registration(user_id=uuid4(), user_name="ada@example.org", display_name="Ada")
    return passkeys.finish_registration(device.create(question.options), challenge=question.challenge)


def test_a_passkey_is_registered_and_logs_in(passkeys: Passkeys, device: Authenticator) -> None:
    kept = register(passkeys, device)
    assert kept.credential_id == device.credential_id
    question = passkeys.begin_login()
    answer = device.get(question.options)
    assert passkeys.credential_id(answer) == kept.credential_id
    assert passkeys.finish_login(answer, challenge=question.challenge, passkey=kept) == 1


def test_the_question_asks_for_a_verified_user_and_leaves_known_devices_out(passkeys: Passkeys) -> None:
    question = passkeys.begin_registration(user_id=uuid4(), user_name="a@b", display_name="", known=[b"k" * 16])
    assert question.options["authenticatorSelection"]["userVerification"] == "required"
    assert question.options["authenticatorSelection"]["residentKey"] == "required"
    assert [known["id"] for known in question.options["excludeCredentials"]] == ["a2tra2tra2tra2tra2traw"]
    assert passkeys.begin_login().options["userVerification"] == "required"


def test_attack_answer_to_another_question(passkeys: Passkeys, device: Authenticator) -> None:
    """A replay: the challenge was another."""
    kept = register(passkeys, device)
    answer = device.get(passkeys.begin_login().options)
    with pytest.raises(PasskeyRefusedError):
        passkeys.finish_login(answer, challenge=passkeys.begin_login().challenge, passkey=kept)


@pytest.mark.parametrize(
    ("site", "origin"),
    [("evil.example", ORIGIN), (SITE, "https://evil.example"), (SITE, "http://video.example.org"), (SITE, "null")],
)
def test_attack_another_site(passkeys: Passkeys, device: Authenticator, site: str, origin: str) -> None:
    """Phishing: the browser and the device say where they are."""
    kept = register(passkeys, device)
    device.rp_id, device.origin = site, origin
    question = passkeys.begin_login()
    with pytest.raises(PasskeyRefusedError):
        passkeys.finish_login(device.get(question.options), challenge=question.challenge, passkey=kept)


def test_attack_user_not_verified(passkeys: Passkeys, device: Authenticator) -> None:
    kept = register(passkeys, device)
    device.verifies = False
    question = passkeys.begin_login()
    with pytest.raises(PasskeyRefusedError):
        passkeys.finish_login(device.get(question.options), challenge=question.challenge, passkey=kept)
    with pytest.raises(PasskeyRefusedError):
        register(passkeys, device)


def test_attack_another_device(passkeys: Passkeys, device: Authenticator) -> None:
    kept = register(passkeys, device)
    question = passkeys.begin_login()
    other = Authenticator(SITE, ORIGIN)
    other.credential_id = device.credential_id
    with pytest.raises(PasskeyRefusedError):
        passkeys.finish_login(other.get(question.options), challenge=question.challenge, passkey=kept)


def test_attack_copied_passkey(passkeys: Passkeys, device: Authenticator) -> None:
    """A count that does not grow (WebAuthn section 6.1.1)."""
    kept = register(passkeys, device)
    ahead = Passkey(credential_id=kept.credential_id, public_key=kept.public_key, sign_count=5)
    question = passkeys.begin_login()
    with pytest.raises(PasskeyRefusedError):
        passkeys.finish_login(device.get(question.options), challenge=question.challenge, passkey=ahead)


@pytest.mark.parametrize(
    "garbage",
    [{}, {"rawId": 5}, {"rawId": "AA", "id": "AA", "type": "public-key", "response": {}}, {"rawId": "\ud800"}],
)
def test_attack_garbage(passkeys: Passkeys, device: Authenticator, garbage: dict[str, object]) -> None:
    kept = register(passkeys, device)
    question = passkeys.begin_login()
    for finish in (
        lambda: passkeys.finish_login(garbage, challenge=question.challenge, passkey=kept),
        lambda: passkeys.finish_registration(garbage, challenge=question.challenge),
    ):
        with pytest.raises(PasskeyRefusedError):
            finish()
    if garbage.get("rawId") != "AA":
        with pytest.raises(PasskeyRefusedError):
            passkeys.credential_id(garbage)
