"""Passwords: hashed well, verified without telling who exists, bounded in work."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import argon2
import pytest
import zxcvbn

from mamkit.auth import (
    OWASP_MINIMUM,
    RFC_9106_LOW_MEMORY,
    HashingUnavailableError,
    InvalidCredentialsError,
    PasswordHasher,
    PasswordTooLongError,
    Profile,
    WeakPasswordError,
    check_strength,
)

QUICK = Profile(time_cost=1, memory_kib=64, parallelism=1)
PASSWORD = "correct horse battery staple"


@pytest.fixture
def hasher() -> PasswordHasher:
    return PasswordHasher(QUICK)


def test_a_hash_verifies_its_password_and_no_other(hasher: PasswordHasher) -> None:
    stored = hasher.hash(PASSWORD)
    hasher.verify(stored, PASSWORD)
    for wrong in ("", PASSWORD + " ", PASSWORD[:-1], PASSWORD.upper(), PASSWORD + "\0"):
        with pytest.raises(InvalidCredentialsError):
            hasher.verify(stored, wrong)


def test_two_hashes_of_a_password_differ(hasher: PasswordHasher) -> None:
    assert hasher.hash(PASSWORD) != hasher.hash(PASSWORD)


@pytest.mark.parametrize("profile", [RFC_9106_LOW_MEMORY, OWASP_MINIMUM])
def test_a_hash_says_its_profile(profile: Profile) -> None:
    stored = PasswordHasher(profile).hash(PASSWORD)
    work = f"m={profile.memory_kib},t={profile.time_cost},p={profile.parallelism}"
    assert stored.startswith(f"$argon2id$v=19${work}$")


def test_the_profiles_are_those_of_their_sources() -> None:
    assert (RFC_9106_LOW_MEMORY.time_cost, RFC_9106_LOW_MEMORY.parallelism) == (3, 4)
    assert RFC_9106_LOW_MEMORY.memory_kib * 1024 == 64 << 20
    assert (OWASP_MINIMUM.time_cost, OWASP_MINIMUM.parallelism) == (2, 1)
    assert OWASP_MINIMUM.memory_kib * 1024 == 19 << 20


def test_an_unknown_user_fails_like_a_wrong_password(hasher: PasswordHasher) -> None:
    """Same error, same message, and the same Argon2 computation behind it."""
    with pytest.raises(InvalidCredentialsError) as known:
        hasher.verify(hasher.hash(PASSWORD), "wrong")
    with pytest.raises(InvalidCredentialsError) as unknown:
        hasher.verify(None, "wrong")
    assert str(known.value) == str(unknown.value)
    # Argon2 compared two digests both times: no answer came without the work.
    assert isinstance(known.value.__cause__, argon2.exceptions.VerifyMismatchError)
    assert isinstance(unknown.value.__cause__, argon2.exceptions.VerifyMismatchError)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "!",
        "plain text",
        "$argon2id$",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA",
        "$2b$12$abcdefghijklmnopqrstuv",
        "ü" * 80,
    ],
)
def test_what_is_no_hash_verifies_nothing(hasher: PasswordHasher, damaged: str) -> None:
    for password in (PASSWORD, damaged, ""):
        with pytest.raises(InvalidCredentialsError):
            hasher.verify(damaged, password)
    assert hasher.needs_rehash(damaged)


def test_a_hash_of_another_profile_verifies_and_needs_to_be_renewed(hasher: PasswordHasher) -> None:
    stored = hasher.hash(PASSWORD)
    stronger = PasswordHasher(Profile(time_cost=2, memory_kib=64, parallelism=1))
    stronger.verify(stored, PASSWORD)
    assert stronger.needs_rehash(stored)
    assert not hasher.needs_rehash(stored)


def test_a_long_password_is_refused_before_any_work() -> None:
    """A profile that no machine can compute shows that nothing was computed."""
    impossible = PasswordHasher(Profile(time_cost=1, memory_kib=2**31, parallelism=1), max_bytes=20)
    long = "ü" * 11  # 22 bytes in 11 characters
    for refuse in (lambda: impossible.hash(long), lambda: impossible.verify(None, long)):
        with pytest.raises(PasswordTooLongError) as caught:
            refuse()
        assert (caught.value.size, caught.value.max_bytes) == (22, 20)
        assert long not in str(caught.value)


def test_want_of_memory_is_no_wrong_password() -> None:
    """Nor an unknown user, for whom the whole work of the profile is done."""
    impossible = PasswordHasher(Profile(time_cost=1, memory_kib=2**31, parallelism=1))
    with pytest.raises(HashingUnavailableError) as hashing:
        impossible.hash(PASSWORD)
    with pytest.raises(HashingUnavailableError):
        impossible.verify(None, PASSWORD)
    assert hashing.value.__cause__ is not None


def test_composed_and_decomposed_letters_are_the_same_password(hasher: PasswordHasher) -> None:
    """NFKC: two keyboards may send the same letter in two ways."""
    hasher.verify(hasher.hash("pässwörter sind länger"), "pa\u0308sswo\u0308rter sind la\u0308nger")


def test_half_a_surrogate_pair_is_refused_and_never_matches(hasher: PasswordHasher) -> None:
    """JSON can carry one, UTF-8 cannot."""
    half = "\ud800" * 8
    with pytest.raises(WeakPasswordError) as caught:
        hasher.hash(half)
    assert caught.value.reason == "not_text"
    with pytest.raises(InvalidCredentialsError):
        hasher.verify(hasher.hash(PASSWORD), half)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "too_short"),
        ("1234567", "too_short"),
        ("a\u0308" * 4, "too_short"),  # four letters, whatever their bytes
        ("aaaaaaaaaaaa", "repeated"),
        ("abababababab", "repeated"),
        ("        ", "repeated"),
        ("12345678", "sequence"),
        ("87654321", "sequence"),
        ("567890123", "sequence"),
        ("AbCdEfGhIj", "sequence"),
        ("qwertyuiop", "sequence"),
        ("Password", "common"),
        ("".join(chr(0xFF11 + digit) for digit in range(8)), "sequence"),  # full-width digits are digits
        ("\ud800\ud801abcdefgh", "not_text"),
        ("12345687", "guessable"),
        ("abcdefghijklmnopqrstuvwxyz0", "guessable"),
        ("P@ssw0rd!", "guessable"),
        ("summer2024", "guessable"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError) as caught:
        check_strength(password)
    assert caught.value.reason == reason
    assert not password or password not in str(caught.value)


def test_attack_a_password_that_takes_long_to_judge() -> None:
    """All disguises that zxcvbn knows, over and over: of 72 characters it takes seconds; fewer are judged."""
    hostile = "4@8({[<3691!|70$5+%2abc" * 44
    seen: list[int] = []
    real = zxcvbn.zxcvbn

    def watched(text: str, **options: Any) -> object:
        seen.append(len(text))
        return real(text, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zxcvbn, "zxcvbn", watched)
        check_strength(hostile)
    assert seen == [24, 24]


def test_one_end_of_a_long_password_that_is_hard_to_guess_is_enough() -> None:
    for password in ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa k8#vQz!2x", "k8#vQz!2x aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"):
        check_strength(password)
    with pytest.raises(WeakPasswordError):
        check_strength("passwordpassword" + "a" * 30 + "passwordpassword")


@pytest.mark.parametrize(
    "password", [PASSWORD, "Tr0ub4dor", "ずっとながいことば", "k8#vQz!2x", "correct horse battery staple " * 30]
)
def test_other_passwords_are_taken(password: str) -> None:
    check_strength(password)


def test_a_password_made_of_what_is_known_of_somebody_is_weak() -> None:
    check_strength("zquorbelvick7")
    with pytest.raises(WeakPasswordError) as caught:
        check_strength("zquorbelvick7", about=["zquorbelvick@example.org", "Ada"])
    assert caught.value.reason == "guessable"


def test_a_refusal_says_what_to_do_about_it() -> None:
    with pytest.raises(WeakPasswordError) as caught:
        check_strength("hunter22")
    assert "This is similar to a commonly used password." in caught.value.hints
    assert all(hint in str(caught.value) and hint.endswith(".") for hint in caught.value.hints)
    assert "hunter22" not in str(caught.value)


def test_at_most_so_many_hashes_run_at_once() -> None:
    hasher = PasswordHasher(QUICK, max_concurrent=2)
    running, most, lock = 0, 0, threading.Lock()
    real = hasher._argon2

    class Counting:
        def hash(self, secret: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            return real.hash(secret)

    hasher._argon2 = Counting()  # type: ignore[assignment]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hasher.hash(PASSWORD), range(16)))
    assert most == 2
