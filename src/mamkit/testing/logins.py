"""What every `mamkit.auth.AttemptStore` and `FlowStore` must do, as tests; inherit, and give the fixture `store`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

from mamkit.auth.flows import FlowStore, OpenFlow
from mamkit.auth.lockout import Attempts, AttemptStore
from mamkit.errors import MissingExtraError

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["AttemptStoreContract", "FlowStoreContract"]

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
KEY = "account:ada@example.org"


class AttemptStoreContract:
    """The obligations of an `AttemptStore`. The fixture `store` gives an empty one."""

    @pytest.fixture
    def store(self) -> AttemptStore:
        """Return an empty store; to be overridden."""
        pytest.fail("override the fixture `store`")

    def test_nothing_is_counted_at_first(self, store: AttemptStore) -> None:
        assert store.get(KEY) is None
        store.clear(KEY)

    def test_failures_add_up(self, store: AttemptStore) -> None:
        for number in (1, 2, 3):
            at = NOW + timedelta(seconds=number)
            expected = Attempts(failures=number, last_failed_at=at)
            assert store.fail(KEY, at=at, forget_before=NOW) == store.get(KEY) == expected

    def test_keys_are_counted_apart(self, store: AttemptStore) -> None:
        store.fail(KEY, at=NOW, forget_before=NOW)
        assert store.fail("address:127.0.0.1", at=NOW, forget_before=NOW).failures == 1

    def test_old_failures_are_forgotten(self, store: AttemptStore) -> None:
        """The last one counts: exactly at the bound it still does, before it does not."""
        store.fail(KEY, at=NOW, forget_before=NOW)
        assert store.fail(KEY, at=LATER, forget_before=NOW).failures == 2
        assert store.fail(KEY, at=LATER, forget_before=LATER + timedelta(microseconds=1)).failures == 1

    def test_what_is_counted_is_replaced_if_it_is_still_the_same(self, store: AttemptStore) -> None:
        """Nothing at all is something to be replaced, too; a microsecond makes another."""
        first, second = Attempts(failures=1, last_failed_at=NOW), Attempts(failures=2, last_failed_at=LATER)
        assert not store.replace(KEY, second, instead_of=first)
        assert store.replace(KEY, first, instead_of=None)
        for other in (None, second, Attempts(failures=1, last_failed_at=NOW + timedelta(microseconds=1))):
            assert not store.replace(KEY, second, instead_of=other)
        assert store.get(KEY) == first
        assert store.replace(KEY, second, instead_of=first)
        assert store.get(KEY) == second

    @pytest.mark.parametrize("seen", [None, Attempts(failures=1, last_failed_at=NOW)])
    def test_of_many_that_saw_the_same_one_replaces_it(self, store: AttemptStore, seen: Attempts | None) -> None:
        """From threads that start together."""
        workers = 8
        barrier = Barrier(workers)
        if seen is not None:
            assert store.replace(KEY, seen, instead_of=None)

        def replace(number: int) -> bool:
            barrier.wait()
            return store.replace(KEY, Attempts(failures=number, last_failed_at=LATER), instead_of=seen)

        with ThreadPoolExecutor(workers) as pool:
            replaced = [task.result(timeout=60) for task in [pool.submit(replace, n) for n in range(2, 10)]]
        assert replaced.count(True) == 1
        assert store.get(KEY) == Attempts(failures=replaced.index(True) + 2, last_failed_at=LATER)

    def test_a_cleared_key_starts_anew_and_others_do_not(self, store: AttemptStore) -> None:
        store.fail(KEY, at=NOW, forget_before=NOW)
        store.fail("other", at=NOW, forget_before=NOW)
        store.clear(KEY)
        assert store.get(KEY) is None
        assert store.get("other") is not None

    def test_purge_forgets_what_failed_last_before(self, store: AttemptStore) -> None:
        store.fail("old", at=NOW, forget_before=NOW)
        store.fail("young", at=LATER, forget_before=NOW)
        assert store.purge(before=LATER) == 1
        assert store.get("old") is None
        assert store.get("young") is not None

    def test_failures_at_once_all_count(self, store: AttemptStore) -> None:
        """From threads that start together, on a key that is new."""
        workers = 8
        barrier = Barrier(workers)

        def fail() -> None:
            barrier.wait()
            for _ in range(5):
                store.fail(KEY, at=NOW, forget_before=NOW)

        with ThreadPoolExecutor(workers) as pool:
            for task in [pool.submit(fail) for _ in range(workers)]:
                task.result(timeout=60)
        found = store.get(KEY)
        assert found is not None
        assert found.failures == 40


class FlowStoreContract:
    """The obligations of a `FlowStore`. The fixture `store` gives an empty one."""

    @pytest.fixture
    def store(self) -> FlowStore:
        """Return an empty store; to be overridden."""
        pytest.fail("override the fixture `store`")

    def make(self, digest: str = "0" * 64, expires_at: datetime = NOW) -> OpenFlow:
        """Return a flow."""
        return OpenFlow(digest=digest, kind="second-factor", data='{"user": "ü"}', expires_at=expires_at)

    def test_a_flow_comes_back_as_it_was_given_once(self, store: FlowStore) -> None:
        store.put(self.make())
        assert store.take("0" * 64) == self.make()
        assert store.take("0" * 64) is None

    def test_an_unknown_flow_is_none(self, store: FlowStore) -> None:
        store.put(self.make())
        for digest in ("", "1" * 64, "%", "x" * 10_000):
            assert store.take(digest) is None

    def test_purge_forgets_what_expired_before(self, store: FlowStore) -> None:
        store.put(self.make("a"))
        store.put(self.make("b", LATER))
        assert store.purge(before=LATER) == 1
        assert store.take("a") is None
        assert store.take("b") is not None

    def test_of_many_at_once_one_takes_it(self, store: FlowStore) -> None:
        """From threads that start together."""
        workers = 8
        for number in range(5):
            store.put(self.make(str(number)))
            barrier = Barrier(workers)

            def take(digest: str = str(number), barrier: Barrier = barrier) -> OpenFlow | None:
                barrier.wait()
                return store.take(digest)

            with ThreadPoolExecutor(workers) as pool:
                taken = [task.result(timeout=60) for task in [pool.submit(take) for _ in range(workers)]]
            assert sum(flow is not None for flow in taken) == 1
