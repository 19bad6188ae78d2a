"""Tokens and random input: a grant survives the way there and back, and nothing else verifies."""

import posixpath
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mamkit.signing import (
    Grant,
    InvalidGrantError,
    KeyRing,
    SignatureInvalidError,
    SignatureScopeError,
    SigningError,
    UrlSigner,
    WebhookError,
    WebhookSigner,
    is_plain_key,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNER = UrlSigner(KeyRing({"k1": b"s" * 32, "k2": b"t" * 32}), clock=lambda: NOON)
WEBHOOKS = WebhookSigner(b"s" * 32, clock=lambda: NOON)

SEGMENTS = st.text(min_size=1, max_size=10)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join).filter(is_plain_key)
CONDITIONS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20),
    max_size=4,
)
NETWORKS = st.one_of(
    st.none(),
    st.builds(lambda ip, bits: IPv4Network((ip, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)),
    st.builds(lambda ip, bits: IPv6Network((ip, bits), strict=False), st.integers(0, 2**128 - 1), st.integers(0, 128)),
)
GRANTS = st.builds(
    Grant,
    scope=st.one_of(KEYS, KEYS.map(lambda key: f"{key}/")),
    expires_at=st.datetimes(
        datetime(2026, 3, 1, 12, 0, 1),  # noqa: DTZ001 - the strategy adds the zone
        timezones=st.just(UTC),
    ),
    methods=st.frozensets(st.sampled_from(["GET", "HEAD", "PUT", "POST"]), min_size=1),
    address=NETWORKS,
    conditions=CONDITIONS,
)
GRANT = Grant(scope="previews/a/", expires_at=NOON + timedelta(hours=1), conditions={"length": "5"})
TOKEN = SIGNER.sign(GRANT)


def key_in(scope: str) -> str:
    return f"{scope}x" if scope.endswith("/") else scope


@given(GRANTS)
def test_a_grant_survives_its_token(grant: Grant) -> None:
    address = None if grant.address is None else str(grant.address[0])
    # An IPv6 network that holds IPv4 in disguise admits none of it: such a client counts as IPv4.
    assume(grant.admits(address))
    [method, *_] = grant.methods
    key = key_in(grant.scope)
    assume(is_plain_key(key))
    assert SIGNER.verify(SIGNER.sign(grant), key=key, method=method, address=address) == grant


@given(st.integers(0, len(TOKEN) - 1), st.characters())
@example(len(TOKEN) - 1, "A")
@example(2, ",")
def test_a_token_with_a_changed_character_is_refused(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    assume(changed != TOKEN)
    with pytest.raises(SignatureInvalidError):
        SIGNER.verify(changed, key="previews/a/b")


@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_every_character_of_a_token_counts(position: int) -> None:
    """Whichever is left out, doubled, or exchanged for a neighbour of the alphabet."""
    character = TOKEN[position]
    for other in ("", character * 2, chr(ord(character) ^ 1), character.swapcase(), "=", "."):
        changed = TOKEN[:position] + other + TOKEN[position + 1 :]
        if changed != TOKEN:
            with pytest.raises(SignatureInvalidError):
                SIGNER.verify(changed, key="previews/a/b")


@given(KEYS, KEYS)
@example("a", "a/b")
@example("a", "ab")
def test_a_token_for_one_prefix_opens_no_other(granted: str, other: str) -> None:
    token = SIGNER.sign(Grant(scope=f"{granted}/", expires_at=GRANT.expires_at))
    assume(is_plain_key(f"{other}/x"))
    if f"{other}/x".startswith(f"{granted}/"):
        assert SIGNER.verify(token, key=f"{other}/x").scope == f"{granted}/"
    else:
        with pytest.raises(SignatureScopeError):
            SIGNER.verify(token, key=f"{other}/x")


@given(st.text(max_size=60))
@example("a/../../b")
@example("%2e%2e/")
@example("..")
def test_a_prefix_is_never_left_by_the_rest_of_the_path(rest: str) -> None:
    """However the path is written: what a token opens is below its prefix after any normalisation."""
    try:
        SIGNER.verify(TOKEN, key=f"previews/a/{rest}")
    except SignatureScopeError:
        return
    for path in (f"previews/a/{rest}", unquote(f"previews/a/{rest}"), f"previews/a/{rest}".replace("\\", "/")):
        assert posixpath.normpath(path).startswith("previews/a/")


@given(
    st.one_of(st.text(), st.binary(), st.none(), st.from_regex(r"v1\.k1\.[\w-]+\.[\w-]{43}", fullmatch=True)), st.text()
)
def test_garbage_raises_nothing_but_a_signing_error(token: Any, key: str) -> None:
    with pytest.raises(SigningError):
        SIGNER.verify(token, key=key, method=key, address=key)


@given(st.text())
def test_the_text_of_a_grant_is_the_only_one(text: str) -> None:
    try:
        grant = Grant.parse(text)
    except InvalidGrantError:
        return
    assert grant.text() == text


@given(
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "x"]), st.text()),
    st.binary(),
)
def test_a_message_of_garbage_raises_nothing_but_a_webhook_error(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookError):
        WEBHOOKS.verify(headers, body)


@given(st.from_regex(r"[!-\-/-~]{1,40}", fullmatch=True), st.binary())
def test_every_message_survives(message_id: str, body: bytes) -> None:
    assert WEBHOOKS.verify(WEBHOOKS.sign(message_id, body), body) == message_id
