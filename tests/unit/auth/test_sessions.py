"""Refresh tokens: each good for one exchange, parallel ones answered alike, stolen ones found out."""

import base64
import dataclasses
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from mamkit.auth import (
    MemorySessionStore,
    SessionExpiredError,
    SessionReusedError,
    SessionRevokedError,
    Sessions,
    SessionStore,
    SessionStoreError,
    TokenInvalidError,
    WeakSecretError,
)
from mamkit.auth.sql import SqlSessionStore, sessions_table

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(seconds=15)
LIFETIME = timedelta(days=30)
SECRET = b"s" * 32
USER = uuid4()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemorySessionStore:
    return MemorySessionStore()


@pytest.fixture
def sessions(store: MemorySessionStore, clock: Clock) -> Sessions:
    return Sessions(store, secret=SECRET, clock=clock)


def test_a_login_gives_a_token_that_can_be_exchanged(sessions: Sessions) -> None:
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    assert (first.user_id, first.family, first.expires_at) == (USER, first.jti, NOW + LIFETIME)
    assert (second.user_id, second.family) == (USER, first.family)
    assert second.jti != first.jti
    assert second.refresh_token != first.refresh_token


def test_tokens_are_256_bits_and_marked_as_ours(sessions: Sessions) -> None:
    grant = sessions.start(USER)
    for token in (grant.refresh_token, sessions.refresh(grant.refresh_token).refresh_token):
        assert token.startswith("mkr1_")
        assert len(base64.urlsafe_b64decode(token.removeprefix("mkr1_") + "=")) == 32
    assert len({sessions.start(USER).refresh_token for _ in range(50)}) == 50


def test_the_token_is_in_no_repr_and_not_in_the_store(sessions: Sessions, store: MemorySessionStore) -> None:
    grant = sessions.start(USER)
    digest = hashlib.sha256(grant.refresh_token.encode()).hexdigest()
    kept = store.find(digest)
    assert kept is not None
    assert grant.refresh_token not in str(dataclasses.asdict(kept))
    assert grant.refresh_token not in repr(grant)
    assert digest not in repr(kept)


def test_successors_follow_from_secret_and_token_alone(sessions: Sessions) -> None:
    """Computed here by hand: what is documented is what is done."""
    grant = sessions.start(USER)
    message = b"mamkit refresh token successor 1\0" + grant.refresh_token.encode()
    digest = hmac.new(SECRET, message, "sha256").digest()
    expected = "mkr1_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert sessions.refresh(grant.refresh_token).refresh_token == expected


def test_within_the_grace_the_answer_is_the_same(sessions: Sessions, clock: Clock) -> None:
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    clock.advance(GRACE)
    assert sessions.refresh(first.refresh_token) == second
    assert len(sessions.list(USER)) == 1


def test_within_the_grace_the_answer_is_the_live_end_of_the_chain(sessions: Sessions, clock: Clock) -> None:
    tokens = [sessions.start(USER).refresh_token]
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
        tokens.append(sessions.refresh(tokens[-1]).refresh_token)
    for token in tokens[:-1]:
        assert sessions.refresh(token).refresh_token == tokens[-1]


def test_after_the_grace_a_replaced_token_ends_its_family(sessions: Sessions, clock: Clock) -> None:
    other = sessions.start(USER)
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    clock.advance(GRACE + timedelta(microseconds=1))
    with pytest.raises(SessionReusedError) as caught:
        sessions.refresh(first.refresh_token)
    assert (caught.value.family, caught.value.user_id) == (first.family, USER)
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(SessionRevokedError):
            sessions.refresh(token)
    assert [session.family for session in sessions.list(USER)] == [other.family]


def test_a_stolen_token_is_found_out_whoever_comes_first(sessions: Sessions, clock: Clock) -> None:
    """The thief goes on with the chain; the owner's next refresh ends it."""
    owner = sessions.start(USER).refresh_token
    thief = sessions.refresh(owner).refresh_token
    clock.advance(timedelta(minutes=15))
    thief = sessions.refresh(thief).refresh_token
    with pytest.raises(SessionReusedError):
        sessions.refresh(owner)
    with pytest.raises(SessionRevokedError):
        sessions.refresh(thief)


def test_a_chain_that_grows_without_end_within_a_grace_is_ended(sessions: Sessions) -> None:
    """The work of one refresh is bounded."""
    first = token = sessions.start(USER).refresh_token
    for _ in range(100):
        token = sessions.refresh(token).refresh_token
    with pytest.raises(SessionReusedError):
        sessions.refresh(first)
    assert sessions.list(USER) == []


def test_a_family_ends_at_its_time_however_often_it_is_refreshed(sessions: Sessions, clock: Clock) -> None:
    grant = sessions.start(USER)
    for _ in range(29):
        clock.advance(timedelta(days=1))
        grant = sessions.refresh(grant.refresh_token)
        assert grant.expires_at == NOW + LIFETIME
    clock.now = NOW + LIFETIME - timedelta(microseconds=1)
    grant = sessions.refresh(grant.refresh_token)
    clock.now = NOW + LIFETIME
    with pytest.raises(SessionExpiredError) as caught:
        sessions.refresh(grant.refresh_token)
    assert caught.value.expired_at == NOW + LIFETIME
    assert sessions.list(USER) == []


def test_a_clock_that_goes_back_logs_nobody_out(sessions: Sessions, clock: Clock) -> None:
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    clock.advance(-timedelta(hours=1))
    assert sessions.refresh(first.refresh_token) == second
    assert sessions.refresh(second.refresh_token).family == first.family


def test_logout_ends_the_family_of_any_of_its_tokens(sessions: Sessions) -> None:
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    sessions.revoke(first.refresh_token)
    with pytest.raises(SessionRevokedError):
        sessions.refresh(second.refresh_token)
    sessions.revoke(first.refresh_token)  # twice is no error


def test_all_sessions_of_a_user_end_together_and_no_others(sessions: Sessions) -> None:
    mine = [sessions.start(USER) for _ in range(3)]
    other = sessions.start(uuid4())
    sessions.revoke_all(USER)
    for grant in mine:
        with pytest.raises(SessionRevokedError):
            sessions.refresh(grant.refresh_token)
    assert sessions.refresh(other.refresh_token).family == other.family


HOSTILE = [
    "",
    "mkr1_",
    "x" * 48,
    "mkr1_" + "ü" * 43,
    "mkr1_" + "\ud800" * 43,
    "mkr1_" + "A" * 43,
    "m" * 1_000_000,
    "\0",
]


@pytest.mark.parametrize("token", HOSTILE)
def test_unknown_tokens_are_refused_and_log_nobody_out(sessions: Sessions, token: str) -> None:
    grant = sessions.start(USER)
    with pytest.raises(TokenInvalidError) as caught:
        sessions.refresh(token)
    assert len(token) < 10 or token not in str(caught.value)
    sessions.revoke(token)
    assert sessions.refresh(grant.refresh_token).family == grant.family


def test_another_spelling_of_a_token_is_another_token(sessions: Sessions) -> None:
    """The last character has bits that base64url does not use; setting them makes no second key to the door."""
    token = sessions.start(USER).refresh_token
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    with pytest.raises(TokenInvalidError):
        sessions.refresh(twin)


def test_after_a_change_of_the_secret_sessions_go_on(
    sessions: Sessions, store: MemorySessionStore, clock: Clock
) -> None:
    """A live token is exchanged; a replaced one gets no second answer, and ends nothing either."""
    first = sessions.start(USER)
    second = sessions.refresh(first.refresh_token)
    renewed = Sessions(store, secret=b"n" * 32, clock=clock)
    with pytest.raises(TokenInvalidError):
        renewed.refresh(first.refresh_token)
    assert renewed.refresh(second.refresh_token).family == first.family


@pytest.mark.parametrize("secret", [b"", b"s" * 31])
def test_a_short_secret_is_refused(store: MemorySessionStore, secret: bytes) -> None:
    with pytest.raises(WeakSecretError):
        Sessions(store, secret=secret)


def test_a_secret_that_is_text_is_refused_at_once(store: MemorySessionStore) -> None:
    with pytest.raises(TypeError, match="bytes"):
        Sessions(store, secret="s" * 32)  # type: ignore[arg-type]


def test_purge_forgets_families_that_have_ended(sessions: Sessions, clock: Clock) -> None:
    old = sessions.start(USER)
    sessions.refresh(old.refresh_token)
    clock.advance(timedelta(days=1))
    young = sessions.start(USER)
    clock.now = NOW + LIFETIME + timedelta(seconds=1)
    assert sessions.purge() == 2
    assert sessions.refresh(young.refresh_token).family == young.family
    with pytest.raises(TokenInvalidError):
        sessions.refresh(old.refresh_token)


def test_a_logout_between_look_and_rotation_wins(clock: Clock) -> None:
    """The store refuses the rotation, and the second look says why."""

    class Racing(MemorySessionStore):
        def rotate(self, jti: UUID, successor: object, *, at: datetime) -> bool:
            self.revoke_family(successor.family, at=at)  # type: ignore[attr-defined]
            return super().rotate(jti, successor, at=at)  # type: ignore[arg-type]

    sessions = Sessions(Racing(), secret=SECRET, clock=clock)
    grant = sessions.start(USER)
    with pytest.raises(SessionRevokedError):
        sessions.refresh(grant.refresh_token)
    assert sessions.list(USER) == []


# On SQLite, by several threads and processes.


def open_store(path: Path) -> tuple[sa.Engine, SessionStore]:
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    return engine, SqlSessionStore(engine, sessions_table(sa.MetaData()))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    metadata = sa.MetaData()
    sessions_table(metadata)
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()
    return path


@pytest.fixture
def sql_store(database: Path) -> Iterator[SessionStore]:
    engine, store = open_store(database)
    yield store
    engine.dispose()


def refresh_elsewhere(path: Path, token: str, times: int) -> list[str]:
    """Refresh along a chain in a process of its own, going on from whatever the answer was."""
    engine, store = open_store(path)
    sessions = Sessions(store, secret=SECRET, grace=timedelta(hours=1))
    seen = []
    for _ in range(times):
        token = sessions.refresh(token).refresh_token
        seen.append(token)
    engine.dispose()
    return seen


def test_processes_that_share_a_session_stay_logged_in(database: Path, sql_store: SessionStore) -> None:
    """Three processes refresh one chain as fast as they can; none is logged out, and one link lives."""
    sessions = Sessions(sql_store, secret=SECRET, grace=timedelta(hours=1))
    grant = sessions.start(USER)
    with get_context("spawn").Pool(3) as pool:
        chains = pool.starmap(refresh_elsewhere, [(database, grant.refresh_token, 15)] * 3)
    assert all(len(chain) == 15 for chain in chains)
    (alive,) = sessions.list(USER)
    assert alive.family == grant.family
    assert hashlib.sha256(sessions.refresh(grant.refresh_token).refresh_token.encode()).hexdigest() == (
        alive.refresh_token_hash
    )


def test_a_database_that_does_not_answer_is_an_error_of_ours_that_shows_no_hash(tmp_path: Path) -> None:
    engine, store = open_store(tmp_path / "no" / "such" / "folder.db")
    with pytest.raises(SessionStoreError) as caught:
        store.find("f" * 64)
    assert caught.value.__cause__ is not None
    assert "f" * 64 not in f"{caught.value} {caught.value.__cause__}"
    engine.dispose()
