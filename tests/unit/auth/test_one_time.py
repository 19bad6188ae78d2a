"""Tokens for links in mails: for one purpose, for a while, and until what they are for has happened."""

from datetime import UTC, datetime, timedelta

import pytest

from mamkit.auth import OneTimeTokens, TokenExpiredError, TokenInvalidError
from mamkit.signing import KeyRing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing.generate()


@pytest.fixture
def tokens(ring: KeyRing, clock: Clock) -> OneTimeTokens:
    return OneTimeTokens(ring, clock=clock)


def issue(tokens: OneTimeTokens, state: str = "old hash") -> str:
    return tokens.issue(purpose="password-reset", subject="ada", state=state, lifetime=HOUR)


def test_a_token_says_whom_it_is_for_until_the_state_changes(tokens: OneTimeTokens) -> None:
    claims = tokens.read(issue(tokens), purpose="password-reset")
    assert (claims.subject, claims.expires_at) == ("ada", NOW + HOUR)
    tokens.spend(claims, state="old hash")
    with pytest.raises(TokenInvalidError, match="used already"):
        tokens.spend(claims, state="new hash")


def test_the_state_is_not_in_the_token(tokens: OneTimeTokens) -> None:
    assert "hash" not in issue(tokens)


def test_a_token_ends_at_its_time(tokens: OneTimeTokens, clock: Clock) -> None:
    token = issue(tokens)
    clock.now = NOW + HOUR
    with pytest.raises(TokenExpiredError):
        tokens.read(token, purpose="password-reset")


def test_attack_another_purpose(tokens: OneTimeTokens) -> None:
    with pytest.raises(TokenInvalidError, match="purpose"):
        tokens.read(issue(tokens), purpose="verify-email")


def test_attack_another_ring(tokens: OneTimeTokens, clock: Clock) -> None:
    with pytest.raises(TokenInvalidError):
        OneTimeTokens(KeyRing.generate(), clock=clock).read(issue(tokens), purpose="password-reset")


def test_an_older_key_still_reads(tokens: OneTimeTokens, ring: KeyRing, clock: Clock) -> None:
    renewed = OneTimeTokens(ring.rotated(), clock=clock)
    assert renewed.read(issue(tokens), purpose="password-reset").subject == "ada"


def test_attack_one_changed_character(tokens: OneTimeTokens) -> None:
    token = issue(tokens)
    for position in range(len(token)):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(TokenInvalidError):
            tokens.read(changed, purpose="password-reset")


@pytest.mark.parametrize("garbage", ["", ".", "mko1", "mko1..", "mko1.e30.x", "mko1.W10.x", "ü", "\ud800", "x" * 10**6])
def test_attack_garbage(tokens: OneTimeTokens, garbage: str) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.read(garbage, purpose="password-reset")
