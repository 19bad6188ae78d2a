"""Logins at other services, through the API, in a browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.settings import SettingsError
from tests.apps.people import PASSWORD, SITE, Site, open_site
from tests.servers.oidc import Issuer, running

CALLBACK = f"{SITE}/auth/providers/id/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running(CALLBACK) as issuer:
        yield issuer


@pytest.fixture
def site(issuer: Issuer, data_dir: Path) -> Iterator[Site]:
    entry = {
        "name": "id", "issuer": issuer.url, "client_id": issuer.client_id, "client_secret": issuer.client_secret,
    }  # fmt: skip
    with open_site(data_dir, oidc_providers=json.dumps([entry])) as site:
        yield site


def start(site: Site, path: str = "/auth/providers/id/start", token: str = "", return_to: str = "/") -> str:
    answer = site.call("POST", path, {"return_to": return_to}, token)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def come_back(site: Site, answer: dict[str, str]) -> httpx.Response:
    return site.client.get("/auth/providers/id/callback", params=answer, follow_redirects=False)


def ticket(answer: httpx.Response) -> str:
    assert answer.status_code == 302, answer.text
    return urlsplit(answer.headers["location"]).fragment.removeprefix("login=")


def exchange(site: Site, answer: httpx.Response) -> Any:
    return site.call("POST", "/auth/providers/exchange", {"ticket": ticket(answer)})


def test_somebody_new_gets_an_account_and_the_same_one_next_time(site: Site, issuer: Issuer) -> None:
    seen = set()
    for _ in range(2):
        back = come_back(site, issuer.log_in(start(site, return_to="/assets?tab=mine")))
        assert back.headers["location"].startswith(f"{SITE}/assets?tab=mine#login=")
        tokens = exchange(site, back).json()
        me = site.call("GET", "/auth/me", token=tokens["access_token"]).json()
        assert (me["email"], me["display_name"]) == ("ada@example.org", "Ada Lovelace")
        seen.add(me["id"])
    assert len(seen) == 1
    assert site.call("GET", "/auth/providers").json() == ["id"]


def test_the_cookie_is_for_this_browser_and_this_login_alone(site: Site) -> None:
    answer = site.call("POST", "/auth/providers/id/start", {})
    cookie = answer.headers["set-cookie"]
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/auth/providers"):
        assert attribute.lower() in cookie.lower()


def test_attack_login_csrf(site: Site, issuer: Issuer) -> None:
    """The attacker's answer in a browser that began no login, and in one that began another."""
    theirs = issuer.log_in(start(site))
    site.client.cookies.clear()
    assert come_back(site, theirs).json()["code"] == "auth.flow_ended"
    start(site)
    assert come_back(site, theirs).json()["code"] == "auth.identity_refused"


def test_attack_answer_used_twice(site: Site, issuer: Issuer) -> None:
    url = start(site)
    cookies = dict(site.client.cookies)
    answer = issuer.log_in(url)
    back = come_back(site, answer)
    assert exchange(site, back).status_code == 200
    assert exchange(site, back).json()["code"] == "auth.flow_ended"
    for name, value in cookies.items():
        site.client.cookies.set(name, value, domain="video.example.org")
    assert come_back(site, answer).json()["code"] == "auth.flow_ended"


def test_attack_account_of_somebody_else_by_an_unverified_address(site: Site, issuer: Issuer) -> None:
    """Eve says at the service that Ada's address is hers; the service has not looked."""
    site.person("ada@example.org")
    site.call("POST", "/auth/verify-email", {"token": site.outbox.token("ada@example.org")})
    assert come_back(site, issuer.log_in(start(site), sub="eve")).status_code == 403


def test_attack_account_made_beforehand_with_somebody_else_s_address(site: Site, issuer: Issuer) -> None:
    """Eve registers here with Ada's address, which nobody verified, and waits for Ada to log in by the service."""
    site.person("ada@example.org")
    assert come_back(site, issuer.log_in(start(site))).status_code == 403


def test_accounts_are_linked_where_both_sides_verified_the_address(site: Site, issuer: Issuer) -> None:
    ada = site.person("ada@example.org")
    site.call("POST", "/auth/verify-email", {"token": site.outbox.token("ada@example.org")})
    tokens = exchange(site, come_back(site, issuer.log_in(start(site)))).json()
    assert site.call("GET", "/auth/me", token=tokens["access_token"]).json()["id"] == ada.id
    assert "identity.added" in site.audit(f"user:{ada.id}")


def test_whoever_is_logged_in_links_and_unlinks_whatever_the_address(site: Site, issuer: Issuer) -> None:
    bob = site.person("bob@example.org")
    assert come_back(site, issuer.log_in(start(site, "/auth/providers/id/link", bob.access))).status_code == 302
    tokens = exchange(site, come_back(site, issuer.log_in(start(site)))).json()
    assert site.call("GET", "/auth/me", token=tokens["access_token"]).json()["id"] == bob.id
    eve = site.person("eve@example.org")
    taken = come_back(site, issuer.log_in(start(site, "/auth/providers/id/link", eve.access)))
    assert (taken.status_code, taken.json()["code"]) == (409, "catalog.identity_taken")
    [linked] = bob.call("GET", "/auth/providers/linked").json()
    assert eve.call("DELETE", f"/auth/providers/linked/{linked['id']}").status_code == 204
    assert len(bob.call("GET", "/auth/providers/linked").json()) == 1
    assert bob.call("DELETE", f"/auth/providers/linked/{linked['id']}").status_code == 204
    assert bob.call("GET", "/auth/providers/linked").json() == []


def test_the_only_way_to_log_in_cannot_be_removed(site: Site, issuer: Issuer) -> None:
    token = exchange(site, come_back(site, issuer.log_in(start(site)))).json()["access_token"]
    [linked] = site.call("GET", "/auth/providers/linked", token=token).json()
    path = f"/auth/providers/linked/{linked['id']}"
    assert site.call("DELETE", path, token=token).status_code == 403
    wrong = site.call("POST", "/auth/login", {"email": "ada@example.org", "password": PASSWORD})
    assert wrong.status_code == 401  # an account without a password has none to be guessed


def test_nobody_new_gets_in_where_registration_is_closed(issuer: Issuer, data_dir: Path) -> None:
    entry = {"name": "id", "issuer": issuer.url, "client_id": issuer.client_id, "client_secret": issuer.client_secret}
    with open_site(data_dir, registration="closed", oidc_providers=json.dumps([entry])) as site:
        assert come_back(site, issuer.log_in(start(site))).status_code == 403


def test_a_service_that_is_not_set_up_is_404(site: Site) -> None:
    assert site.call("POST", "/auth/providers/nobody/start", {}).status_code == 404


@pytest.mark.parametrize(
    "text", ["x", "{}", "[1]", "[{}]", '[{"name": "a", "issuer": "http://x.org", "client_id": "c"}]']
)
def test_settings_that_cannot_be_used_stop_the_start_and_are_not_shown(data_dir: Path, text: str) -> None:
    from mamkit_apps.api.providers import open_providers
    from mamkit_apps.outgoing import HttpTransport

    with pytest.raises(SettingsError, match="OIDC_PROVIDERS") as caught:
        open_providers(ApiSettings.load(data_dir=data_dir, oidc_providers=text), HttpTransport())
    assert "x.org" not in str(caught.value)
