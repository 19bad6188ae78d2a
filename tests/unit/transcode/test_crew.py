"""Threads that hand things on, and what becomes of them when one fails."""

import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mamkit.transcode.encoding._crew import Channel, Crew


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def count_into(channel: Channel[int], stop: int) -> None:
    for number in range(stop):
        channel.put(number)
    channel.close()


def test_a_channel_hands_on_everything_in_order() -> None:
    with Crew() as crew:
        channel: Channel[int] = crew.channel(2)
        crew.start(partial(count_into, channel, 500))
        assert list(channel) == list(range(500))


def test_a_channel_ends_when_all_writers_have_closed_it() -> None:
    with Crew() as crew:
        channel: Channel[int] = crew.channel(2, writers=3)
        for _ in range(3):
            crew.start(partial(count_into, channel, 100))
        assert sorted(channel) == sorted(3 * list(range(100)))


def test_a_writer_waits_until_there_is_room() -> None:
    put = []

    def write(channel: Channel[int]) -> None:
        for number in range(10):
            channel.put(number)
            put.append(number)
        channel.close()

    with Crew() as crew:
        channel: Channel[int] = crew.channel(3)
        crew.start(partial(write, channel))
        for number in channel:
            assert len(put) <= number + 1 + 3 + 1  # what was taken, what waits, and what is just being counted


def write_for_ever(channel: Channel[int]) -> None:
    for number in itertools.count():
        channel.put(number)


def fail(_: Channel[int]) -> None:
    raise ValueError("a thread") from OSError("the disk")


def interrupt(_: Channel[int]) -> None:
    raise KeyboardInterrupt


def with_crew(*work: Callable[[Channel[int]], object], then: Callable[[Channel[int]], object]) -> None:
    """Run functions in threads, and one in the block, all on one channel."""
    with Crew() as crew:
        channel: Channel[int] = crew.channel(1)
        for each in work:
            crew.start(partial(each, channel))
        then(channel)


def test_the_exception_of_a_thread_is_raised_with_its_cause_and_ends_the_others() -> None:
    with pytest.raises(ValueError, match="a thread") as caught:
        with_crew(write_for_ever, fail, then=list)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_thread_that_fails_while_nobody_listens_is_heard_of_at_the_end() -> None:
    with pytest.raises(ValueError, match="a thread"):
        with_crew(write_for_ever, fail, then=lambda _: None)


@pytest.mark.parametrize("work", [write_for_ever, list], ids=["writing", "reading"])
def test_an_exception_in_the_block_ends_a_thread_that_waits(work: Callable[[Channel[int]], object]) -> None:
    with pytest.raises(KeyboardInterrupt):
        with_crew(work, then=interrupt)
