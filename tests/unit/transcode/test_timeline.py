"""Where decoded sound ends up on the sample grid."""

import itertools
from array import array
from collections.abc import Iterable
from fractions import Fraction

import av
import pytest

from mamkit.transcode.encoding._timeline import Timeline

RATE = 48_000


def frame(values: Iterable[float], *, rate: int = RATE, layout: str = "mono", form: str = "fltp") -> av.AudioFrame:
    """A frame that says the same in all channels."""
    samples = array("f", values)
    made = av.AudioFrame(form, layout, len(samples))
    for plane in made.planes:
        plane.update(samples.tobytes())
    made.sample_rate = rate
    return made


def lay(sounds: Iterable[tuple[Fraction | float, av.AudioFrame]], blocks: range) -> "array[float]":
    """The samples of all blocks, whose numbers are checked."""
    timeline = Timeline("mono", RATE, blocks)
    made = [block for time, sound in sounds for block in timeline.push(Fraction(time), sound)]
    made += timeline.finish()
    assert [number for number, _ in made] == list(blocks)
    assert timeline.complete
    samples = array("f")
    for _, block in made:
        assert (block.samples, block.sample_rate, block.format.name) == (1024, RATE, "fltp")
        samples.frombytes(bytes(block.planes[0]))
    return samples


def ramp(start: int, stop: int) -> list[float]:
    """Sound whose every sample says where it belongs."""
    return [n / 2**20 for n in range(start, stop)]


def ramp_frames(stop: int, *, size: int = 1024, start: int = 0) -> list[tuple[Fraction, av.AudioFrame]]:
    return [(Fraction(n, RATE), frame(ramp(n, min(n + size, stop)))) for n in range(start, stop, size)]


def where(samples: "array[float]") -> list[int]:
    return [round(value * 2**20) for value in samples]


def test_sound_without_gaps_stays_as_it_is() -> None:
    assert where(lay(ramp_frames(10 * 1024, size=777), range(10))) == list(range(10 * 1024))


def test_only_the_wanted_blocks_are_made_and_those_before_zero_too() -> None:
    assert where(lay(ramp_frames(9 * 1024), range(3, 5))) == list(range(3 * 1024, 5 * 1024))
    early = ramp_frames(2 * 1024, start=-2048)
    assert where(lay(early, range(-1, 1))) == list(range(-1024, 1024))


def test_no_sound_is_silence() -> None:
    assert set(lay([], range(-3, 4))) == {0.0}


def test_sound_that_begins_late_and_ends_early_has_silence_around_it() -> None:
    made = where(lay([(Fraction(3000, RATE), frame(ramp(3000, 4000)))], range(6)))
    assert made == [0] * 3000 + list(range(3000, 4000)) + [0] * (6 * 1024 - 4000)


def test_a_gap_becomes_silence_of_its_length() -> None:
    sounds = [*ramp_frames(48_000), *ramp_frames(144_000, start=96_000)]
    made = where(lay(sounds, range(140)))
    assert made[:48_000] == list(range(48_000))
    assert set(made[48_000:96_000]) == {0}
    assert made[96_000:] == list(range(96_000, 140 * 1024))


def test_of_an_overlap_what_came_first_is_kept() -> None:
    overlapping = [(Fraction(2 * n, RATE), frame([0.5] * 24_000)) for n in (0, 9000, 18_000)]
    made = lay(overlapping, range(60))
    assert set(made[:60_000]) == {0.5}
    assert set(made[60_000:]) == {0.0}


@pytest.mark.parametrize("unit", [1000, 90_000])
def test_times_that_are_rounded_or_jitter_move_nothing(unit: int) -> None:
    jitter = [Fraction(n * 7 % 5 - 2, 1000) for n in range(200)]
    sounds = [
        (Fraction(round((time + shake) * unit), unit), sound)
        for (time, sound), shake in zip(ramp_frames(100 * 1024), jitter, strict=False)
    ]
    made = where(lay(sounds, range(1, 99)))
    steps = {after - before for before, after in itertools.pairwise(made)}
    assert steps == {1}
    assert abs(made[0] - 1024) <= RATE // 1000


@pytest.mark.parametrize("begin", [0, 31, 64, 77])
def test_parts_find_the_same_place_to_two_samples_though_times_are_rounded_to_milliseconds(begin: int) -> None:
    sounds = [(Fraction(round(time * 1000), 1000), sound) for time, sound in ramp_frames(140 * 1024)]
    [first, *_] = where(lay(sounds[begin:], range(110, 112)))
    assert abs(first - 110 * 1024) <= 2


def test_a_clock_that_runs_fast_is_corrected_before_it_is_noticed() -> None:
    """All of 60 s comes within the tolerance of its time, though the recorder made 0.1 % too many samples."""
    sounds = [(Fraction(n * 1024, 48_048), frame([time := n * 1024 / 48_048] * 1024)) for n in range(2800)]
    made = lay(sounds, range(2700))
    for place in range(0, 2700 * 1024, 48_000):
        assert abs(made[place] - place / RATE) < 0.04 + 2 * 1024 / RATE, time


def test_other_rates_layouts_and_formats_are_converted_also_in_the_middle() -> None:
    stereo = frame([0.5] * 44_100, rate=44_100, layout="stereo")
    surround = frame([0.25] * 48_000, layout="5.1")
    made = lay([(0, stereo), (1, surround), (2, frame([0.75] * 24_000, rate=24_000))], range(140))
    assert made[10_000] == pytest.approx(0.5, abs=1e-3)
    assert made[70_000] == pytest.approx(0.25, abs=1e-3)
    assert made[120_000] == pytest.approx(0.75, abs=1e-3)


def test_what_is_mixed_down_is_turned_down_so_that_it_does_not_clip() -> None:
    assert max(lay([(0, frame([1.0] * 4800, layout="5.1"))], range(4))) <= 1.0


def test_an_hour_of_nothing_is_made_block_by_block() -> None:
    timeline = Timeline("stereo", RATE, range(3600 * RATE // 1024))
    blocks = timeline.finish()
    assert next(blocks)[0] == 0
    assert not timeline.complete
