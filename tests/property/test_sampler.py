"""Parts of a film show what the whole shows, wherever their decoding began."""

import itertools
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode.picture._sampler import EARLY, sample

rates = st.sampled_from([Fraction(24_000, 1001), Fraction(25), Fraction(30), Fraction(60_000, 1001)])
times = st.lists(st.integers(0, 4000), min_size=1, max_size=120, unique=True).map(
    lambda values: [Fraction(value, 1000) for value in sorted(values)]
)


@given(times=times, rate=rates, cuts=st.lists(st.integers(1, 99), max_size=5), back=st.integers(0, 10))
def test_parts_put_together_are_the_whole(times: list[Fraction], rate: Fraction, cuts: list[int], back: int) -> None:
    pictures = [(time, index) for index, time in enumerate(times)]
    whole = list(sample(pictures, range(100), rate))
    bounds = [0, *sorted(set(cuts)), 100]
    parts: list[tuple[int, int]] = []
    for start, stop in itertools.pairwise(bounds):
        needed = [index for index, time in enumerate(times) if time < (start + EARLY) / rate]
        first = max(0, needed[-1] - back) if needed else 0
        parts += sample(pictures[first:], range(start, stop), rate)
    assert parts == whole


@given(times=times, rate=rates)
def test_every_frame_shows_one_picture_and_none_from_its_future(times: list[Fraction], rate: Fraction) -> None:
    made = list(sample([(time, time) for time in times], range(100), rate))
    assert [number for number, _ in made] == list(range(100))
    shown = [time for _, time in made]
    assert shown == sorted(shown)
    assert all(time <= (number + EARLY) / rate or time == times[0] for number, time in made)
