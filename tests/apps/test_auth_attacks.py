"""Attacks on logins over HTTP, each by its name; those on tokens alone are in tests/unit/auth/test_tokens.py."""

import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import sqlalchemy as sa

from mamkit.auth import PasswordHasher
from mamkit.catalog import sync_engine
from mamkit.clock import utc_now
from mamkit_apps.api.mail import Mail
from mamkit_apps.api.wiring import HASHES_AT_ONCE
from tests.apps.people import PASSWORD, QUICK, Person, Site, open_site


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    with open_site(data_dir) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person("ada@example.org")


def stop_the_clock(site: Site) -> None:
    """Let no wait end before the test does, however busy the machine is."""
    now = utc_now()
    site.parts.lockout._clock = lambda: now


def forge(site: Site, token: str, *, headers: Mapping[str, object] | None = None, **claims: Any) -> str:
    """Return the token with other claims and headers, signed with the right secret."""
    kid, secret = site.settings.ring("jwt_secret").current
    payload = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(
        {**payload, **claims}, secret, algorithm="HS256", headers={"kid": kid, "typ": "at+jwt", **(headers or {})}
    )


def refused(site: Site, token: str) -> bool:
    answer = site.call("GET", "/auth/me", token=token)
    return answer.status_code == 401 and token not in answer.text


def test_attack_algorithm_none(site: Site, ada: Person) -> None:
    _, payload, signature = ada.access.split(".")
    header = jwt.utils.base64url_encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).decode()
    assert refused(site, f"{header}.{payload}.")
    assert refused(site, f"{header}.{payload}.{signature}")


def test_attack_key_id_injection(site: Site, ada: Person) -> None:
    for kid in ("../../../dev/null", "k' UNION SELECT 'x", "", "\0"):
        assert refused(site, forge(site, ada.access, headers={"kid": kid}))


@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_attack_wrong_issuer_or_audience(site: Site, ada: Person, claim: str) -> None:
    assert refused(site, forge(site, ada.access, headers=None, **{claim: "somebody-else"}))


def test_attack_wrong_type(site: Site, ada: Person) -> None:
    assert refused(site, forge(site, ada.access, headers={"typ": "JWT"}))


def test_attack_expired_and_from_the_future(site: Site, ada: Person) -> None:
    now = int(time.time())
    assert refused(site, forge(site, ada.access, exp=now - 6))
    assert refused(site, forge(site, ada.access, iat=now + 60))
    assert not refused(site, forge(site, ada.access, iat=now + 2, exp=now - 2))  # within the leeway


def test_attack_refresh_token_as_access_token_and_the_reverse(site: Site, ada: Person) -> None:
    assert refused(site, ada.refresh)
    assert site.call("POST", "/auth/refresh", {"refresh_token": ada.access}).status_code == 401


def test_attack_token_of_a_deleted_user(site: Site, ada: Person) -> None:
    key = ada.call("POST", "/auth/api-keys", {"name": "x", "scopes": ["asset.read"]}).json()["api_key"]
    engine = sync_engine(site.settings.database)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM users WHERE email = 'ada@example.org'"))
    engine.dispose()
    assert refused(site, ada.access)
    assert site.call("GET", "/api/assets", token=key).status_code == 401
    assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 401


def test_attack_session_fixation(site: Site, ada: Person) -> None:
    """A login never goes on with a session that was there before, whatever the request brings along."""
    planted = {"cookie": f"mamkit_login={ada.refresh}", "authorization": f"Bearer {ada.access}"}
    body = {"email": ada.email, "password": PASSWORD}
    fresh = site.client.post("/auth/login", json=body, headers=planted).json()
    assert fresh["refresh_token"] != ada.refresh
    site.call("POST", "/auth/logout", {"refresh_token": ada.refresh})
    assert site.call("POST", "/auth/refresh", {"refresh_token": fresh["refresh_token"]}).status_code == 200


def test_attack_csrf_the_browser_sends_nothing_that_counts_by_itself(site: Site, ada: Person) -> None:
    """No route that changes something takes a cookie for a login."""
    site.client.cookies.set("access_token", ada.access)
    site.client.cookies.set("mamkit_login", ada.refresh)
    routes = [
        ("POST", "/auth/logout-all"),
        ("POST", "/auth/password"),
        ("POST", "/auth/second-factor"),
        ("POST", "/auth/api-keys"),
        ("POST", "/auth/passkeys/begin"),
        ("DELETE", f"/auth/sessions/{uuid4()}"),
        ("POST", "/api/presign"),
    ]
    for method, path in routes:
        answer = site.client.request(method, path, json={}, headers={"origin": "https://evil.example"})
        assert answer.status_code in {400, 401}, path
    assert ada.call("GET", "/auth/me").status_code == 200


def answers(site: Site, path: str, *bodies: dict[str, str]) -> list[tuple[int, str]]:
    """Return what each body is answered, but for the id of the request."""
    found = (site.call("POST", path, body) for body in bodies)
    return [(answer.status_code, answer.text.replace(answer.headers["x-request-id"], "")) for answer in found]


def test_attack_enumeration_by_text_and_status_of_logins_and_resets(site: Site, ada: Person) -> None:
    """Nobody learns who has an account, nor whether it is banned or has no password."""
    banned = site.person()
    site.admin().call("PUT", f"/api/users/{banned.id}/status", {"status": "disabled"})
    emails = [ada.email, "nobody@example.org", banned.email, "no address at all"]
    said = answers(site, "/auth/login", *({"email": email, "password": "wrong"} for email in emails))
    assert len(set(said)) == 1
    assert said[0][0] == 401
    said = answers(site, "/auth/login", {"email": banned.email, "password": PASSWORD})
    assert said[0][0] == 401
    resets = answers(site, "/auth/reset-password/send", *({"email": email} for email in emails))
    assert set(resets) == {(202, resets[0][1])}
    assert [mail.to for mail in site.outbox.mails if "password" in mail.subject] == [ada.email]


def test_attack_enumeration_by_text_and_status_of_registrations(data_dir: Path) -> None:
    with open_site(data_dir, email_verification="required") as site:
        bodies = [{"email": email, "password": PASSWORD} for email in ("ada@example.org", "ADA@example.org", "b@x.org")]
        said = answers(site, "/auth/register", *bodies)
        assert set(said) == {(202, said[0][1])}
        assert [mail.subject for mail in site.outbox.mails] == [
            "Is this your address?",
            "You have an account already",
            "Is this your address?",
        ]


def test_attack_enumeration_by_lockout(site: Site, ada: Person) -> None:
    """Accounts that are not there are locked as soon as those that are."""
    stop_the_clock(site)
    for email in (ada.email, "nobody@example.org"):
        statuses = [status for status, _ in answers(site, "/auth/login", *[{"email": email, "password": "wrong"}] * 8)]
        assert statuses == [401] * 6 + [429] * 2
    locked = site.call("POST", "/auth/login", {"email": ada.email, "password": PASSWORD})
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "1")


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return what a call costs this process, in which the API runs too; other processes do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def tell_no_difference(rounds: int, one: Callable[[int], object], other: Callable[[int], object]) -> None:
    """Check that the medians of two kinds of requests lie within 10 % of each other, noise of the machine apart."""
    for _ in range(3):  # a difference in the work is there each time, a neighbour on the machine is not
        taken = [(cpu_seconds(partial(one, number)), cpu_seconds(partial(other, number))) for number in range(rounds)]
        first, second = (statistics.median(values) for values in zip(*taken, strict=True))
        if first == pytest.approx(second, rel=0.1):
            break
    assert first == pytest.approx(second, rel=0.1)


def test_attack_enumeration_by_time_of_logins(site: Site) -> None:
    object.__setattr__(site.parts, "passwords", PasswordHasher())  # at the default profile
    known = [site.person().email for _ in range(3)]

    def log_in(email: str) -> None:
        site.parts.lockout._store.clear("address:testclient")
        site.parts.lockout.forget(account=email)
        assert site.call("POST", "/auth/login", {"email": email, "password": "wrong"}).status_code == 401

    tell_no_difference(7, lambda n: log_in(known[n % 3]), lambda n: log_in(f"nobody-{n}@example.org"))


def test_attack_enumeration_by_time_of_resets(site: Site, ada: Person) -> None:
    """What is sent in the background does not count."""

    class Nowhere:
        def put(self, mail: Mail) -> None: ...

        async def close(self) -> None: ...

    post = site.parts.post
    object.__setattr__(site.parts, "post", Nowhere())

    def reset(email: str) -> None:
        site.parts.lockout._store.clear("mail:address:testclient")
        assert site.client.post("/auth/reset-password/send", json={"email": email}).status_code == 202

    tell_no_difference(60, lambda _: reset(ada.email), lambda n: reset(f"nobody-{n}@example.org"))
    object.__setattr__(site.parts, "post", post)


def test_attack_enumeration_by_time_of_registrations(data_dir: Path) -> None:
    with open_site(data_dir, email_verification="required") as site:
        object.__setattr__(site.parts, "passwords", PasswordHasher())

        def register(email: str) -> None:
            site.parts.lockout._store.clear("mail:address:testclient")
            body = {"email": email, "password": PASSWORD}
            assert site.client.post("/auth/register", json=body).status_code == 202

        register("ada@example.org")
        numbers = itertools.count()
        tell_no_difference(
            5, lambda _: register("ada@example.org"), lambda _: register(f"new-{next(numbers)}@example.org")
        )


def test_attack_guessing_at_spellings_of_one_account(site: Site) -> None:
    stop_the_clock(site)
    site.person("caf\u00e9@x.org")
    spellings = ["caf\u00e9@x.org", "cafe\u0301@x.org", "CAF\u00c9@X.org", " cafe\u0301@x.org "] * 2
    bodies = [{"email": spelling, "password": "wrong"} for spelling in spellings]
    assert [status for status, _ in answers(site, "/auth/login", *bodies)] == [401] * 6 + [429] * 2


def test_attack_guessing_from_one_address_at_many_accounts(site: Site) -> None:
    stop_the_clock(site)
    bodies = [{"email": f"user-{number}@example.org", "password": "wrong"} for number in range(22)]
    statuses = [status for status, _ in answers(site, "/auth/login", *bodies)]
    assert statuses[:21] == [401] * 21
    assert statuses[21] == 429


def test_attack_open_redirect(data_dir: Path) -> None:
    with open_site(data_dir, plex_client_identifier="installation") as site:
        for target in ("https://evil.example", "//evil.example", "/\\evil.example", "evil", "/\t/evil.example"):
            answer = site.call("POST", "/auth/providers/plex/start", {"return_to": target})
            assert (answer.status_code, answer.json()["code"]) == (400, "auth.redirect_refused")


def test_attack_flood_of_logins(site: Site, ada: Person) -> None:
    """Whoever is logged in already goes on while forty others wait for a hash."""
    may_end = threading.Event()

    class Busy(PasswordHasher):
        def verify(self, stored: str | None, password: str) -> None:
            may_end.wait(60)
            super().verify(stored, password)

    object.__setattr__(site.parts, "passwords", Busy(QUICK))
    bodies = [{"email": f"user-{number}@example.org", "password": "wrong"} for number in range(40)]
    with ThreadPoolExecutor(41) as pool:
        try:
            flood = [pool.submit(site.client.post, "/auth/login", json=body) for body in bodies]
            deadline = time.monotonic() + 60
            while site.parts.hashing._work_queue.qsize() < len(bodies) - HASHES_AT_ONCE:  # all have come
                assert time.monotonic() < deadline
                time.sleep(0.01)
            refresh = pool.submit(site.client.post, "/auth/refresh", json={"refresh_token": ada.refresh})
            assert refresh.result(timeout=30).status_code == 200
            assert not any(login.done() for login in flood)
        finally:
            may_end.set()
        assert {login.result().status_code for login in flood} <= {401, 429}
