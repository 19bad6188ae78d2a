"""What every `mamkit.auth.SessionStore` must do, as tests.

Inherit, and give the fixture:

    class TestMyStore(SessionStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore()
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

from mamkit.auth.errors import SessionStoreError
from mamkit.auth.store import Session, SessionStore
from mamkit.errors import MissingExtraError
from mamkit.ids import uuid7

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["SessionStoreContract"]

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def make_session(user_id: UUID | None = None, **changes: object) -> Session:
    """Return the first link of a family, made at `NOW`, good for a day."""
    jti = uuid7()
    session = Session(
        id=uuid7(),
        user_id=user_id or uuid7(),
        jti=jti,
        family=jti,
        refresh_token_hash=uuid7().hex * 2,
        expires_at=NOW + timedelta(days=1),
        created_at=NOW,
    )
    return replace(session, **changes)  # type: ignore[arg-type]


def make_successor(parent: Session, **changes: object) -> Session:
    """Return a link that may replace `parent`."""
    chain = {"family": parent.family, "parent_jti": parent.jti, "created_at": LATER}
    return make_session(parent.user_id, **{**chain, **changes})


class SessionStoreContract:
    """The obligations of a `SessionStore`. The fixture `store` gives an empty one."""

    @pytest.fixture
    def store(self) -> SessionStore:
        """Return an empty store; to be overridden."""
        pytest.fail("override the fixture `store`")

    @pytest.fixture
    def user_id(self) -> UUID:
        """Return a user that the store accepts; to be overridden where it knows its users."""
        return uuid7()

    def test_a_session_comes_back_as_it_was_given(self, store: SessionStore, user_id: UUID) -> None:
        """Microseconds, time zones and absent values included."""
        session = make_session(user_id)
        store.add(session)
        assert store.find(session.refresh_token_hash) == session

    def test_an_unknown_hash_finds_nothing(self, store: SessionStore, user_id: UUID) -> None:
        """Nor does an empty or an overlong one."""
        session = make_session(user_id)
        store.add(session)
        for unknown in ("0" * 64, "", "x" * 10_000, session.refresh_token_hash[:-1] + "%"):
            assert store.find(unknown) is None

    def test_a_jti_or_hash_is_kept_once(self, store: SessionStore, user_id: UUID) -> None:
        """A second session with either is refused and changes nothing."""
        session = make_session(user_id)
        store.add(session)
        for twin in (
            make_session(user_id, jti=session.jti),
            make_session(user_id, refresh_token_hash=session.refresh_token_hash),
        ):
            with pytest.raises(SessionStoreError):
                store.add(twin)
        assert store.live(session.user_id, at=NOW) == [session]

    def test_rotation_replaces_a_live_link(self, store: SessionStore, user_id: UUID) -> None:
        """Both links say so, and the new one alone is live."""
        first = make_session(user_id)
        second = make_successor(first)
        store.add(first)
        assert store.rotate(first.jti, second, at=LATER)
        assert store.find(first.refresh_token_hash) == replace(first, replaced_by_jti=second.jti, replaced_at=LATER)
        assert store.find(second.refresh_token_hash) == second
        assert store.live(user_id, at=LATER) == [second]

    def test_a_link_is_replaced_once(self, store: SessionStore, user_id: UUID) -> None:
        """The second successor is not kept."""
        first = make_session(user_id)
        second, rival = make_successor(first), make_successor(first)
        store.add(first)
        assert store.rotate(first.jti, second, at=LATER)
        assert not store.rotate(first.jti, rival, at=LATER)
        assert store.find(rival.refresh_token_hash) is None

    def test_a_rotation_that_fails_changes_nothing(self, store: SessionStore, user_id: UUID) -> None:
        """A successor that cannot be kept leaves its predecessor live."""
        first, other = make_session(user_id), make_session(user_id)
        store.add(first)
        store.add(other)
        with pytest.raises(SessionStoreError):
            store.rotate(first.jti, make_successor(first, refresh_token_hash=other.refresh_token_hash), at=LATER)
        assert store.find(first.refresh_token_hash) == first

    def test_what_is_not_live_is_not_replaced(self, store: SessionStore, user_id: UUID) -> None:
        """Revoked, expired at this very moment, or never there."""
        revoked, expired, absent = make_session(user_id), make_session(user_id, expires_at=LATER), make_session(user_id)
        store.add(revoked)
        store.add(expired)
        store.revoke_family(revoked.family, at=NOW)
        for session in (revoked, expired, absent):
            successor = make_successor(session)
            assert not store.rotate(session.jti, successor, at=LATER)
            assert store.find(successor.refresh_token_hash) is None

    def test_a_family_is_revoked_whole_and_alone(self, store: SessionStore, user_id: UUID) -> None:
        """Replaced links too; other families of the user live on; the first time of revoking stays."""
        first, other = make_session(user_id), make_session(user_id)
        second = make_successor(first)
        store.add(first)
        store.add(other)
        assert store.rotate(first.jti, second, at=NOW)
        store.revoke_family(first.family, at=NOW)
        store.revoke_family(first.family, at=LATER)
        for link in (first, second):
            found = store.find(link.refresh_token_hash)
            assert found is not None
            assert found.revoked_at == NOW
        assert store.live(user_id, at=NOW) == [other]

    def test_a_user_is_revoked_whole_and_alone(self, store: SessionStore, user_id: UUID) -> None:
        """All families of the user; revoking somebody who has none does nothing."""
        store.add(make_session(user_id))
        store.add(make_session(user_id))
        store.revoke_user(uuid7(), at=NOW)
        assert len(store.live(user_id, at=NOW)) == 2
        store.revoke_user(user_id, at=NOW)
        assert store.live(user_id, at=NOW) == []

    def test_live_links_come_newest_first(self, store: SessionStore, user_id: UUID) -> None:
        """And without those that have expired."""
        sessions = [make_session(user_id, created_at=NOW + timedelta(microseconds=step)) for step in range(5)]
        for session in sessions:
            store.add(session)
        store.add(make_session(user_id, expires_at=NOW))
        assert store.live(user_id, at=NOW) == sessions[::-1]

    def test_purge_forgets_what_expired_before(self, store: SessionStore, user_id: UUID) -> None:
        """And nothing else; it says how many."""
        old, exact = make_session(user_id, expires_at=NOW), make_session(user_id, expires_at=LATER)
        store.add(old)
        store.add(exact)
        assert store.purge(before=LATER) == 1
        assert store.purge(before=LATER) == 0
        assert store.find(old.refresh_token_hash) is None
        assert store.find(exact.refresh_token_hash) == exact

    def test_of_many_rotations_at_once_one_succeeds(self, store: SessionStore, user_id: UUID) -> None:
        """From threads that start together."""
        workers = 8
        for _ in range(5):
            first = make_session(user_id)
            store.add(first)
            barrier = Barrier(workers)

            def rotate(session: Session = first, barrier: Barrier = barrier) -> bool:
                successor = make_successor(session)
                barrier.wait()
                return store.rotate(session.jti, successor, at=LATER)

            with ThreadPoolExecutor(workers) as pool:
                results = [task.result() for task in [pool.submit(rotate) for _ in range(workers)]]
            assert results.count(True) == 1
        assert len(store.live(user_id, at=LATER)) == 5

    def test_nothing_of_a_family_survives_a_revocation_that_meets_rotations(
        self, store: SessionStore, user_id: UUID
    ) -> None:
        """Whichever comes first, no link is live afterwards."""
        for _ in range(10):
            first = make_session(user_id)
            store.add(first)
            barrier = Barrier(2)

            def rotate(link: Session = first, barrier: Barrier = barrier) -> None:
                barrier.wait()
                for _ in range(500):  # a store that lets it live must fail the test, and not keep it up
                    successor = make_successor(link)
                    if not store.rotate(link.jti, successor, at=LATER):
                        break
                    link = successor

            def revoke(family: UUID = first.family, barrier: Barrier = barrier) -> None:
                barrier.wait()
                store.revoke_family(family, at=LATER)

            with ThreadPoolExecutor(2) as pool:
                for task in (pool.submit(rotate), pool.submit(revoke)):
                    task.result(timeout=30)
            assert store.live(user_id, at=LATER) == []
