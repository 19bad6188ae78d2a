"""Codes of an authenticator application, and those for somebody who lost it."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from mamkit.auth import (
    SecondFactorError,
    Totp,
    new_recovery_codes,
    new_totp_secret,
    recovery_digest,
    spend_recovery_code,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(seconds=30)

# RFC 6238 appendix B, the rows of SHA-1; of its eight digits, the last six.
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    totp = Totp(b"12345678901234567890")
    moment = datetime.fromtimestamp(seconds, UTC)
    assert totp.code(moment) == code[-6:]
    assert totp.check(code[-6:], at=moment, last_step=None) == seconds // 30


def test_a_code_of_the_step_before_or_after_is_taken_and_none_further_away() -> None:
    totp = Totp(new_totp_secret())
    code = totp.code(NOW)
    for off in (-STEP, timedelta(0), STEP):
        totp.check(code, at=NOW + off, last_step=None)
    for off in (-2 * STEP, 2 * STEP):
        with pytest.raises(SecondFactorError):
            totp.check(code, at=NOW + off, last_step=None)


def test_a_code_is_good_once() -> None:
    """Nor is the one before it, once a newer one was used."""
    totp = Totp(new_totp_secret())
    step = totp.check(totp.code(NOW), at=NOW, last_step=None)
    for code in (totp.code(NOW), totp.code(NOW - STEP)):
        with pytest.raises(SecondFactorError):
            totp.check(code, at=NOW, last_step=step)
    assert totp.check(totp.code(NOW + STEP), at=NOW + STEP, last_step=step) == step + 1


def test_white_space_does_not_count() -> None:
    totp = Totp(new_totp_secret())
    code = totp.code(NOW)
    totp.check(f" {code[:3]} {code[3:]}\n", at=NOW, last_step=None)


@pytest.mark.parametrize("garbage", ["", "1", "abcdef", "\ud800" * 6, "0" * 1_000_000, "\uff11" * 6])
def test_attack_garbage(garbage: str) -> None:
    with pytest.raises(SecondFactorError) as caught:
        Totp(new_totp_secret()).check(garbage, at=NOW, last_step=None)
    assert len(garbage) < 2 or garbage not in str(caught.value)


def test_applications_can_read_the_address() -> None:
    uri = urlsplit(Totp(b"12345678901234567890").uri(issuer="My Videos", account="ada@example.org"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/My Videos:ada@example.org")
    assert {name: value[0] for name, value in parse_qs(uri.query).items()} == {
        "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "issuer": "My Videos",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }


def test_recovery_codes_are_many_different_and_easily_typed() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", code) for code in codes)


def test_a_recovery_code_is_found_however_it_is_typed_and_is_good_once() -> None:
    codes = new_recovery_codes()
    kept = {recovery_digest(code) for code in codes}
    assert not kept & set(codes)
    used = spend_recovery_code(kept, f" {codes[3].upper().replace('-', ' ')}")
    with pytest.raises(SecondFactorError):
        spend_recovery_code(kept - {used}, codes[3])
    for wrong in ("", "\ud800", codes[0][:-1], "x" * 1_000_000):
        with pytest.raises(SecondFactorError):
            spend_recovery_code(kept, wrong)
