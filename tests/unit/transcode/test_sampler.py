"""Which picture each output frame shows."""

from collections.abc import Iterable
from fractions import Fraction

import pytest

from mamkit.transcode.picture._sampler import sample


def shown(times: Iterable[Fraction | float], frames: range, rate: Fraction | int) -> list[int]:
    """The indices of the pictures that the frames show."""
    pictures = ((Fraction(time), index) for index, time in enumerate(times))
    numbers, indices = zip(*sample(pictures, frames, Fraction(rate)), strict=True)
    assert list(numbers) == list(frames)
    return list(indices)


@pytest.mark.parametrize("rate", [Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001), Fraction(60)])
@pytest.mark.parametrize("unit", [None, 1000, 90_000])
def test_a_source_of_the_same_rate_is_shown_picture_by_picture_however_its_times_are_rounded(
    rate: Fraction, unit: int | None
) -> None:
    exact = [n / rate for n in range(500)]
    times = exact if unit is None else [Fraction(round(time * unit), unit) for time in exact]
    assert shown(times, range(500), rate) == list(range(500))


@pytest.mark.parametrize("faster", [2, 3, 4, 5])
def test_of_a_source_that_is_n_times_as_fast_every_nth_picture_is_shown(faster: int) -> None:
    times = [Fraction(round(1000 * n / (24 * faster)), 1000) for n in range(100 * faster)]
    made = shown(times, range(99), 24)
    assert made[0] <= 1  # a picture that is up to 3/8 of a frame early may stand for the first
    assert made == list(range(made[0], 99 * faster, faster))


def test_a_slower_source_is_shown_in_repetition() -> None:
    assert shown([n / Fraction(10) for n in range(4)], range(12), 30) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_film_at_24_becomes_25_with_one_repetition_a_second() -> None:
    made = shown([n / Fraction(24) for n in range(48)], range(50), 25)
    assert sorted(set(made)) == list(range(48))
    assert len(made) == 50


def test_the_first_picture_stands_before_its_time_and_the_last_after_it() -> None:
    assert shown([1, 2], range(5), 2) == [0, 0, 0, 0, 1]
    assert shown([0, 1], range(6), 2) == [0, 0, 1, 1, 1, 1]


def test_a_gap_is_filled_with_the_picture_before_it() -> None:
    assert shown([0, Fraction(1, 25), 1], range(27), 25) == [0, *[1] * 24, 2, 2]


def test_pictures_that_go_back_in_time_are_passed_over() -> None:
    assert shown([0, 2, 1, 2, 3], range(4), 1) == [0, 0, 1, 4]


def test_no_pictures_make_no_frames() -> None:
    assert list(sample(iter(()), range(5), Fraction(25))) == []


def test_no_more_pictures_are_taken_than_are_needed() -> None:
    taken = []

    def pictures() -> Iterable[tuple[Fraction, int]]:
        for n in range(1000):
            taken.append(n)
            yield Fraction(n, 25), n

    assert len(list(sample(pictures(), range(10), Fraction(25)))) == 10
    assert len(taken) == 11
