"""Failed attempts, counted per account and per address: each one more makes the next wait longer."""

import hashlib
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mamkit.auth.errors import InvalidCredentialsError, LockedOutError, SecondFactorError
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

_MAX_ADDRESS = 256  # characters; keys have their bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often something failed of late, attempts that are still under way included. Times are aware and in UTC."""

    failures: int
    last_failed_at: datetime
    """When the newest of them began."""


class AttemptStore(Protocol):
    """Where attempts are counted, by keys of at most 400 ASCII characters, such as `address:…`.

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

    def replace(self, key: str, attempts: Attempts, *, instead_of: Attempts | None) -> bool:
        """Count `attempts` for a key if what is counted is still `instead_of`, in one step; return whether it was.

        None stands for nothing at all. Of any number of callers at once that saw the same, one gets True.
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

    def replace(self, key: str, attempts: Attempts, *, instead_of: Attempts | None) -> bool:
        """Count `attempts` for a key if what is counted is still `instead_of`."""
        with self._lock:
            unchanged = self._attempts.get(key) == instead_of
            if unchanged:
                self._attempts[key] = attempts
            return unchanged

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

        with lockout.attempt(account=email, address=address):
            hasher.verify(stored, password)

    Accounts that do not exist are counted as those that do, and before anything costly is done. Of an account the store
    gets a digest only: people type passwords where names belong. An IPv6 address counts as its /64 network, in which a
    subscriber has as many addresses as they like (RFC 6177 section 2).

    Args:
        store: Where failures are counted.
        prefix: Begins the keys in the store, so that different things are counted apart in one.
        clock: Tells the time.
    """

    def __init__(self, store: AttemptStore, *, prefix: str = "", clock: Clock = utc_now) -> None:
        self._store = store
        self._prefix = prefix
        self._clock = clock

    @contextmanager
    def attempt(self, *, account: str, address: str | None = None) -> Iterator[None]:
        """Let the block make one attempt, and count it unless the block ends well.

        It counts against the account before it is made, so that of many at once no more are tried than of as many one
        after the other. Against the address it counts when it has failed, since many people share one.

        Args:
            account: What was typed as the account, folded so that two spellings of one account are the same.
            address: Where the request came from.

        Raises:
            LockedOutError: No attempt may be made yet; the block is not run.
        """
        if address is not None:
            self.check(address=address)
        self._begin(self._account_key(account))
        try:
            yield
        except (InvalidCredentialsError, SecondFactorError):
            if address is not None:
                self.failed(address=address)
            raise
        self._store.clear(self._account_key(account))

    def check(self, *, address: str) -> None:
        """Return if an address may do now what `failed` counts.

        Raises:
            LockedOutError: Not yet.
        """
        _let_wait(self._store.get(self._address_key(address)), PER_ADDRESS, self._clock())

    def failed(self, *, address: str) -> None:
        """Count something against an address: a failure, or what nobody should do often."""
        now = self._clock()
        self._store.fail(self._address_key(address), at=now, forget_before=now - PER_ADDRESS.forget_after)

    def forget(self, *, account: str) -> None:
        """Forget the failures of an account, as after its password was replaced.

        Those of an address stay, or any account of a guesser would clear them.
        """
        self._store.clear(self._account_key(account))

    def purge(self) -> int:
        """Forget what counts no more, and return how many keys it was; for a daily job."""
        longest = max(PER_ACCOUNT.forget_after, PER_ADDRESS.forget_after)
        return self._store.purge(before=self._clock() - longest)

    def _begin(self, key: str) -> None:
        """Count an attempt at an account; whoever is overtaken looks again."""
        while True:
            now, seen = self._clock(), self._store.get(key)
            _let_wait(seen, PER_ACCOUNT, now)
            goes_on = seen is not None and now - seen.last_failed_at < PER_ACCOUNT.forget_after
            attempts = Attempts(failures=seen.failures + 1 if seen and goes_on else 1, last_failed_at=now)
            if self._store.replace(key, attempts, instead_of=seen):
                return

    def _account_key(self, account: str) -> str:
        return f"{self._prefix}account:{hashlib.sha256(account.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def _address_key(self, address: str) -> str:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:  # the name of a socket, as servers behind a proxy have it
            return f"{self._prefix}address:{address[:_MAX_ADDRESS]}"
        if isinstance(parsed, ipaddress.IPv6Address):
            mapped = parsed.ipv4_mapped
            address = str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
        return f"{self._prefix}address:{address}"


def _let_wait(attempts: Attempts | None, policy: LockoutPolicy, now: datetime) -> None:
    if attempts is None or now - attempts.last_failed_at >= policy.forget_after:
        return
    wait = attempts.last_failed_at + policy.delay(attempts.failures) - now
    if wait > timedelta(0):
        raise LockedOutError(retry_after=wait)
