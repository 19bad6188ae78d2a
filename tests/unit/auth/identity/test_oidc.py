"""OpenID Connect against a real provider, in a process of its own."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mamkit.auth.identity import (
    Answer,
    Identity,
    IdentityRefusedError,
    IdentityUnavailableError,
    OidcProvider,
    Transport,
)
from mamkit_apps.outgoing import HttpTransport
from tests.servers.oidc import Issuer, running
from tests.servers.postgres import free_port

CALLBACK = "http://127.0.0.1:9/auth/providers/id/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running(CALLBACK) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport()
    yield transport
    transport.close()


class Clock:
    """This machine's, moved."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


def provider(issuer: Issuer, transport: Transport, **changes: Any) -> OidcProvider:
    arguments = {
        "issuer": issuer.url,
        "client_id": issuer.client_id,
        "client_secret": issuer.client_secret,
        "transport": transport,
    }
    return OidcProvider("id", **{**arguments, **changes})


def log_in(provider: OidcProvider, issuer: Issuer, *, sub: str = "ada", **kept: str) -> Identity:
    started = provider.begin(redirect_uri=CALLBACK)
    return provider.finish({**started.kept, **kept}, issuer.log_in(started.url, sub=sub))


def test_a_login_says_who_it_was(issuer: Issuer, transport: HttpTransport) -> None:
    assert log_in(provider(issuer, transport), issuer) == Identity(
        provider="id", subject="ada", email="ada@example.org", email_verified=True, name="Ada Lovelace"
    )


def test_an_address_that_the_issuer_did_not_verify_is_not_verified(issuer: Issuer, transport: HttpTransport) -> None:
    identity = log_in(provider(issuer, transport), issuer, sub="eve")
    assert (identity.email, identity.email_verified) == ("ada@example.org", False)


def test_the_browser_is_sent_with_state_nonce_and_a_pkce_challenge(issuer: Issuer, transport: HttpTransport) -> None:
    started = provider(issuer, transport).begin(redirect_uri=CALLBACK)
    sent = {name: value[0] for name, value in parse_qs(urlsplit(started.url).query).items()}
    assert started.url.startswith(f"{issuer.url}/")
    assert (sent["response_type"], sent["code_challenge_method"], sent["redirect_uri"]) == ("code", "S256", CALLBACK)
    assert sent["state"] == started.kept["state"]
    assert sent["nonce"] == started.kept["nonce"]
    assert len({sent["state"], sent["nonce"], sent["code_challenge"], started.kept["verifier"]}) == 4
    assert started.kept["verifier"] not in started.url
    assert issuer.client_secret not in started.url
    assert sent["state"] not in repr(started)


def test_the_code_is_exchanged_with_the_verifier_of_the_challenge(issuer: Issuer, transport: HttpTransport) -> None:
    """RFC 7636 section 4.6; the provider of these tests does not insist on it, so the request is looked at."""
    sent: list[Mapping[str, str]] = []

    def watched(method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Any = None) -> Answer:
        sent.append(form or {})
        return transport(method, url, form=form, headers=headers)

    ours = provider(issuer, watched)
    started = ours.begin(redirect_uri=CALLBACK)
    ours.finish(started.kept, issuer.log_in(started.url))
    [verifier] = [form["code_verifier"] for form in sent if "code_verifier" in form]
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert f"code_challenge={digest}&" in started.url


def test_attack_wrong_nonce(issuer: Issuer, transport: HttpTransport) -> None:
    """An ID token of another login, be it of the same person."""
    with pytest.raises(IdentityRefusedError, match="another login"):
        log_in(provider(issuer, transport), issuer, nonce="n-0S6_WzA2Mj")


def test_attack_wrong_state(issuer: Issuer, transport: HttpTransport) -> None:
    for state in ("", "x", "\ud800"):
        begun = provider(issuer, transport)
        started = begun.begin(redirect_uri=CALLBACK)
        answer = issuer.log_in(started.url)
        with pytest.raises(IdentityRefusedError, match="another login"):
            begun.finish(started.kept, {**answer, "state": state})


def test_attack_wrong_issuer_in_the_configuration(issuer: Issuer, transport: HttpTransport) -> None:
    """The issuer must call itself what the operator wrote, to the letter."""
    for written in (f"{issuer.url}/", issuer.url.replace("127.0.0.1", "localhost") + "/"):
        with pytest.raises(IdentityRefusedError, match="another issuer"):
            provider(Issuer(written, "client", "secret"), transport).begin(redirect_uri=CALLBACK)


def test_attack_wrong_issuer_in_the_id_token(issuer: Issuer, transport: HttpTransport) -> None:
    """Signed with the right key: the provider calls itself after the host that it was asked as."""

    def elsewhere(method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Any = None) -> Answer:
        host = url.replace("127.0.0.1", "localhost") if method == "POST" else url
        return transport(method, host, form=form, headers=headers)

    with pytest.raises(IdentityRefusedError, match="another issuer made"):
        log_in(provider(issuer, elsewhere), issuer)


def test_attack_another_issuer_answers(issuer: Issuer, transport: HttpTransport) -> None:
    """RFC 9207: a mix-up of two issuers."""
    begun = provider(issuer, transport)
    started = begun.begin(redirect_uri=CALLBACK)
    answer = issuer.log_in(started.url) | {"iss": "https://evil.example"}
    with pytest.raises(IdentityRefusedError, match="another issuer"):
        begun.finish(started.kept, answer)


def test_attack_id_token_for_another_client(issuer: Issuer, transport: HttpTransport) -> None:
    ours, other = provider(issuer, transport), provider(issuer, transport, client_id="somebody-else")
    started = ours.begin(redirect_uri=CALLBACK)
    tokens = ours._exchange(issuer.log_in(started.url)["code"], started.kept)
    with pytest.raises(IdentityRefusedError, match="another client"):
        other._verify(tokens["id_token"], nonce=started.kept["nonce"])


def test_a_code_is_good_once(issuer: Issuer, transport: HttpTransport) -> None:
    begun = provider(issuer, transport)
    started = begun.begin(redirect_uri=CALLBACK)
    answer = issuer.log_in(started.url)
    begun.finish(started.kept, answer)
    with pytest.raises(IdentityRefusedError, match="invalid_grant"):
        begun.finish(started.kept, answer)


def test_a_wrong_client_secret_is_refused_and_not_shown(issuer: Issuer, transport: HttpTransport) -> None:
    with pytest.raises(IdentityRefusedError) as caught:
        log_in(provider(issuer, transport, client_secret="wrong-secret"), issuer)
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_clock_ten_seconds_off_still_logs_in(issuer: Issuer, transport: HttpTransport, seconds: int) -> None:
    clock = Clock(timedelta(seconds=seconds))
    assert log_in(provider(issuer, transport, clock=clock), issuer).subject == "ada"


@pytest.mark.parametrize(("off", "reason"), [(-timedelta(minutes=5), "future"), (timedelta(hours=2), "expired")])
def test_a_clock_far_off_is_found_out(issuer: Issuer, transport: HttpTransport, off: timedelta, reason: str) -> None:
    with pytest.raises(IdentityRefusedError, match=reason):
        log_in(provider(issuer, transport, clock=Clock(off)), issuer)


def test_a_rotated_key_is_found_and_an_old_one_is_no_good(transport: HttpTransport) -> None:
    """The provider starts anew, with other keys, under the same name."""
    port, clock = free_port(), Clock()
    with running(CALLBACK, port=port) as before:
        ours = provider(before, transport, clock=clock)
        assert log_in(ours, before).subject == "ada"
        started = ours.begin(redirect_uri=CALLBACK)
        old = ours._exchange(before.log_in(started.url)["code"], started.kept)["id_token"]
    with running(CALLBACK, port=port) as after:
        ours._client_id, ours._client_secret = after.client_id, after.client_secret
        with pytest.raises(IdentityRefusedError, match="no key of the issuer"):
            log_in(ours, after)  # strangers must not make us ask for keys again and again
        clock.offset += timedelta(seconds=30)
        assert log_in(ours, after).subject == "ada"
        with pytest.raises(IdentityRefusedError, match="no key of the issuer"):
            ours._verify(old, nonce=started.kept["nonce"])


def test_an_issuer_that_is_not_there_is_unavailable(transport: HttpTransport) -> None:
    gone = Issuer(f"http://127.0.0.1:{free_port()}", "client", "secret")
    with pytest.raises(IdentityUnavailableError):
        provider(gone, transport).begin(redirect_uri=CALLBACK)


@pytest.mark.parametrize("url", ["http://id.example.org", "ftp://id.example.org", "file:///etc/passwd", "id.example"])
def test_an_issuer_is_asked_over_https_only(transport: HttpTransport, url: str) -> None:
    with pytest.raises(IdentityUnavailableError, match="https"):
        provider(Issuer(url, "client", "secret"), transport)


def test_attack_issuer_elsewhere_that_names_places_on_this_machine(issuer: Issuer) -> None:
    """Its configuration must not make us ask what only this machine may ask."""
    found = {"issuer": "https://id.example.org", "authorization_endpoint": "http://127.0.0.1:2375/containers"}

    def answers(method: str, url: str, **_: object) -> Answer:
        return Answer(status=200, body=json.dumps(found).encode())

    elsewhere = Issuer("https://id.example.org", "client", "secret")
    with pytest.raises(IdentityUnavailableError, match="https"):
        provider(elsewhere, answers).begin(redirect_uri=CALLBACK)


@pytest.mark.parametrize("token", ["", "a.b.c", "\ud800.x.y", "x" * 40_000, "eyJhbGciOiJub25lIn0.e30."])
def test_attack_garbage_and_unsigned_id_tokens(issuer: Issuer, transport: HttpTransport, token: str) -> None:
    with pytest.raises(IdentityRefusedError):
        provider(issuer, transport)._verify(token, nonce="n")
