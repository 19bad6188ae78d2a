"""Tokens of share links: they name their link, prove themselves, and are kept nowhere."""

import hashlib
import re

import pytest

from mamkit.auth import TokenInvalidError, check_share_token, new_share_token, parse_share_token


def test_a_token_names_its_link_and_proves_itself() -> None:
    made = new_share_token()
    assert re.fullmatch(r"mkl1_[0-9a-f]{32}_[\w-]{43}", made.token)
    assert parse_share_token(made.token) == made.link_id
    assert made.digest == hashlib.sha256(made.token.encode()).hexdigest()
    check_share_token(made.digest, made.token)


def test_no_repr_shows_it() -> None:
    made = new_share_token()
    assert made.token not in repr(made)
    assert made.digest not in repr(made)


def test_attack_another_secret_or_no_link() -> None:
    made, other = new_share_token(), new_share_token()
    mixed = f"mkl1_{made.link_id.hex}_{other.token.rpartition('_')[2]}"
    for digest, token in ((made.digest, mixed), (other.digest, made.token), (None, made.token)):
        with pytest.raises(TokenInvalidError) as caught:
            check_share_token(digest, token)
        assert token not in str(caught.value)


@pytest.mark.parametrize("garbage", ["", "mkl1_", "mka1_" + "0" * 32 + "_" + "A" * 43, "ü" * 81, "\ud800", "x" * 10**6])
def test_attack_garbage(garbage: str) -> None:
    with pytest.raises(TokenInvalidError):
        parse_share_token(garbage)
