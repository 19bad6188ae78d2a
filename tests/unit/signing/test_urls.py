"""Signed URLs: what verifies, and how everything else is refused."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

import pytest

from mamkit.signing import (
    Grant,
    InvalidGrantError,
    KeyRing,
    SignatureAddressError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureMethodError,
    SignatureScopeError,
    SigningError,
    UnknownKeyError,
    UrlSigner,
    token_id,
)
from mamkit.signing.urls import MAX_TOKEN_LENGTH

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32
RING = KeyRing({"k1": SECRET})
KEY = "previews/a/index.m3u8"


def at(now: datetime, *, ring: KeyRing = RING, leeway: timedelta = timedelta(seconds=5)) -> UrlSigner:
    return UrlSigner(ring, clock=lambda: now, leeway=leeway)


def grant(**fields: Any) -> Grant:
    return Grant(**{"scope": "previews/a/", "expires_at": NOON, **fields})


SIGNER = at(NOON - timedelta(minutes=5))
TOKEN = SIGNER.sign(grant())


def forge(claims: bytes | str, *, secret: bytes = SECRET, head: str = "v1.k1") -> str:
    """Return a token over any claims, with a good signature."""
    encoded = claims if isinstance(claims, str) else base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
    signed = f"{head}.{encoded}"
    mac = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_a_token_gives_back_its_grant() -> None:
    upload = grant(scope=KEY, methods=frozenset({"PUT"}), conditions={"length": "5", "type": "video/mp4"})
    assert SIGNER.verify(SIGNER.sign(upload), key=KEY, method="PUT") == upload
    assert SIGNER.verify(TOKEN, key=KEY) == SIGNER.verify(TOKEN, key=KEY, method="HEAD", address="x") == grant()
    assert forge(grant().text().encode()) == TOKEN


def test_a_token_is_good_until_it_expires() -> None:
    """And for the leeway, in which clocks may be apart, but not at its end."""
    almost = NOON + timedelta(seconds=5, microseconds=-1)
    assert at(almost).verify(TOKEN, key=KEY) == grant()
    for now in (NOON + timedelta(seconds=5), NOON + timedelta(days=999)):
        with pytest.raises(SignatureExpiredError) as raised:
            at(now).verify(TOKEN, key=KEY)
        assert raised.value.expired_at == NOON
    with pytest.raises(SignatureExpiredError):
        at(NOON, leeway=timedelta(0)).verify(TOKEN, key=KEY)


def test_a_token_for_ever_is_a_token() -> None:
    endless = grant(expires_at=datetime.max.replace(tzinfo=UTC))
    assert SIGNER.verify(SIGNER.sign(endless), key=KEY) == endless


def test_a_token_opens_its_scope_only() -> None:
    for key in ("previews/b/index.m3u8", "previews/a", "previews/a/../b/x", "previews/a/%2e%2e/b", "", None):
        with pytest.raises(SignatureScopeError) as raised:
            SIGNER.verify(TOKEN, key=key)  # type: ignore[arg-type]
        assert (raised.value.key, raised.value.scope) == (key, "previews/a/")


def test_a_token_grants_its_methods_only() -> None:
    for method in ("PUT", "DELETE", "get", "", "GET,HEAD"):
        with pytest.raises(SignatureMethodError) as raised:
            SIGNER.verify(TOKEN, key=KEY, method=method)
        assert (raised.value.method, raised.value.allowed) == (method, frozenset({"GET", "HEAD"}))


def test_a_bound_token_is_good_at_its_address_only() -> None:
    token = SIGNER.sign(grant(address=ip_network("192.0.2.0/24")))
    assert SIGNER.verify(token, key=KEY, address="192.0.2.9").address == ip_network("192.0.2.0/24")
    for address in ("192.0.3.9", None, "", "garbage"):
        with pytest.raises(SignatureAddressError) as raised:
            SIGNER.verify(token, key=KEY, address=address)
        assert (raised.value.address, raised.value.allowed) == (address, "192.0.2.0/24")


def test_an_older_key_verifies_until_it_is_retired() -> None:
    rotated = RING.rotated()
    now = NOON - timedelta(minutes=5)
    assert at(now, ring=rotated).verify(TOKEN, key=KEY) == grant()
    newer = at(now, ring=rotated).sign(grant())
    assert newer.split(".")[1] == rotated.current[0]
    with pytest.raises(UnknownKeyError) as raised:
        at(now).verify(newer, key=KEY)
    assert raised.value.kid == rotated.current[0]
    with pytest.raises(SignatureInvalidError):
        at(now, ring=rotated.retired("k1")).verify(TOKEN, key=KEY)


def test_another_secret_under_the_same_id_verifies_nothing() -> None:
    with pytest.raises(SignatureInvalidError):
        at(NOON, ring=KeyRing({"k1": b"t" * 32})).verify(TOKEN, key=KEY)


def test_a_signature_moves_to_no_other_token() -> None:
    """Not to other claims, not to another key id with the same secret, not to another version."""
    version, kid, claims, mac = TOKEN.split(".")
    other = SIGNER.sign(grant(scope="previews/b/")).split(".")[2]
    signer = at(NOON, ring=KeyRing({"k1": SECRET, "k2": SECRET}))
    for token in (
        f"{version}.{kid}.{other}.{mac}",
        f"{version}.k2.{claims}.{mac}",
        f"v2.{kid}.{claims}.{mac}",
        f"{version}.{kid}.{claims}.{mac[::-1]}",
        f"{version}.{kid}.{claims}.",
        f"{version}.{kid}.{claims}.{mac[:-1]}",
    ):
        with pytest.raises(SignatureInvalidError):
            signer.verify(token, key=KEY)


def test_a_token_has_one_spelling() -> None:
    """Padding, blanks, escapes, other alphabets and other unused bits of base64 are refused."""
    head, _, mac = TOKEN.rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 43 characters carry 258 bits, and 256 are used: the last may be spelled in four ways, of which one is good.
    last = alphabet.index(mac[-1])
    others = [alphabet[(last & ~3) + bits] for bits in range(4) if (last & ~3) + bits != last]
    spellings = [
        f"{TOKEN}=",
        f"{TOKEN}\n",
        f" {TOKEN}",
        f"{TOKEN}.",
        TOKEN.upper(),
        TOKEN.replace("v1", "V1"),
        TOKEN.replace(".", "%2e", 1),
        f"{head}=.{mac}",
        *(f"{head}.{mac[:-1]}{other}" for other in others),
    ]
    for token in spellings:
        with pytest.raises(SignatureInvalidError):
            SIGNER.verify(token, key=KEY)
    text = grant(scope="previews/abc/").text().encode()
    assert len(text) % 3 == 2, "the last character of the claims has unused bits"
    encoded = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    loose = encoded[:-1] + alphabet[alphabet.index(encoded[-1]) + 1]
    assert SIGNER.verify(forge(encoded), key="previews/abc/d").scope == "previews/abc/"
    with pytest.raises(SignatureInvalidError):
        SIGNER.verify(forge(loose), key="previews/abc/d")


@pytest.mark.parametrize(
    "claims",
    [b"", b"\xff\xfe", b"\n\n\n", b"1772366400\n../\nGET\n*", b"1772366400\npreviews/a/\nHEAD,GET\n*", b"99" * 50],
)
def test_claims_that_cannot_be_read_are_refused_though_signed(claims: bytes) -> None:
    with pytest.raises(SignatureInvalidError):
        SIGNER.verify(forge(claims), key=KEY)


@pytest.mark.parametrize(
    "token",
    ["", ".", "...", "....", "v1", "v1.k1..", "v1..a.b", "é" * 10, "\ud800", "v1.k1.a.é", None, b"v1.k1.a.b", 5],
)
def test_garbage_is_refused(token: Any) -> None:
    with pytest.raises(SignatureInvalidError) as raised:
        SIGNER.verify(token, key=KEY)
    assert "k1.a" not in str(raised.value)


def test_whoever_shows_the_url_for_the_token_is_told_what_takes_it_out() -> None:
    with pytest.raises(SignatureInvalidError, match="find_token"):
        UrlSigner(RING).open(UrlSigner(RING).url("https://edge.example.com", grant(), KEY))


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(SignatureInvalidError, match="too long"):
        SIGNER.verify(TOKEN + "A" * MAX_TOKEN_LENGTH, key=KEY)


def test_the_longest_grant_gives_a_token_that_verifies() -> None:
    scope = "x" * 1024
    room = 2048 - len(grant(scope=scope, conditions={"a": "b"}).text()) + 1
    ring = KeyRing({"k" * 32: SECRET})
    signer = at(NOON, ring=ring)
    longest = grant(scope=scope, conditions={"a": "b" * room})
    token = signer.sign(longest)
    assert len(longest.text()) == 2048
    assert len(token) == 2811 < MAX_TOKEN_LENGTH
    assert signer.verify(token, key=scope) == longest


def test_a_url_carries_token_and_key() -> None:
    key = "previews/a/Straße 100% #1?.m4s"
    url = SIGNER.url("https://edge.example.org/media/", grant(), key)
    base, s, token, *rest = url.removeprefix("https://edge.example.org/").split("/")
    assert (base, s) == ("media", "s")
    assert unquote("/".join(rest)) == key
    assert "/".join(rest) == "previews/a/Stra%C3%9Fe%20100%25%20%231%3F.m4s"
    assert SIGNER.verify(token, key=key) == grant()
    assert SIGNER.url("", grant(), KEY) == f"/s/{TOKEN}/{KEY}"
    assert token.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == ""


def test_a_url_is_made_within_the_grant_only() -> None:
    with pytest.raises(SignatureScopeError):
        SIGNER.url("https://edge.example.org", grant(), "previews/b/index.m3u8")


@pytest.mark.parametrize(
    "base", ["https://a/?x", "https://a/#x", "https://u@a/", "https://a b/", "https://a\n/", "https://é/"]
)
def test_a_base_is_scheme_host_and_path(base: str) -> None:
    with pytest.raises(InvalidGrantError):
        SIGNER.url(base, grant(), KEY)


def test_a_leeway_is_not_negative() -> None:
    with pytest.raises(InvalidGrantError):
        UrlSigner(RING, leeway=timedelta(seconds=-1))


def test_nothing_shows_secret_or_token() -> None:
    shown = [repr(SIGNER), str(SIGNER), repr(RING)]
    for signer, token, key in (
        (SIGNER, TOKEN[:-1], KEY),
        (SIGNER, TOKEN, "previews/b"),
        (at(NOON + timedelta(days=1)), TOKEN, KEY),
    ):
        with pytest.raises(SigningError) as raised:
            signer.verify(token, key=key)
        shown += [str(raised.value), repr(raised.value), repr(vars(raised.value))]
    assert not any(TOKEN[10:30] in text or "ssss" in text for text in shown)


def test_the_id_of_a_token_tells_it_from_others() -> None:
    other = SIGNER.sign(grant(scope="previews/b/"))
    assert token_id(TOKEN) == token_id(TOKEN) != token_id(other)
    assert len(token_id(TOKEN)) == 16
    assert token_id("\ud800 garbage")


def test_the_clock_of_a_signer_is_told() -> None:
    assert at(NOON).now() == NOON
