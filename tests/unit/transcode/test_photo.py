"""Still images: upright, small, and without what stood beside them."""

from pathlib import Path
from typing import Literal

import av
import pytest

from mamkit.transcode import (
    ArtFile,
    ChildProtocolError,
    EmptyFileError,
    MediaTooLargeError,
    MediaUnreadableError,
    MediaUnsupportedError,
    make_thumbnails,
    thumbnails,
)
from mamkit.transcode.artwork._photo import encode_thumbnails
from mamkit.transcode.artwork._still import jpeg, png
from mamkit.transcode.containment import _conversation
from mamkit.transcode.containment._wire import Message
from mamkit.transcode.reading._orientation import exif_orientation
from tests.media_factory import CORNERS, corners
from tests.unit.transcode.tree import Tree, rgb

WIDTH, HEIGHT = 400, 240


def photo(path: Path, *, orientation: int | None = None, order: Literal["little", "big"] = "big") -> Path:
    """A picture with a colour in each corner, and what a camera writes beside it."""
    drawn, row = av.VideoFrame(WIDTH, HEIGHT, "rgb24"), 3 * WIDTH
    pixels, padding = corners(0, WIDTH, HEIGHT), bytes(drawn.planes[0].line_size - row)
    drawn.planes[0].update(b"".join(pixels[y * row : (y + 1) * row] + padding for y in range(HEIGHT)))
    picture = drawn.reformat(format="yuv420p", dst_colorspace="itu709", dst_color_range="MPEG")
    picture.colorspace, picture.color_range = 1, 1
    data = jpeg(picture)
    if orientation is not None:
        mark = b"MM\0*" if order == "big" else b"II*\0"
        entries = (1).to_bytes(2, order) + b"".join(
            number.to_bytes(size, order) for number, size in ((0x0112, 2), (3, 2), (1, 4), (orientation, 2), (0, 2))
        )
        exif = b"Exif\0\0" + mark + (8).to_bytes(4, order) + entries + b"secret place"
        data = data[:2] + b"\xff\xe1" + (2 + len(exif)).to_bytes(2) + exif + data[2:]
    path.write_bytes(data)
    return path


def shown(data: bytes, scratch: Path) -> av.VideoFrame:
    (scratch / "made.jpg").write_bytes(data)
    with av.open(str(scratch / "made.jpg")) as container:
        return next(container.decode(video=0)).reformat(
            format="yuv420p", src_colorspace="itu601", dst_colorspace="itu709", dst_color_range="MPEG"
        )


@pytest.mark.parametrize(
    ("orientation", "top_left"),
    [(None, "top_left"), (1, "top_left"), (2, "top_right"), (3, "bottom_right"), (4, "bottom_left"),
     (5, "top_left"), (6, "bottom_left"), (7, "bottom_right"), (8, "top_right")],
)  # fmt: skip
def test_a_photograph_is_upright_whichever_way_the_camera_was_held(
    orientation: int | None, top_left: str, tmp_path: Path
) -> None:
    """Each of the eight of Exif, table of tag 0x0112: which corner of the stored picture is shown at the top left."""
    made = {
        file.facts.name: file.data for file in encode_thumbnails(photo(tmp_path / "in.jpg", orientation=orientation))
    }
    assert list(made) == ["art/poster.jpg", "art/thumbnail.jpg"]
    for name, long_side in (("art/poster.jpg", 400), ("art/thumbnail.jpg", 320)):
        picture = shown(made[name], tmp_path)
        assert max(picture.width, picture.height) == long_side
        assert (picture.width < picture.height) == (orientation in {5, 6, 7, 8})
        found = rgb(picture, 0.1, 0.1)
        assert max(abs(a - b) for a, b in zip(found, CORNERS[top_left], strict=True)) < 40


def test_a_child_makes_them_and_nothing_of_the_camera_is_left(tmp_path: Path) -> None:
    tree = Tree()
    files = make_thumbnails(photo(tmp_path / "in.jpg", orientation=6, order="little"), tree)
    assert {file.name: file.size for file in files} == {name: len(data) for name, data in tree.art_files.items()}
    assert not any(b"Exif" in data or b"secret" in data for data in tree.art_files.values())


def test_a_folder_gets_both_and_nothing_else(tmp_path: Path) -> None:
    names = thumbnails(photo(tmp_path / "in.jpg"), tmp_path / "out")
    assert {str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/*/*")} == set(names)


def test_other_kinds_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(png(b"\x10\x20\x30\xff" * 6, 3, 2))
    assert {file.name for file in make_thumbnails(tmp_path / "in.png", Tree())} == {
        "art/poster.jpg",
        "art/thumbnail.jpg",
    }


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    whole = photo(tmp_path / "in.jpg").read_bytes()
    for data, error in (
        (b"", EmptyFileError),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", MediaUnsupportedError),
        (b"\0\0\0\x18ftypheic" + bytes(100), MediaUnsupportedError),
        (whole[:20], MediaUnreadableError),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\x02\0\0\0" + bytes(64), MediaTooLargeError),
    ):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises(error):
            make_thumbnails(tmp_path / "bad", Tree())


@pytest.mark.parametrize(
    "block",
    [b"", b"MM", b"XX*\0" + bytes(20), b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\x08\0\0\0\0\0"],
)
def test_a_camera_that_lies_turns_nothing(block: bytes) -> None:
    assert exif_orientation(b"\xff\xd8\xff\xe1\0\0Exif\0\0" + block) is None


def test_a_child_that_makes_something_else_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Message("art", ArtFile(name="art/storyboard.vtt", size=0).model_dump(mode="json"))
    monkeypatch.setattr(_conversation, "_answers", lambda *_: iter([said]))
    with pytest.raises(ChildProtocolError, match="unasked"):
        make_thumbnails(photo(tmp_path / "in.jpg"), Tree())
