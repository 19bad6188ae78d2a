"""Which sizes and bit rates a picture is offered in."""

from fractions import Fraction

import pytest

from mamkit.transcode import DEFAULT_LADDER, UHD_LADDER, Ladder, MediaUnsupportedError, Rung

FILM = Fraction(25)


def sizes(width: int, height: int, ladder: Ladder = DEFAULT_LADDER) -> dict[str, tuple[int, int]]:
    return {r.name: (r.width, r.height) for r in ladder.renditions(width, height, FILM)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((1920, 1080), {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480), "360p": (640, 360)}),
        ((1080, 1920), {"1080p": (1080, 1920), "720p": (720, 1280), "480p": (480, 854), "360p": (360, 640)}),
        ((3840, 2160), {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480), "360p": (640, 360)}),
        ((1280, 544), {"720p": (1280, 544), "480p": (854, 362), "360p": (640, 272)}),
        ((1920, 800), {"1080p": (1920, 800), "720p": (1280, 534), "480p": (854, 356), "360p": (640, 266)}),
        ((1440, 1080), {"1080p": (1440, 1080), "720p": (960, 720), "480p": (640, 480), "360p": (480, 360)}),
        ((642, 642), {"720p": (642, 642), "480p": (480, 480), "360p": (360, 360)}),
        ((1260, 788), {"720p": (1152, 720), "480p": (768, 480), "360p": (576, 360)}),
        ((960, 540), {"720p": (960, 540), "480p": (854, 480), "360p": (640, 360)}),
        ((1024, 576), {"720p": (1024, 576), "480p": (854, 480), "360p": (640, 360)}),
        ((640, 360), {"360p": (640, 360)}),
        ((161, 121), {"360p": (160, 120)}),
        ((46, 48), {"360p": (46, 48)}),
        ((16, 16), {"360p": (16, 16)}),
    ],
)
def test_pictures_fit_their_rungs_and_are_never_enlarged(
    source: tuple[int, int], expected: dict[str, tuple[int, int]]
) -> None:
    assert sizes(*source) == expected
    assert list(sizes(*source)) == list(expected)  # largest first


def test_larger_rungs_are_there_for_who_asks() -> None:
    assert list(sizes(3840, 2160, UHD_LADDER)) == ["2160p", "1440p", "1080p", "720p", "480p", "360p"]
    assert sizes(3840, 2160, UHD_LADDER)["2160p"] == (3840, 2160)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (14, 1000), (8192, 15), (8192, 2)])
def test_pictures_that_no_rung_can_show_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(MediaUnsupportedError, match=f"{size[0]}x{size[1]}"):
        sizes(*size)


def test_bit_rates_follow_the_picture() -> None:
    """A full box at up to 30 frames per second has the rung's rate; less picture has less, faster ones have more."""
    full, *_ = DEFAULT_LADDER.renditions(1280, 720, Fraction(30))
    wide, *_ = DEFAULT_LADDER.renditions(1280, 360, Fraction(30))
    fast, *_ = DEFAULT_LADDER.renditions(1280, 720, Fraction(60))
    tiny, *_ = DEFAULT_LADDER.renditions(46, 48, Fraction(30))
    assert (full.bit_rate, full.max_bit_rate) == (3_000_000, 4_500_000)
    assert wide.bit_rate == 1_500_000
    assert fast.bit_rate == 4_500_000
    assert tiny.bit_rate == 64_000


def test_the_peak_is_at_most_twice_the_average() -> None:
    for rendition in UHD_LADDER.renditions(3840, 2160, Fraction(60)):
        assert rendition.bit_rate < rendition.max_bit_rate <= 2 * rendition.bit_rate


def rung(name: str, side: int) -> Rung:
    return Rung(name=name, short_side=side, bit_rate=1_000_000, max_bit_rate=1_500_000)


@pytest.mark.parametrize(
    "rungs", [(), (rung("a", 720), rung("b", 360)), (rung("a", 360), rung("b", 360)), (rung("a", 360), rung("a", 720))]
)
def test_a_ladder_that_is_none_is_refused(rungs: tuple[Rung, ...]) -> None:
    with pytest.raises(ValueError, match="ladder"):
        Ladder(rungs=rungs)
