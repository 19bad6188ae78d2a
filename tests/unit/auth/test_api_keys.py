"""API keys: shown once, kept as a digest, with fewer rights than their owner."""

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from mamkit.auth import (
    ApiKeyExpiredError,
    Principal,
    Resource,
    TokenInvalidError,
    check_api_key,
    decide,
    new_api_key,
    parse_api_key,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = uuid4()


def test_a_key_names_its_record_and_proves_itself() -> None:
    made = new_api_key(USER, name="backup", scopes={"asset.read"})
    assert re.fullmatch(r"mka1_[0-9a-f]{32}_[\w-]{43}", made.key)
    assert parse_api_key(made.key) == made.record.id
    assert check_api_key(made.record, made.key, at=NOW) == made.record
    assert made.record.digest == hashlib.sha256(made.key.encode()).hexdigest()


def test_the_key_is_kept_nowhere_and_shown_by_no_repr() -> None:
    made = new_api_key(USER, name="backup", scopes={"asset.read"})
    assert made.key not in repr(made)
    assert made.record.digest not in repr(made.record)


def test_a_key_ends_at_its_time() -> None:
    made = new_api_key(USER, name="x", scopes=(), expires_at=NOW)
    check_api_key(made.record, made.key, at=NOW - timedelta(microseconds=1))
    with pytest.raises(ApiKeyExpiredError) as caught:
        check_api_key(made.record, made.key, at=NOW)
    assert caught.value.expired_at == NOW


def test_attack_another_secret_or_no_record() -> None:
    made, other = new_api_key(USER, name="x", scopes=()), new_api_key(USER, name="y", scopes=())
    mixed = f"mka1_{made.record.id.hex}_{other.key.rpartition('_')[2]}"
    for record, key in ((made.record, mixed), (other.record, made.key), (None, made.key)):
        with pytest.raises(TokenInvalidError) as caught:
            check_api_key(record, key, at=NOW)
        assert key not in str(caught.value)


@pytest.mark.parametrize("garbage", ["", "mka1_", "mkr1_" + "A" * 43, "ü" * 81, "\ud800", "x" * 1_000_000])
def test_attack_garbage(garbage: str) -> None:
    with pytest.raises(TokenInvalidError):
        parse_api_key(garbage)
    made = new_api_key(USER, name="x", scopes=())
    with pytest.raises(TokenInvalidError):
        check_api_key(made.record, garbage, at=NOW)


def test_scopes_bound_what_the_owner_s_roles_give_and_give_nothing_themselves() -> None:
    scopes = new_api_key(USER, name="x", scopes={"asset.read", "asset.delete", "no.such"}).record.scopes
    assert scopes == {"asset.read", "asset.delete"}
    mine = Resource(kind="asset", owner_id=USER)
    viewer = Principal(user_id=USER, roles=frozenset({"viewer"}), scopes=scopes)
    admin = replace(viewer, roles=frozenset({"admin"}))
    assert decide(viewer, "asset.read", mine)
    assert not decide(viewer, "asset.delete", mine)
    assert decide(admin, "asset.delete", mine)
    assert decide(admin, "user.manage").reason == "outside the scopes"
