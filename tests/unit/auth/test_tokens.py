"""Access tokens: what they say, and every way in which a wrong one is refused."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from mamkit.auth import (
    AccessTokens,
    MemorySessionStore,
    Sessions,
    TokenExpiredError,
    TokenInvalidError,
    WeakSecretError,
)
from mamkit.auth import tokens as module
from mamkit.signing import KeyRing

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)  # far from the machine's own time, which must not count
SECRET = b"s" * 32
OLD = b"o" * 32
USER, SESSION = uuid4(), uuid4()


class Keys:
    """A key ring in its smallest form."""

    def __init__(self, **keys: bytes) -> None:
        self.keys = keys

    @property
    def current(self) -> tuple[str, bytes]:
        return next(iter(self.keys.items()))

    def __getitem__(self, kid: str, /) -> bytes:
        return self.keys[kid]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> AccessTokens:
    return AccessTokens(Keys(k2=SECRET, k1=OLD), issuer="https://id.example", audience="api", clock=clock)


@pytest.fixture
def forge(tokens: AccessTokens) -> Callable[..., str]:
    """Sign what we like with the right secret, starting from a token that is right."""
    token = issue(tokens)
    payload = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)

    def sign(*, secret: bytes = SECRET, headers: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        altered = {name: value for name, value in {**payload, **claims}.items() if name != without}
        return jwt.encode(altered, secret, algorithm="HS256", headers={**header, **(headers or {})})

    return sign


def issue(tokens: AccessTokens) -> str:
    return tokens.issue(user_id=USER, session_id=SESSION, authz_version=7, roles=frozenset({"viewer", "editor"}))


def refused(tokens: AccessTokens, token: str) -> str:
    with pytest.raises(TokenInvalidError) as caught:
        tokens.verify(token)
    assert len(token) < 10 or token not in str(caught.value)
    return caught.value.reason


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], token: str) -> str:
    """Give a token another header, and sign it by hand with the right secret."""
    signing_input = f"{segment(header)}.{token.split('.')[1]}"
    digest = hmac.digest(SECRET, signing_input.encode(), "sha256")
    return f"{signing_input}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_token_signed_by_hand_is_right(tokens: AccessTokens) -> None:
    """What the attacks below put into the header is what makes them fail."""
    token = signed({"typ": "at+jwt", "alg": "HS256", "kid": "k2"}, issue(tokens))
    assert tokens.verify(token).user_id == USER


def test_a_token_says_what_it_was_issued_with(tokens: AccessTokens) -> None:
    claims = tokens.verify(issue(tokens))
    assert (claims.user_id, claims.session_id, claims.authz_version) == (USER, SESSION, 7)
    assert claims.roles == ("editor", "viewer")
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + timedelta(minutes=15))
    assert isinstance(claims.token_id, UUID)


def test_two_tokens_have_two_ids(tokens: AccessTokens) -> None:
    assert tokens.verify(issue(tokens)).token_id != tokens.verify(issue(tokens)).token_id


def test_the_header_names_type_algorithm_and_key(tokens: AccessTokens) -> None:
    assert jwt.get_unverified_header(issue(tokens)) == {"typ": "at+jwt", "alg": "HS256", "kid": "k2"}


def test_an_untouched_forgery_is_right(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    """What the other tests change is what makes them fail."""
    assert tokens.verify(forge()).user_id == USER


def test_an_older_key_still_verifies(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    assert tokens.verify(forge(secret=OLD, headers={"kid": "k1"})).user_id == USER


def test_time_is_that_of_the_injected_clock(tokens: AccessTokens, clock: Clock) -> None:
    """A token lives from `leeway` before its issue to `leeway` after its end, start included, end not."""
    token = issue(tokens)
    for moment in (NOW - timedelta(seconds=5), NOW, NOW + timedelta(minutes=15, seconds=4, microseconds=999_999)):
        clock.now = moment
        assert tokens.verify(token).user_id == USER
    clock.now = NOW + timedelta(minutes=15, seconds=5)
    with pytest.raises(TokenExpiredError) as caught:
        tokens.verify(token)
    assert caught.value.expired_at == NOW + timedelta(minutes=15)


def test_a_token_that_was_verified_ends_all_the_same(clock: Clock, forge: Callable[..., str]) -> None:
    """What is remembered of a token is neither the time nor whether its key still verifies."""
    keys = Keys(k2=SECRET, k1=OLD)
    tokens = AccessTokens(keys, issuer="https://id.example", audience="api", clock=clock)
    token = forge(secret=OLD, headers={"kid": "k1"}, nbf=int(NOW.timestamp()))
    assert tokens.verify(token) == tokens.verify(token)
    clock.now = NOW - timedelta(seconds=6)
    assert refused(tokens, token) == "it is from the future"
    clock.now = NOW + timedelta(minutes=15, seconds=5)
    with pytest.raises(TokenExpiredError):
        tokens.verify(token)
    clock.now = NOW
    keys.keys["k1"] = b"n" * 32
    assert refused(tokens, token) == "its signature is wrong"
    keys.keys["k1"] = OLD
    assert tokens.verify(token).user_id == USER
    del keys.keys["k1"]
    assert refused(tokens, token) == "it names a key that is not known here"


def test_what_is_remembered_of_tokens_is_bounded_and_no_token(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    made = [issue(tokens) for _ in range(5)]
    for token in made * 2:
        assert tokens.verify(token).user_id == USER
        refused(tokens, token + "x")
    assert len(tokens._genuine) == 3
    assert not any(token in repr(vars(tokens)) for token in made)


def test_attack_issued_in_the_future(tokens: AccessTokens, clock: Clock) -> None:
    token = issue(tokens)
    clock.now = NOW - timedelta(seconds=5, microseconds=1)
    assert refused(tokens, token) == "it is from the future"


def test_attack_not_valid_before(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    assert refused(tokens, forge(nbf=int(NOW.timestamp()) + 60)) == "it is from the future"
    assert tokens.verify(forge(nbf=int(NOW.timestamp()) - 60)).user_id == USER


def test_attack_algorithm_none(tokens: AccessTokens) -> None:
    """RFC 8725 section 2.1, in several spellings and with the old signature kept."""
    _, payload, signature = issue(tokens).split(".")
    for algorithm in ("none", "None", "NONE", "nOnE", "", None):
        for tail in ("", signature):
            header = segment({"typ": "at+jwt", "alg": algorithm, "kid": "k2"})
            refused(tokens, f"{header}.{payload}.{tail}")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256"])
def test_attack_another_algorithm(tokens: AccessTokens, algorithm: str) -> None:
    """Signed with the right secret all the same, as in the confusion of HMAC and RSA (RFC 8725 section 2.1)."""
    token = signed({"typ": "at+jwt", "alg": algorithm, "kid": "k2"}, issue(tokens))
    assert refused(tokens, token) == "its algorithm is not HS256"


@pytest.mark.parametrize("kid", ["k3", "", "../../dev/null", "k2' OR '1'='1", "k2\0", "K2", None, 2, ["k2"], {"k2": 1}])
def test_attack_key_id(tokens: AccessTokens, kid: object) -> None:
    """Unknown, injected or no text at all."""
    refused(tokens, signed({"typ": "at+jwt", "alg": "HS256", "kid": kid}, issue(tokens)))


def test_attack_no_key_id(tokens: AccessTokens) -> None:
    assert refused(tokens, signed({"typ": "at+jwt", "alg": "HS256"}, issue(tokens))) == "it names no key"


def test_attack_key_brought_along(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    """`jwk`, `jku` and `x5u` are not looked at: the attacker's key signs nothing here."""
    mine = b"m" * 32
    octets = base64.urlsafe_b64encode(mine).decode().rstrip("=")
    headers = {"jwk": {"kty": "oct", "k": octets}, "jku": "https://evil.example/keys", "x5u": "https://evil.example"}
    assert refused(tokens, forge(secret=mine, headers=headers)) == "its signature is wrong"


@pytest.mark.parametrize("secret", [OLD, b"x" * 32])
def test_attack_another_secret(tokens: AccessTokens, forge: Callable[..., str], secret: bytes) -> None:
    """A key of the ring, too, when the token names another one."""
    assert refused(tokens, forge(secret=secret)) == "its signature is wrong"


def test_attack_critical_extension(tokens: AccessTokens) -> None:
    """RFC 7515 section 4.1.11; `b64` (RFC 7797) is one that PyJWT knows and that our tokens never have."""
    extensions: list[dict[str, object]] = [
        {"crit": ["b64"], "b64": True},
        {"crit": ["exp2"], "exp2": 1},
        {"crit": []},
        {"crit": "b64"},
    ]
    for more in extensions:
        refused(tokens, signed({"typ": "at+jwt", "alg": "HS256", "kid": "k2", **more}, issue(tokens)))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "rt+jwt", "AT+JWT", "", None])
def test_attack_another_type(tokens: AccessTokens, kind: object) -> None:
    """RFC 8725 section 3.11."""
    token = signed({"typ": kind, "alg": "HS256", "kid": "k2"}, issue(tokens))
    assert refused(tokens, token) == "it is not an access token"


def test_attack_another_issuer(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    for issuer in ("https://evil.example", "https://id.example/", "HTTPS://id.example", ""):
        assert refused(tokens, forge(iss=issuer)) == "another issuer made it"


def test_attack_another_audience(tokens: AccessTokens, forge: Callable[..., str]) -> None:
    for audience in ("web", "API", ["api"], ["web", "api"], {"api": 1}, 1):
        assert refused(tokens, forge(aud=audience)) == "it is for another audience"


@pytest.mark.parametrize("claim", ["iss", "aud", "iat", "exp", "jti", "sub", "sid", "azv", "roles"])
def test_attack_claim_left_out(tokens: AccessTokens, forge: Callable[..., str], claim: str) -> None:
    refused(tokens, forge(without=claim))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", "admin"),
        ("sub", 1),
        ("sid", [str(SESSION)]),
        ("jti", 5),
        ("azv", "7"),
        ("azv", True),
        ("azv", 7.0),
        ("roles", "admin"),
        ("roles", [1]),
        ("roles", {"admin": True}),
        ("exp", "9999999999"),
        ("exp", 1e10),
        ("exp", 10**30),
        ("exp", -1),
        ("exp", True),
        ("iat", "0"),
        ("iat", -1),
        ("nbf", "0"),
        ("nbf", 10**30),
    ],
)
def test_attack_claim_of_another_type(
    tokens: AccessTokens, forge: Callable[..., str], claim: str, value: object
) -> None:
    """Signed with the right secret: another program that has it still cannot confuse us."""
    refused(tokens, forge(**{claim: value}))


def test_attack_refresh_token_as_access_token(tokens: AccessTokens) -> None:
    grant = Sessions(MemorySessionStore(), secret=SECRET).start(USER)
    refused(tokens, grant.refresh_token)


@pytest.mark.parametrize(
    "garbage",
    ["", ".", "..", "...", "a.b.c", "ü.ü.ü", "\ud800.a.b", "\0", " ", "eyJ9.e30.", "a" * 10_000, "[" * 4000 + ".e30.x"],
)
def test_attack_garbage(tokens: AccessTokens, garbage: str) -> None:
    refused(tokens, garbage)


def test_attack_deeply_nested_payload(tokens: AccessTokens) -> None:
    """Inside the bound on the length; the header is read before any signature is checked."""
    nested = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    _, payload, signature = issue(tokens).split(".")
    refused(tokens, f"{nested}.{payload}.{signature}")


def test_attack_one_changed_character(tokens: AccessTokens) -> None:
    """Anywhere, but for the two bits of the last character that base64url leaves unused."""
    token = issue(tokens)
    for position in range(len(token) - 1):
        changed = "A" if token[position] != "A" else "B"
        refused(tokens, token[:position] + changed + token[position + 1 :])


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 31])
def test_a_short_secret_is_refused_at_the_start(secret: bytes) -> None:
    with pytest.raises(WeakSecretError) as caught:
        AccessTokens(Keys(k=secret), issuer="i", audience="a")
    assert caught.value.size == len(secret)


def test_a_key_that_the_ring_refuses_with_an_error_of_ours_is_unknown(clock: Clock) -> None:
    """Key rings may raise a `MamkitError` instead of a `LookupError`."""

    class Strict(Keys):
        def __getitem__(self, kid: str, /) -> bytes:
            if kid not in self.keys:
                raise WeakSecretError("a key", size=0)
            return self.keys[kid]

    elsewhere = AccessTokens(Keys(k9=SECRET), issuer="i", audience="a", clock=clock)
    here = AccessTokens(Strict(k=SECRET), issuer="i", audience="a", clock=clock)
    assert refused(here, issue(elsewhere)) == "it names a key that is not known here"


def test_the_key_ring_of_signing_serves_and_rotates(clock: Clock) -> None:
    """The two parts do not know each other: they meet in `TokenKeys`."""
    old, new = KeyRing({"k1": OLD}), KeyRing({"k2": SECRET, "k1": OLD})
    before = AccessTokens(old, issuer="i", audience="a", clock=clock)
    after = AccessTokens(new, issuer="i", audience="a", clock=clock)
    assert after.verify(issue(before)).user_id == USER
    assert refused(before, issue(after)) == "it names a key that is not known here"
