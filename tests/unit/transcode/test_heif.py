"""Photographs of telephones: pictures side by side, turned by boxes."""

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import (
    MediaTooLargeError,
    MediaUnreadableError,
    MediaUnsupportedError,
    StillImageError,
    make_thumbnails,
    probe,
)
from mamkit.transcode.reading._heif import read_mosaic
from mamkit.transcode.reading._image import image_picture, shown_size
from mamkit.transcode.reading._orientation import Orientation
from tests.media_factory import CORNERS
from tests.unit.transcode.test_photo import shown
from tests.unit.transcode.tree import Tree, rgb

SIDE = 64
GRID, TILES = 1, (2, 3, 4, 5)


@pytest.fixture(scope="session")
def pictures() -> tuple[bytes, list[bytes]]:
    """The headers of HEVC, and four pictures of one colour each."""
    film = BytesIO()
    with av.open(film, "w", format="mp4") as muxer:
        stream = muxer.add_stream("libx265", rate=25, options={"x265-params": "keyint=1:info=0:log-level=none"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for n, colour in enumerate(CORNERS.values()):
            drawn = av.VideoFrame(SIDE, SIDE, "rgb24")
            drawn.planes[0].update(bytes(colour) * (drawn.planes[0].buffer_size // 3))
            picture = drawn.reformat(format="yuv420p", dst_colorspace="itu601", dst_color_range="MPEG")
            picture.pts, picture.time_base = n, Fraction(1, 25)
            muxer.mux(stream.encode(picture))
        muxer.mux(stream.encode(None))
    film.seek(0)
    with av.open(film, "r") as reader:
        headers = bytes(reader.streams.video[0].codec_context.extradata or b"")
        return headers, [bytes(packet) for packet in reader.demux(video=0) if packet.size]


def box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data


def photo(
    pictures: tuple[bytes, list[bytes]],
    *turns: bytes,
    size: tuple[int, int] = (100, 110),
    rows: int = 2,
    tiles: tuple[int, ...] = TILES,
    kind: bytes = b"grid",
) -> bytes:
    """A grid of two by two, of which less is shown, as ISO/IEC 23008-12 has it."""
    headers, samples = pictures
    items = [(GRID, kind), *((tile, b"hvc1") for tile in TILES)]
    infos = [box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", item, 0, name), b"\0") for item, name in items]
    properties = [
        box(b"hvcC", headers),
        box(b"ispe", bytes(4), struct.pack(">II", SIDE, SIDE)),
        box(b"ispe", bytes(4), struct.pack(">II", *size)),
        *turns,
    ]
    of_grid = bytes([3, *range(4, 4 + len(turns))])
    places = b"".join(struct.pack(">HB", tile, 2) + b"\1\2" for tile in TILES)
    grid = struct.pack(">4BHH", 0, 0, rows - 1, 1, *size)

    def meta(start: int) -> bytes:
        entries = struct.pack(">HHHHII", GRID, 1, 0, 1, 0, len(grid))
        for tile, sample in zip(TILES, samples, strict=True):
            entries += struct.pack(">HHHHII", tile, 0, 0, 1, start, len(sample))
            start += len(sample)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", GRID)),
            box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(items)), entries),
            box(b"iinf", bytes(4), struct.pack(">H", len(items)), *infos),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(f">HH{len(tiles)}H", GRID, len(tiles), *tiles))),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", bytes(4), struct.pack(">IHB", len(items), GRID, len(of_grid)), of_grid, places),
            ),
            box(b"idat", grid),
        )

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *samples)


def turn(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


def flip(axis: int) -> bytes:
    return box(b"imir", bytes([axis]))


def near(found: tuple[int, int, int], corner: str) -> bool:
    return max(abs(a - b) for a, b in zip(found, CORNERS[corner], strict=True)) < 40


def test_pictures_side_by_side_are_one(tmp_path: Path, pictures: tuple[bytes, list[bytes]]) -> None:
    path = tmp_path / "in.heic"
    path.write_bytes(photo(pictures))
    assert shown_size(path) == (100, 110)
    picture = image_picture(path)
    assert (picture.width, picture.height) == (100, 110)
    with pytest.raises(StillImageError) as caught:
        probe(path)
    assert (caught.value.format, caught.value.width, caught.value.height) == ("heic", 100, 110)


@pytest.mark.parametrize(
    ("turns", "top_left", "upright"),
    [
        ((), "top_left", True),
        ((turn(1),), "top_right", False),
        ((turn(2),), "bottom_right", True),
        ((turn(3),), "bottom_left", False),
        ((flip(0),), "top_right", True),
        ((flip(1),), "bottom_left", True),
        ((turn(1), flip(0)), "bottom_right", False),
        ((flip(0), turn(1)), "top_left", False),
        ((flip(0), flip(1)), "bottom_right", True),
    ],
)
def test_a_child_shows_it_upright(
    tmp_path: Path, pictures: tuple[bytes, list[bytes]], turns: tuple[bytes, ...], top_left: str, upright: bool
) -> None:
    """Each in its turn: quarters of a turn counterclockwise, and left to right (0) or top to bottom (1)."""
    path, tree = tmp_path / "in.heic", Tree()
    path.write_bytes(photo(pictures, *turns))
    make_thumbnails(path, tree)
    made = shown(tree.art_files["art/poster.jpg"], tmp_path)
    assert (made.width, made.height) == ((100, 110) if upright else (110, 100))
    assert near(rgb(made, 0.1, 0.1), top_left)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kind": b"iovl"}, MediaUnsupportedError),
        ({"rows": 3}, MediaUnsupportedError),
        ({"tiles": (2, 3, 4, 99)}, MediaUnsupportedError),
        ({"size": (200, 110)}, MediaUnreadableError),
        ({"size": (0, 110)}, MediaUnreadableError),
        ({"size": (60_000, 60_000)}, MediaTooLargeError),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, pictures: tuple[bytes, list[bytes]], changes: dict[str, object], error: type[Exception]
) -> None:
    path = tmp_path / "in.heic"
    path.write_bytes(photo(pictures, **changes))  # type: ignore[arg-type]
    with pytest.raises(error):
        image_picture(path)


def test_an_image_cut_short_is_unreadable(tmp_path: Path, pictures: tuple[bytes, list[bytes]]) -> None:
    path = tmp_path / "in.heic"
    path.write_bytes(photo(pictures)[:-50])
    with pytest.raises(MediaUnreadableError):
        image_picture(path)


@given(st.data())
def test_boxes_that_lie_do_no_harm(pictures: tuple[bytes, list[bytes]], data: st.DataObject) -> None:
    image = bytearray(photo(pictures, turn(1)))
    for place in data.draw(st.lists(st.integers(0, image.index(b"mdat") - 1), min_size=1, max_size=4)):
        image[place] = data.draw(st.integers(0, 255))
    found = read_mosaic(BytesIO(bytes(image)), len(image))
    assert found is None or (found.items and isinstance(found.turn, Orientation))
