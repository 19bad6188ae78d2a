"""Whoever guesses waits longer and longer; a login in two steps is finished once, by whoever began it."""

from datetime import UTC, datetime, timedelta

import pytest

from mamkit.auth import (
    PER_ACCOUNT,
    PER_ADDRESS,
    FlowEndedError,
    Flows,
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


def wait(lockout: Lockout, **who: str) -> timedelta:
    try:
        lockout.check(**who)
    except LockedOutError as error:
        return error.retry_after
    return timedelta(0)


def test_a_few_failures_are_free_and_then_the_wait_doubles(lockout: Lockout, clock: Clock) -> None:
    waits = []
    for _ in range(PER_ACCOUNT.free + 12):
        lockout.failed(account="ada")
        waits.append(wait(lockout, account="ada").total_seconds())
        clock.now += wait(lockout, account="ada")
    assert waits[: PER_ACCOUNT.free] == [0.0] * PER_ACCOUNT.free
    assert waits[PER_ACCOUNT.free :] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_after_the_wait_one_more_attempt_is_free(lockout: Lockout, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT.free + 1):
        lockout.failed(account="ada")
    clock.now += timedelta(seconds=1) - timedelta(microseconds=1)
    assert wait(lockout, account="ada")
    clock.now += timedelta(microseconds=1)
    assert not wait(lockout, account="ada")


def test_accounts_and_addresses_are_counted_apart(lockout: Lockout) -> None:
    """One address guesses at many accounts: each of them is free, the address is not."""
    for number in range(PER_ADDRESS.free + 1):
        lockout.failed(account=f"user-{number}", address="203.0.113.1")
    assert not wait(lockout, account="user-0")
    assert not wait(lockout, account="user-0", address="203.0.113.2")
    assert wait(lockout, account="user-0", address="203.0.113.1")


def test_a_success_clears_the_account_and_not_the_address(lockout: Lockout) -> None:
    for _ in range(PER_ADDRESS.free + 1):
        lockout.failed(account="ada", address="203.0.113.1")
    lockout.succeeded(account="ada")
    assert not wait(lockout, account="ada")
    assert wait(lockout, address="203.0.113.1")


def test_failures_are_forgotten_after_a_day(lockout: Lockout, clock: Clock) -> None:
    for _ in range(50):
        lockout.failed(account="ada")
    clock.now += PER_ACCOUNT.forget_after
    assert not wait(lockout, account="ada")
    clock.now += timedelta(microseconds=1)
    lockout.failed(account="ada")
    assert not wait(lockout, account="ada")
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
