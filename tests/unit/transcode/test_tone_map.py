"""The colours that high dynamic range and wide gamuts become."""

from array import array
from functools import cache

import av
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from mamkit.transcode.picture._filters import PictureFilter
from mamkit.transcode.picture._tone_map import needs_tone_mapping, tone_mapping
from tests.unit.transcode.tree import rgb

PQ, HLG, SDR = ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67, ColorTrc.BT709
BT2020, P3, BT709 = ColorPrimaries.BT2020, ColorPrimaries.SMPTE432, ColorPrimaries.BT709

# ITU-R BT.2408 table 1: a white page at 203 cd/m², as PQ and as HLG code it.
WHITE_PAGE: dict[int, float] = {PQ: 0.58, HLG: 0.75}


def solid(red: float, green: float, blue: float) -> av.VideoFrame:
    """A picture of one colour, each channel from 0 to 1 as it is coded, with 16 bits."""
    picture = av.VideoFrame(32, 32, "gbrp16le")
    for plane, value in zip(picture.planes, (green, blue, red), strict=True):
        plane.update(array("H", [round(value * 65_535)] * (plane.buffer_size // 2)).tobytes())
    picture.colorspace, picture.color_range = 0, ColorRange.JPEG
    picture.pts = 0
    return picture


@cache
def convert(transfer: int, primaries: int) -> PictureFilter:
    return PictureFilter(tone_mapping(transfer, primaries))


def seen(picture: av.VideoFrame, transfer: int, primaries: int) -> tuple[int, int, int]:
    return rgb(convert(transfer, primaries)(picture), 0.5, 0.5)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("level", [0.0, 0.1, 0.25, 0.5, 0.58, 0.75, 0.9, 1.0])
def test_grey_stays_grey(transfer: int, level: float) -> None:
    red, green, blue = seen(solid(level, level, level), transfer, BT2020)
    assert max(red, green, blue) - min(red, green, blue) <= 3


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_is_never_darker_and_the_ends_are_black_and_white(transfer: int) -> None:
    levels = [seen(solid(n / 20, n / 20, n / 20), transfer, BT2020)[1] for n in range(21)]
    assert levels == sorted(levels)
    assert levels[0] <= 1
    assert levels[-1] >= 253


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_white_page_is_bright_and_leaves_room_for_what_is_brighter(transfer: int) -> None:
    level = WHITE_PAGE[transfer]
    assert 180 <= seen(solid(level, level, level), transfer, BT2020)[1] <= 215


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize(
    ("colour", "strongest", "weakest"),
    [
        ((0.6, 0.3, 0.2), 0, 2),  # a red
        ((0.3, 0.6, 0.3), 1, 0),  # a green
        ((0.35, 0.45, 0.6), 2, 0),  # a sky
        ((0.6, 0.5, 0.3), 0, 2),  # an orange
    ],
)
def test_colours_keep_their_hue(
    transfer: int, colour: tuple[float, float, float], strongest: int, weakest: int
) -> None:
    made = seen(solid(*colour), transfer, BT2020)
    assert made[strongest] == max(made)
    assert made[weakest] == min(made)
    assert max(made) - min(made) >= 40


def test_wide_colours_of_normal_brightness_are_only_fitted_into_the_smaller_space() -> None:
    assert seen(solid(1, 1, 1), SDR, BT2020) == pytest.approx((255, 255, 255), abs=2)
    assert seen(solid(0.5, 0.5, 0.5), SDR, P3) == pytest.approx((128, 128, 128), abs=2)
    red, green, blue = seen(solid(0.7, 0.4, 0.4), SDR, BT2020)
    assert red > 0.7 * 255
    assert green < 0.4 * 255
    assert blue <= 0.4 * 255 + 2


@pytest.mark.parametrize(
    ("transfer", "primaries", "needed"),
    [(PQ, BT2020, True), (HLG, 2, True), (SDR, BT2020, True), (SDR, P3, True), (SDR, BT709, False), (2, 2, False)],
)
def test_what_bt709_can_show_is_left_alone(transfer: int, primaries: int, needed: bool) -> None:
    picture = av.VideoFrame(16, 16, "yuv420p")
    picture.color_trc, picture.color_primaries = transfer, primaries
    assert needs_tone_mapping(picture) is needed
