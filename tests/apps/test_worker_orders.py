"""What the signals of a worker do: stop, drain, pause."""

import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from mamkit_apps.worker.orders import Orders

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put back what the tests' own process does on a signal."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_grace_a_job_is_handed_back_at_once() -> None:
    with Orders(timedelta(0)) as orders:
        signal.raise_signal(signal.SIGTERM)
        assert orders.leaving.is_set()
        assert orders.stop.is_set()


def test_a_job_may_go_on_for_the_grace_period_and_no_longer() -> None:
    with Orders(timedelta(milliseconds=200)) as orders:
        signal.raise_signal(signal.SIGINT)
        assert orders.leaving.is_set()
        assert orders.stop.wait(20)


def test_a_second_signal_ends_the_grace_period() -> None:
    with Orders(timedelta(hours=1)) as orders:
        signal.raise_signal(signal.SIGTERM)
        assert not orders.stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert orders.stop.is_set()
        for timer in threading.enumerate():
            if isinstance(timer, threading.Timer):
                timer.cancel()


def test_a_drained_worker_takes_no_more_jobs_and_finishes_the_one_in_hand() -> None:
    with Orders(timedelta(0)) as orders:
        signal.raise_signal(signal.SIGUSR1)
        assert orders.leaving.is_set()
        assert not orders.stop.is_set()


def test_a_worker_pauses_and_goes_on() -> None:
    with Orders(timedelta(0)) as orders:
        signal.raise_signal(signal.SIGUSR2)
        assert orders.paused
        assert not orders.leaving.is_set()
        signal.raise_signal(signal.SIGUSR2)
        assert not orders.paused


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_comes_to_another_thread_wakes_the_main_one(number: signal.Signals) -> None:
    """The system chooses the thread: mostly, but not always, the main one."""
    released = threading.Event()
    with Orders(timedelta(0)) as orders:
        other = threading.Thread(target=released.wait)
        other.start()
        try:
            for _ in range(20):
                orders.leaving.clear()
                sender = threading.Thread(target=send, args=(other, number))
                sender.start()
                orders.wait()
                assert orders.leaving.is_set()
                sender.join()
        finally:
            released.set()
            other.join()


def send(thread: threading.Thread, number: signal.Signals) -> None:
    """Interrupt one thread, once the main one surely sleeps."""
    time.sleep(0.02)
    assert thread.ident is not None
    signal.pthread_kill(thread.ident, number)


def test_whoever_is_done_wakes_the_main_thread_even_before_it_sleeps() -> None:
    with Orders(timedelta(0)) as orders:
        for _ in range(100_000):  # more than a socket holds
            orders.rouse()
        orders.wait()
        threading.Timer(0.02, orders.rouse).start()
        orders.wait()
        assert not orders.leaving.is_set()
