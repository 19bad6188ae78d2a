"""Pictures of all kinds become upright ones of one kind."""

from fractions import Fraction

import av
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from mamkit.transcode.errors import EncodeError
from mamkit.transcode.picture._filters import Filter, PictureFilter
from mamkit.transcode.picture._picture import Standardiser, deinterlaced, scaler
from mamkit.transcode.reading._orientation import Orientation
from tests.media_factory import CORNERS, corners
from tests.unit.transcode.tree import rgb

UPRIGHT = Orientation(0, mirrored=False)
PLACES = {"top_left": (0.2, 0.2), "top_right": (0.8, 0.2), "bottom_left": (0.2, 0.8), "bottom_right": (0.8, 0.8)}


def quarters(width: int, height: int, pixel_format: str = "rgb24") -> av.VideoFrame:
    """A picture with a colour in each quarter."""
    picture = av.VideoFrame(width, height, "rgb24")
    plane, row, pixels = picture.planes[0], 3 * width, corners(0, width, height)
    padding = bytes(plane.line_size - row)
    plane.update(b"".join(pixels[y * row : (y + 1) * row] + padding for y in range(height)))
    made = picture if pixel_format == "rgb24" else picture.reformat(format=pixel_format)
    made.pts = 0
    return made


def layout(picture: av.VideoFrame) -> list[str]:
    """The names of the colours top left, top right, bottom left and bottom right."""

    def name(colour: tuple[int, int, int]) -> str:
        return min(CORNERS, key=lambda corner: sum(abs(a - b) for a, b in zip(colour, CORNERS[corner], strict=True)))

    return [name(rgb(picture, *place)) for place in PLACES.values()]


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, ["top_left", "top_right", "bottom_left", "bottom_right"]),
        (90, False, ["bottom_left", "top_left", "bottom_right", "top_right"]),
        (180, False, ["bottom_right", "bottom_left", "top_right", "top_left"]),
        (270, False, ["top_right", "bottom_right", "top_left", "bottom_left"]),
        (0, True, ["top_right", "top_left", "bottom_right", "bottom_left"]),
        (90, True, ["top_left", "bottom_left", "top_right", "bottom_right"]),
        (180, True, ["bottom_left", "bottom_right", "top_left", "top_right"]),
        (270, True, ["bottom_right", "top_right", "bottom_left", "top_left"]),
    ],
)
def test_pictures_are_turned_clockwise_and_then_mirrored(rotation: int, mirrored: bool, expected: list[str]) -> None:
    width, height = (64, 96) if rotation in (90, 270) else (96, 64)
    turn = Orientation(rotation, mirrored)  # type: ignore[arg-type]  # a parameter is an int
    made = scaler(width, height, turn)(quarters(192, 128))
    assert (made.width, made.height, made.format.name) == (width, height, "yuv420p")
    assert layout(made) == expected


@pytest.mark.parametrize(
    "pixel_format",
    [
        "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv410p", "nv12", "yuyv422", "yuva420p", "gray", "gray16le",
        "yuv420p10le", "yuv422p10le", "yuv444p12le", "p010le", "gbrp", "gbrp10le", "rgb24", "bgra", "rgb565le",
        "rgb48le", "monow", "yuva444p16le",
    ],
)  # fmt: skip
def test_every_pixel_format_is_taken(pixel_format: str) -> None:
    made = scaler(64, 48, UPRIGHT)(Standardiser((64, 48))(quarters(160, 120, pixel_format)))
    assert (made.width, made.height, made.format.name) == (64, 48, "yuv420p")
    assert made.color_range == ColorRange.MPEG
    if pixel_format not in ("gray", "gray16le", "monow"):
        assert layout(made) == list(PLACES)


@pytest.mark.parametrize(
    "tags", [(0, 0, 0, 0), (2, 2, 2, 0), (3, 3, 3, 3), (14, 10, 17, 2), (8, 12, 255, 1), (10, 9, 14, 2)]
)
def test_tags_that_make_no_sense_are_no_reason_to_fail(tags: tuple[int, int, int, int]) -> None:
    picture = quarters(64, 48, "yuv420p")
    picture.colorspace, picture.color_primaries, picture.color_trc, picture.color_range = tags
    made = scaler(32, 24, UPRIGHT)(Standardiser((32, 24))(picture))
    assert (made.width, made.height) == (32, 24)


def flat(luma: int, *, height: int, full_range: bool = False, matrix: int = 2) -> av.VideoFrame:
    picture = av.VideoFrame(32, height, "yuv420p")
    for plane, value in zip(picture.planes, (luma, 90, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    picture.colorspace = matrix
    picture.pts = 0
    return picture


def bt709(picture: av.VideoFrame) -> tuple[int, int, int]:
    made = scaler(32, 32, UPRIGHT)(Standardiser((32, 32))(picture))
    assert (made.colorspace, made.color_range) == (1, ColorRange.MPEG)
    return tuple(bytes(plane)[0] for plane in made.planes)  # type: ignore[return-value]  # three of them


def test_a_picture_that_names_no_matrix_is_bt601_when_small_and_bt709_when_large() -> None:
    assert bt709(flat(100, height=720)) == (100, 90, 200)
    assert bt709(flat(100, height=480)) == bt709(flat(100, height=480, matrix=6)) != (100, 90, 200)


@pytest.mark.parametrize("size", [(640, 360), (426, 240), (128, 72), (1280, 720)])
def test_flat_areas_stay_as_they_are_at_every_size(size: tuple[int, int]) -> None:
    for value in range(16, 236, 20):
        picture = av.VideoFrame(1280, 720, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes([value]) * plane.buffer_size)
        picture.colorspace, picture.color_range = 1, ColorRange.MPEG
        made = scaler(*size, UPRIGHT)(picture)
        assert {byte for plane in made.planes for byte in bytes(plane)[: plane.width]} == {value}


def test_what_is_as_wanted_already_is_passed_on_and_not_copied() -> None:
    picture = quarters(64, 48, "yuv420p")
    picture.colorspace, picture.color_range = 1, ColorRange.MPEG
    made = scaler(64, 48, UPRIGHT)(picture)
    assert made is not picture  # it is numbered anew, while others still look at the first one
    assert [plane.buffer_ptr for plane in made.planes] == [plane.buffer_ptr for plane in picture.planes]
    picture.color_range = ColorRange.JPEG
    assert scaler(64, 48, UPRIGHT)(picture).planes[0].buffer_ptr != picture.planes[0].buffer_ptr


def test_full_range_becomes_video_range() -> None:
    assert bt709(flat(255, height=720, full_range=True))[0] == 235
    assert bt709(flat(0, height=720, full_range=True))[0] == 16


def test_hdr_is_converted_at_the_size_of_the_largest_rendition() -> None:
    picture = quarters(320, 240, "yuv420p10le")
    picture.color_trc, picture.color_primaries, picture.colorspace = ColorTrc.SMPTE2084, ColorPrimaries.BT2020, 9
    standardise = Standardiser((64, 48))
    made = standardise(picture)
    assert (made.width, made.height, made.format.name) == (64, 48, "yuv420p")
    assert layout(made) == list(PLACES)
    assert standardise(picture) is made  # a picture that is held is converted once, though its tags have gone


def test_pictures_may_change_their_kind_in_the_middle() -> None:
    scale = scaler(32, 24, UPRIGHT)
    standardise = Standardiser((32, 24))
    for width, pixel_format in ((64, "yuv420p"), (128, "yuv420p"), (64, "yuv444p10le"), (64, "yuv420p")):
        assert layout(scale(standardise(quarters(width, 48, pixel_format)))) == list(PLACES)


def test_the_same_picture_again_is_not_made_again() -> None:
    scale = scaler(32, 24, UPRIGHT)
    picture = quarters(64, 48, "yuv420p")
    assert scale(picture) is scale(picture)
    assert scale(quarters(64, 48, "yuv420p")) is not scale(picture)


def test_a_filter_that_refuses_says_which_and_what() -> None:
    with pytest.raises(EncodeError, match=r"scale > format.*64x48 yuv420p") as caught:
        PictureFilter([Filter("scale", {"w": "-7"}), Filter("format", {"pix_fmts": "rgb24"})])(
            quarters(64, 48, "yuv420p")
        )
    assert caught.value.__cause__ is not None


def test_progressive_pictures_are_not_touched() -> None:
    pictures = [(Fraction(n), quarters(64, 48, "yuv420p")) for n in range(5)]
    assert list(deinterlaced(pictures)) == pictures
