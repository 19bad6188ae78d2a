"""Whatever happens to sessions, in whatever order, they behave as a model of a few lines says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from mamkit.auth import (
    MemorySessionStore,
    SessionExpiredError,
    SessionReusedError,
    SessionRevokedError,
    Sessions,
    TokenInvalidError,
)

GRACE = timedelta(seconds=15)
LIFETIME = timedelta(hours=1)
USERS = [UUID(int=1), UUID(int=2)]


@dataclass
class Family:
    """A login as a list: its tokens in order, and when each was replaced."""

    name: UUID
    user_id: UUID
    ends_at: datetime
    tokens: list[str]
    replaced_at: list[datetime]
    revoked: bool = False
    forgotten: bool = False


class SessionMachine(RuleBasedStateMachine):
    tokens: Bundle[tuple[int, str]] = Bundle("tokens")

    @initialize()
    def open(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.sessions = Sessions(
            MemorySessionStore(), secret=b"s" * 32, lifetime=LIFETIME, grace=GRACE, clock=lambda: self.now
        )
        self.families: list[Family] = []

    @rule(target=tokens, user_id=st.sampled_from(USERS))
    def log_in(self, user_id: UUID) -> tuple[int, str]:
        grant = self.sessions.start(user_id)
        self.families.append(Family(grant.family, user_id, self.now + LIFETIME, [grant.refresh_token], []))
        return len(self.families) - 1, grant.refresh_token

    @rule(target=tokens, which=tokens)
    def refresh(self, which: tuple[int, str]) -> tuple[int, str]:
        """Any token that was ever given out, the live one of its family or not."""
        number, token = which
        family = self.families[number]
        position = family.tokens.index(token)
        replaced = position < len(family.replaced_at)
        if family.forgotten:
            with pytest.raises(TokenInvalidError):
                self.sessions.refresh(token)
        elif family.revoked:
            with pytest.raises(SessionRevokedError):
                self.sessions.refresh(token)
        elif self.now >= family.ends_at:
            with pytest.raises(SessionExpiredError):
                self.sessions.refresh(token)
        elif any(self.now - moment > GRACE for moment in family.replaced_at[position:]):
            with pytest.raises(SessionReusedError):
                self.sessions.refresh(token)
            family.revoked = True
        else:
            answer = self.sessions.refresh(token).refresh_token
            if replaced:
                assert answer == family.tokens[-1]
            else:
                assert answer not in family.tokens
                family.tokens.append(answer)
                family.replaced_at.append(self.now)
            return number, answer
        return which

    @rule(which=tokens)
    def log_out(self, which: tuple[int, str]) -> None:
        number, token = which
        self.sessions.revoke(token)
        self.families[number].revoked = True

    @rule(which=tokens, user_id=st.sampled_from(USERS))
    def end_one_of_a_list(self, which: tuple[int, str], user_id: UUID) -> None:
        """Anybody may ask; only the owner's word counts, and only while the session lives."""
        family = self.families[which[0]]
        lives = not (family.revoked or family.forgotten) and family.ends_at > self.now
        ended = self.sessions.end(user_id, family.name)
        assert ended is (lives and family.user_id == user_id)
        family.revoked = family.revoked or ended

    @rule()
    def forget_what_is_over(self) -> None:
        self.sessions.purge()
        for family in self.families:
            family.forgotten = family.forgotten or family.ends_at < self.now

    @rule(user_id=st.sampled_from(USERS))
    def log_out_everywhere(self, user_id: UUID) -> None:
        self.sessions.revoke_all(user_id)
        for family in self.families:
            family.revoked = family.revoked or family.user_id == user_id

    @rule(seconds=st.sampled_from([0.5, 5, 14.5, 15, 16, 600, 3600, -1, -20]))
    def move_the_clock(self, seconds: float) -> None:
        """Forwards as time goes, or backwards as a clock is set right."""
        self.now += timedelta(seconds=seconds)

    @invariant()
    def one_link_lives_in_each_family_that_does(self) -> None:
        for user_id in USERS:
            alive = [
                family
                for family in self.families
                if family.user_id == user_id and not (family.revoked or family.forgotten) and family.ends_at > self.now
            ]
            assert len(self.sessions.list(user_id)) == len(alive)


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSessions = SessionMachine.TestCase
