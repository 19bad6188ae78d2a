"""Whoever guesses waits longer and longer; a login in two steps is finished once, by whoever began it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import NoReturn

import pytest

from mamkit.auth import (
    PER_ACCOUNT,
    PER_ADDRESS,
    Attempts,
    FlowEndedError,
    Flows,
    HashingUnavailableError,
    InvalidCredentialsError,
    LockedOutError,
    Lockout,
    MemoryAttemptStore,
    MemoryFlowStore,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lockout(clock: Clock) -> Lockout:
    return Lockout(MemoryAttemptStore(), clock=clock)


@pytest.fixture
def flows(clock: Clock) -> Flows:
    return Flows(MemoryFlowStore(), clock=clock)


def wait(lockout: Lockout, *, account: str = "nobody", address: str | None = None) -> timedelta:
    """Make an attempt that succeeds, and return how long it must wait."""
    try:
        with lockout.attempt(account=account, address=address):
            return timedelta(0)
    except LockedOutError as error:
        return error.retry_after


def refuse() -> NoReturn:
    raise InvalidCredentialsError


def fail(lockout: Lockout, *, account: str = "nobody", address: str | None = None) -> timedelta:
    """Make an attempt that fails, and return how long it must wait."""
    try:
        with lockout.attempt(account=account, address=address):
            refuse()
    except InvalidCredentialsError:
        return timedelta(0)
    except LockedOutError as error:
        return error.retry_after


def test_a_few_failures_are_free_and_then_the_wait_doubles(lockout: Lockout, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT.free + 1):
        assert not fail(lockout, account="ada")
    waits = []
    for _ in range(12):
        waits.append(fail(lockout, account="ada").total_seconds())
        clock.now += timedelta(seconds=waits[-1])
        assert not fail(lockout, account="ada")
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_after_the_wait_one_more_attempt_is_free(lockout: Lockout, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT.free + 1):
        fail(lockout, account="ada")
    clock.now += timedelta(seconds=1) - timedelta(microseconds=1)
    assert wait(lockout, account="ada")
    clock.now += timedelta(microseconds=1)
    assert not wait(lockout, account="ada")


def test_attack_many_guesses_at_once(clock: Clock) -> None:
    """Fifty threads guess at one account in the same moment: no more are tried than one after the other."""

    class Slow(MemoryAttemptStore):
        def get(self, key: str) -> Attempts | None:
            seen = super().get(key)
            time.sleep(0.002)  # so that many see the same before one of them acts on it
            return seen

    tried: list[int] = []
    lockout, together = Lockout(Slow(), clock=clock), Barrier(50)

    def guess(number: int) -> None:
        together.wait()
        with lockout.attempt(account="ada"):
            tried.append(number)
            raise InvalidCredentialsError

    with ThreadPoolExecutor(50) as pool:
        errors = [guess.exception() for guess in [pool.submit(guess, number) for number in range(50)]]
    assert len(tried) == PER_ACCOUNT.free + 1
    assert sum(isinstance(error, LockedOutError) for error in errors) == 50 - len(tried)


def test_an_attempt_that_ends_in_another_error_counts_for_the_account_alone(lockout: Lockout) -> None:
    """Whether the password was right is not known; and the address has not guessed."""
    for _ in range(PER_ACCOUNT.free + 1):
        with pytest.raises(HashingUnavailableError), lockout.attempt(account="ada", address="203.0.113.1"):
            raise HashingUnavailableError
    assert wait(lockout, account="ada")
    assert not wait(lockout, address="203.0.113.1")


def test_accounts_and_addresses_are_counted_apart(lockout: Lockout) -> None:
    """One address guesses at many accounts: each of them is free, the address is not."""
    for number in range(PER_ADDRESS.free + 1):
        fail(lockout, account=f"user-{number}", address="203.0.113.1")
    assert not wait(lockout, account="user-0")
    assert not wait(lockout, account="user-0", address="203.0.113.2")
    assert wait(lockout, account="user-0", address="203.0.113.1")


def test_attack_many_addresses_of_one_network(lockout: Lockout) -> None:
    """An IPv6 subscriber has 2^64 addresses; an IPv4 one that is written as IPv6 is still the same."""
    for number in range(PER_ADDRESS.free + 1):
        fail(lockout, account=f"user-{number}", address=f"2001:db8:1:2::{number:x}")
        fail(lockout, account=f"user-{number}", address="::ffff:203.0.113.1")
    assert wait(lockout, address="2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert not wait(lockout, address="2001:db8:1:3::1")
    assert wait(lockout, address="203.0.113.1")
    assert not wait(lockout, address="203.0.113.2")


def test_what_has_another_prefix_is_counted_apart(clock: Clock) -> None:
    store = MemoryAttemptStore()
    lockout, mails = Lockout(store, clock=clock), Lockout(store, prefix="mail:", clock=clock)
    for _ in range(PER_ADDRESS.free + 1):
        mails.check(address="203.0.113.1")
        mails.failed(address="203.0.113.1")
    with pytest.raises(LockedOutError):
        mails.check(address="203.0.113.1")
    lockout.check(address="203.0.113.1")


@pytest.mark.parametrize("typed", ["", "\0", "\ud800", "correct horse battery staple", "x" * 100_000])
def test_what_was_typed_as_the_account_is_not_kept(clock: Clock, typed: str) -> None:
    """People type passwords there; and whatever it is, a database takes its digest."""
    store = MemoryAttemptStore()
    fail(Lockout(store, clock=clock), account=typed, address=typed)
    keys = sorted(store._attempts)
    assert len(keys) == 2
    assert all(len(key) <= 300 for key in keys)
    assert not typed or typed not in keys[0]


def test_a_success_clears_the_account_and_not_the_address(lockout: Lockout, clock: Clock) -> None:
    for number in range(PER_ADDRESS.free + 1):
        fail(lockout, account=f"user-{number % 6}", address="203.0.113.1")
    assert not wait(lockout, account="user-0")
    for _ in range(PER_ACCOUNT.free + 1):
        assert not fail(lockout, account="user-0")
    assert wait(lockout, account="user-0")
    lockout.forget(account="user-0")
    assert not wait(lockout, account="user-0")
    assert wait(lockout, address="203.0.113.1")


def test_failures_are_forgotten_after_a_day(lockout: Lockout, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT.free + 1):
        fail(lockout, account="ada")
    assert wait(lockout, account="ada")
    clock.now += PER_ACCOUNT.forget_after
    for _ in range(PER_ACCOUNT.free + 1):
        assert not fail(lockout, account="ada")
    clock.now += timedelta(days=2)
    assert lockout.purge() == 1


def test_a_flow_is_finished_once_with_what_was_kept(flows: Flows) -> None:
    handle = flows.open("second-factor", {"user": "ada", "number": 1})
    assert len(handle) == 43
    assert flows.finish("second-factor", handle) == {"user": "ada", "number": 1}
    with pytest.raises(FlowEndedError):
        flows.finish("second-factor", handle)


def test_attack_flow_of_another_kind(flows: Flows) -> None:
    """And whoever tries has spoilt it."""
    handle = flows.open("passkey", {})
    for kind in ("second-factor", "passkey"):
        with pytest.raises(FlowEndedError):
            flows.finish(kind, handle)


def test_a_flow_ends_at_its_time(flows: Flows, clock: Clock) -> None:
    handle = flows.open("passkey", {})
    clock.now += flows.lifetime
    with pytest.raises(FlowEndedError):
        flows.finish("passkey", handle)
    flows.open("passkey", {})
    clock.now += flows.lifetime + timedelta(seconds=1)
    assert flows.purge() == 1


@pytest.mark.parametrize("garbage", ["", "x", "\ud800", "0" * 64, "x" * 1_000_000])
def test_attack_garbage(flows: Flows, garbage: str) -> None:
    with pytest.raises(FlowEndedError):
        flows.finish("passkey", garbage)
