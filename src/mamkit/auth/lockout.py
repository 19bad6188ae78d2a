"""Failed attempts, counted per account and per address: each one more makes the next wait longer."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mamkit.auth.errors import LockedOutError
from mamkit.clock import Clock, utc_now

__all__ = [
    "PER_ACCOUNT",
    "PER_ADDRESS",
    "AttemptStore",
    "Attempts",
    "Lockout",
    "LockoutPolicy",
    "MemoryAttemptStore",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often something failed of late. Times are aware and in UTC."""

    failures: int
    last_failed_at: datetime


class AttemptStore(Protocol):
    """Where attempts are counted, by a key such as `account:…` or `address:…`.

    Methods are synchronous, may be called from several threads and processes at once, and are done whole or not at all.
    The store looks at no clock. One that does not answer raises `LoginStoreError`.
    `mamkit.testing.logins.AttemptStoreContract` checks it.
    """

    def get(self, key: str) -> Attempts | None:
        """Return what is counted for a key."""

    def fail(self, key: str, *, at: datetime, forget_before: datetime) -> Attempts:
        """Count one more failure and return the new count, in one step.

        Where the last failure was before `forget_before`, counting starts at 1 again.
        """

    def clear(self, key: str) -> None:
        """Forget what is counted for a key."""

    def purge(self, *, before: datetime) -> int:
        """Forget the keys whose last failure was before a time, and return how many."""


class MemoryAttemptStore:
    """An `AttemptStore` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempts] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Attempts | None:
        """Return what is counted for a key."""
        with self._lock:
            return self._attempts.get(key)

    def fail(self, key: str, *, at: datetime, forget_before: datetime) -> Attempts:
        """Count one more failure and return the new count."""
        with self._lock:
            before = self._attempts.get(key)
            goes_on = before is not None and before.last_failed_at >= forget_before
            attempts = Attempts(failures=before.failures + 1 if before and goes_on else 1, last_failed_at=at)
            self._attempts[key] = attempts
            return attempts

    def clear(self, key: str) -> None:
        """Forget what is counted for a key."""
        with self._lock:
            self._attempts.pop(key, None)

    def purge(self, *, before: datetime) -> int:
        """Forget the keys whose last failure was before a time, and return how many."""
        with self._lock:
            old = [key for key, attempts in self._attempts.items() if attempts.last_failed_at < before]
            for key in old:
                del self._attempts[key]
            return len(old)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutPolicy:
    """How long to wait after how many failures; more than `free` of them double the delay each time."""

    free: int
    """Failures without delay."""
    first_delay: timedelta = timedelta(seconds=1)
    longest_delay: timedelta = timedelta(minutes=15)
    """Bounded, so that whoever guesses cannot keep the owner out for good."""
    forget_after: timedelta = timedelta(hours=24)
    """Without a failure; counting starts anew."""

    def delay(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures in a row."""
        excess = failures - self.free
        if excess <= 0:
            return timedelta(0)
        doublings = min(excess - 1, 30)  # beyond any longest delay; keeps the number small
        return min(self.first_delay * (1 << doublings), self.longest_delay)


PER_ACCOUNT = LockoutPolicy(free=5)
"""NIST SP 800-63B section 5.2.2 allows 100 failures in a row; the doubling delay keeps to that for days."""

PER_ADDRESS = LockoutPolicy(free=20)
"""More at an address than at an account: many people share one (NIST SP 800-63B section 5.2.2 names both)."""


class Lockout:
    """Makes whoever guesses wait.

    Keys are looked at before anything costly is done, and the same for accounts that exist and that do not.

    Args:
        store: Where failures are counted.
        clock: Tells the time.
    """

    def __init__(self, store: AttemptStore, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock

    def check(self, *, account: str | None = None, address: str | None = None) -> None:
        """Return if an attempt may be made now.

        Args:
            account: What was typed as the account, folded; counted under `PER_ACCOUNT`.
            address: Where the request came from; counted under `PER_ADDRESS`.

        Raises:
            LockedOutError: Not yet.
        """
        now = self._clock()
        waits = []
        for key, policy in _keys(account, address):
            attempts = self._store.get(key)
            if attempts is not None and now - attempts.last_failed_at < policy.forget_after:
                waits.append(attempts.last_failed_at + policy.delay(attempts.failures) - now)
        longest = max(waits, default=timedelta(0))
        if longest > timedelta(0):
            raise LockedOutError(retry_after=longest)

    def failed(self, *, account: str | None = None, address: str | None = None) -> None:
        """Count a failure."""
        now = self._clock()
        for key, policy in _keys(account, address):
            self._store.fail(key, at=now, forget_before=now - policy.forget_after)

    def succeeded(self, *, account: str) -> None:
        """Forget the failures of an account. Those of an address stay, or any account of a guesser would clear them."""
        self._store.clear(_account_key(account))

    def purge(self) -> int:
        """Forget what counts no more, and return how many keys it was; for a daily job."""
        longest = max(PER_ACCOUNT.forget_after, PER_ADDRESS.forget_after)
        return self._store.purge(before=self._clock() - longest)


def _account_key(account: str) -> str:
    return f"account:{account}"


def _keys(account: str | None, address: str | None) -> list[tuple[str, LockoutPolicy]]:
    keys = []
    if account is not None:
        keys.append((_account_key(account), PER_ACCOUNT))
    if address is not None:
        keys.append((f"address:{address}", PER_ADDRESS))
    return keys
