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
