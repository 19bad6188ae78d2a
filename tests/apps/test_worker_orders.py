"""What the signals of a worker do: stop, drain, pause."""

import signal
import threading
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
    orders = Orders(timedelta(0))
    signal.raise_signal(signal.SIGTERM)
    assert orders.leaving.is_set()
    assert orders.stop.is_set()


def test_a_job_may_go_on_for_the_grace_period_and_no_longer() -> None:
    orders = Orders(timedelta(milliseconds=200))
    signal.raise_signal(signal.SIGINT)
    assert orders.leaving.is_set()
    assert orders.stop.wait(20)


def test_a_second_signal_ends_the_grace_period() -> None:
    orders = Orders(timedelta(hours=1))
    signal.raise_signal(signal.SIGTERM)
    assert not orders.stop.is_set()
    signal.raise_signal(signal.SIGTERM)
    assert orders.stop.is_set()
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()


def test_a_drained_worker_takes_no_more_jobs_and_finishes_the_one_in_hand() -> None:
    orders = Orders(timedelta(0))
    signal.raise_signal(signal.SIGUSR1)
    assert orders.leaving.is_set()
    assert not orders.stop.is_set()


def test_a_worker_pauses_and_goes_on() -> None:
    orders = Orders(timedelta(0))
    signal.raise_signal(signal.SIGUSR2)
    assert orders.paused
    assert not orders.leaving.is_set()
    signal.raise_signal(signal.SIGUSR2)
    assert not orders.paused
