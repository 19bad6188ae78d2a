"""Secrets at rest: sealed, bound to their place, and good after a change of keys for as long as the old one stays."""

import pytest

from mamkit.auth import SealedValueError, Vault, WeakSecretError
from mamkit.signing import KeyRing

SECRET = b"JBSWY3DPEHPK3PXP"


def test_what_was_sealed_opens_again() -> None:
    vault = Vault(KeyRing.generate())
    for value in (SECRET, b"", b"\0" * 10_000):
        assert vault.open(vault.seal(value, where="totp:1"), where="totp:1") == value


def test_a_sealed_value_shows_its_key_and_nothing_else() -> None:
    ring = KeyRing.generate()
    vault = Vault(ring)
    sealed = vault.seal(SECRET, where="totp:1")
    assert sealed.startswith(f"mks1.{ring.current[0]}.")
    assert SECRET.decode() not in sealed
    assert sealed != vault.seal(SECRET, where="totp:1")


def test_attack_value_of_another_row() -> None:
    vault = Vault(KeyRing.generate())
    with pytest.raises(SealedValueError, match="another row"):
        vault.open(vault.seal(SECRET, where="totp:1"), where="totp:2")


def test_attack_one_changed_character() -> None:
    """But for the bits of the last character that base64url leaves unused."""
    vault = Vault(KeyRing.generate())
    sealed = vault.seal(SECRET, where="x")
    for position in range(len(sealed) - 1):
        changed = sealed[:position] + ("A" if sealed[position] != "A" else "B") + sealed[position + 1 :]
        with pytest.raises(SealedValueError):
            vault.open(changed, where="x")


@pytest.mark.parametrize("garbage", ["", "mks1", "mks1..", "mks1.k.", "plain text", "mks1.k.AAAA", "ü", "\ud800"])
def test_attack_garbage(garbage: str) -> None:
    vault = Vault(KeyRing({"k": b"s" * 32}))
    for use in (vault.open, vault.reseal):
        with pytest.raises(SealedValueError):
            use(garbage, where="x")


def test_keys_change_without_a_gap() -> None:
    old = KeyRing.generate()
    sealed = Vault(old).seal(SECRET, where="x")
    both = old.rotated()
    vault = Vault(both)
    assert not vault.is_current(sealed)
    renewed = vault.reseal(sealed, where="x")
    assert vault.is_current(renewed)
    assert Vault(both.retired(old.current[0])).open(renewed, where="x") == SECRET
    with pytest.raises(SealedValueError, match="no key"):
        Vault(both.retired(old.current[0])).open(sealed, where="x")


def test_a_short_key_is_refused_at_the_start() -> None:
    class Short:
        current = ("k", b"short")

        def __getitem__(self, kid: str, /) -> bytes:
            return b"short"

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(["k"])

    with pytest.raises(WeakSecretError):
        Vault(Short())
