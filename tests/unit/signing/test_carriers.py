"""One grant in the path, in the query or in a cookie."""

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest

from mamkit.signing import (
    Grant,
    InvalidGrantError,
    KeyRing,
    SignatureInvalidError,
    SignatureScopeError,
    UrlSigner,
    find_token,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNER = UrlSigner(KeyRing({"k1": b"s" * 32}), clock=lambda: NOON)
GRANT = Grant(scope="previews/é 1/", expires_at=NOON + timedelta(minutes=10))
TOKEN = SIGNER.sign(GRANT)
KEY = "previews/é 1/index.m3u8"


@pytest.mark.parametrize("carrier", ["path", "query"])
def test_a_url_gives_back_its_key_and_token(carrier: str) -> None:
    url = SIGNER.url("https://edge.example/base", GRANT, KEY, carrier="query" if carrier == "query" else "path")
    path, _, query = url.removeprefix("https://edge.example/base").partition("?")
    found = find_token(path, query=query)
    assert (found.key, found.tokens, found.by) == (KEY, (TOKEN,), carrier)
    assert SIGNER.verify(found.tokens[0], key=found.key) == GRANT
    assert TOKEN not in repr(found)


def test_a_cookie_is_sent_below_its_scope_only_and_goes_when_the_grant_does() -> None:
    cookie = SimpleCookie(SIGNER.cookie("https://edge.example/base/", GRANT))["mamkit_grant"]
    assert cookie.value == TOKEN
    assert cookie["path"] == "/base/s/previews/%C3%A9%201/"
    assert cookie["max-age"] == "600"
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "None"
    assert not SimpleCookie(SIGNER.cookie("", GRANT, secure=False))["mamkit_grant"]["secure"]


def test_cookies_are_tried_in_their_order_and_not_for_ever() -> None:
    header = f"a=1; mamkit_grant={TOKEN}; xmamkit_grant=no;mamkit_grant=other" + ";mamkit_grant=z" * 50
    found = find_token("/s/previews/x", cookie=header)
    assert found.tokens[:3] == (TOKEN, "other", "z")
    assert len(found.tokens) == 8
    assert found.by == "cookie"


def test_the_path_counts_before_the_query_and_that_before_a_cookie() -> None:
    query, cookie = "x=1&grant=q", "mamkit_grant=c"
    assert find_token("/s/v1.p/k", query=query, cookie=cookie).tokens == ("v1.p",)
    assert find_token("/s/k", query=query, cookie=cookie).tokens == ("q",)
    assert find_token("/s/k", cookie=cookie).tokens == ("c",)


@pytest.mark.parametrize("path", ["/s/previews/a", "/x/v1.a.b.c/k", "", "/s", "/S/v1.a.b.c/k"])
def test_a_request_without_a_token_is_refused(path: str) -> None:
    with pytest.raises(SignatureInvalidError):
        find_token(path, query="grants=x&xgrant=y", cookie="other=1")


def test_a_key_is_decoded_exactly_once() -> None:
    assert find_token("/s/v1.t/a%252e/%2e%2e%2Fb").key == "a%2e/../b"
    with pytest.raises(SignatureScopeError):
        find_token("/s/v1.t/%ff")


def test_a_remembered_grant_is_held_against_each_request() -> None:
    grant = SIGNER.open(TOKEN)
    SIGNER.check(grant, key=KEY)
    with pytest.raises(SignatureScopeError):
        SIGNER.check(grant, key="previews/b")


def test_a_base_that_is_no_base_is_refused() -> None:
    with pytest.raises(InvalidGrantError):
        SIGNER.cookie("https://edge.example/?x", GRANT)
