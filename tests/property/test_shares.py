"""Shares of one thing are counted right in every order of calls, and whoever waits is woken just when it is time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mamkit.previews import _shares
from mamkit.previews._shares import Shares

TOTAL = 10
needs = st.integers(1, TOTAL + 3)  # also more than there is


@pytest.fixture(autouse=True)
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks from time to time, which would hide that nobody was told."""
    monkeypatch.setattr(_shares, "_TICK", 600.0)


class Stop:
    """Tells that it was looked at: whoever does so found no share, and is about to wait."""

    def __init__(self) -> None:
        self.looked = threading.Event()
        self.over = False

    def is_set(self) -> bool:
        self.looked.set()
        return self.over


@dataclass
class Waiter:
    """A thread that waits for a share, or until nobody does."""

    need: int | None
    act: Callable[[Stop], None]
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.act, args=(self.stop,), daemon=True)
        self.thread.start()

    def has_ended(self) -> bool:
        self.thread.join(20)
        return not self.thread.is_alive()

    def still_waits(self) -> bool:
        return self.stop.looked.wait(20) and self.thread.is_alive()


class History(RuleBasedStateMachine):
    """One thread takes and gives back; threads of their own wait."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares(TOTAL)
        self.held: list[tuple[int, AbstractContextManager[bool]]] = []
        self.waiters: list[Waiter] = []
        self.passing: list[Waiter] = []

    def fits(self, need: int) -> bool:
        return not self.held or self.sum() + need <= TOTAL

    def sum(self) -> int:
        return sum(need for need, _ in self.held)

    @rule(need=needs, modestly=st.booleans())
    def take(self, need: int, modestly: bool) -> None:
        block = self.shares.take(need, modestly=modestly)
        given = block.__enter__()
        assert given == (self.fits(need) and not (modestly and self.waiters))
        if given:
            self.held.append((need, block))
        else:
            block.__exit__(None, None, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), fails=st.booleans())
    def give_back(self, data: st.DataObject, fails: bool) -> None:
        _, block = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        error = ZeroDivisionError() if fails else None
        assert not block.__exit__(type(error) if error else None, error, None)

    @precondition(lambda self: len(self.waiters) < 4)
    @rule(need=needs)
    def wait(self, need: int) -> None:
        self.waiters.append(Waiter(need, lambda stop: self.shares.wait(need, stop)))

    @precondition(lambda self: len(self.passing) < 4)
    @rule()
    def pass_by(self) -> None:
        self.passing.append(Waiter(None, self.shares.pass_by))

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        gone = self.waiters.pop(data.draw(st.integers(0, len(self.waiters) - 1)))
        gone.stop.over = True
        self.tick()
        assert gone.has_ended()

    @invariant()
    def counts(self) -> None:
        assert self.shares.taken == self.sum()
        assert self.shares.free == max(0, TOTAL - self.sum())
        assert self.sum() <= TOTAL or len(self.held) == 1

    @invariant()
    def wakes_who_has_waited_long_enough_and_nobody_else(self) -> None:
        ended = [waiter for waiter in self.waiters if waiter.need is not None and self.fits(waiter.need)]
        self.waiters = [waiter for waiter in self.waiters if waiter not in ended]
        assert all(waiter.has_ended() for waiter in ended)
        assert all(waiter.still_waits() for waiter in self.waiters)
        assert self.shares.awaited == bool(self.waiters)
        if self.waiters:
            assert all(waiter.still_waits() for waiter in self.passing)
        else:
            assert all(waiter.has_ended() for waiter in self.passing)
            self.passing.clear()

    def tick(self) -> None:
        """Let everybody look once, as they do from time to time."""
        with self.shares._change:
            self.shares._change.notify_all()

    def teardown(self) -> None:
        for waiter in (*self.waiters, *self.passing):
            waiter.stop.over = True
        self.tick()
        assert all(waiter.has_ended() for waiter in (*self.waiters, *self.passing))


def test_every_history_is_counted_right_and_wakes_whom_it_should() -> None:
    run_state_machine_as_test(History, settings=settings(max_examples=60, stateful_step_count=30))


def test_threads_that_take_and_wait_at_once_never_have_more_than_there_is_and_all_come_to_an_end() -> None:
    """As workers do: take, or wait and ask again; before each, nobody passes by who waits."""
    shares, never = Shares(TOTAL), threading.Event()
    lock, together, most, alone = threading.Lock(), 0, 0, list[int]()

    @contextmanager
    def noted(need: int) -> Iterator[None]:
        nonlocal together, most
        with lock:
            together += need
            if need > TOTAL:
                alone.append(together)
            else:
                most = max(most, together)
        try:
            yield
        finally:
            with lock:
                together -= need

    def work(need: int) -> None:
        for _ in range(20):
            while True:
                shares.pass_by(never)
                with shares.take(need) as given:
                    if given:
                        with noted(need):
                            threading.Event().wait(0)  # lets others go on
                        break
                shares.wait(need, never)

    threads = [threading.Thread(target=work, args=(need,), daemon=True) for need in (1, 2, 3, 5, 9, 10, 12, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert most <= TOTAL
    assert sorted(alone) == [12] * 20 + [40] * 20
    assert (shares.taken, shares.awaited) == (0, False)


def test_without_a_bound_there_is_always_a_share() -> None:
    shares = Shares(None)
    with shares.take(1 << 60) as first, shares.take(1 << 60, modestly=True) as second:
        assert (first, second, shares.free) == (True, True, None)
        shares.wait(1 << 60, threading.Event())
