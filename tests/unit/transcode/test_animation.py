"""Images that move are films; those that do not are still images."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import MediaUnsupportedError, make_plan, thumbnails
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading._animation import is_animated
from tests.unit.transcode.test_encode_video import number, numbered, numbers, parts_of_one_segment
from tests.unit.transcode.tree import encode

WIDTH, HEIGHT, RATE = 160, 96, 10


def image(path: Path, count: int) -> Path:
    """Pictures that tell their number, ten a second."""
    kinds = {".gif": ("gif", "rgb8", "gif"), ".png": ("apng", "rgb24", "apng")}
    codec, pixels, container = kinds[path.suffix]
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for n in range(count):
            picture = av.VideoFrame(WIDTH, HEIGHT, "rgb24")
            picture.planes[0].update(numbered(n, WIDTH, HEIGHT))
            frame = picture.reformat(format=pixels)
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["moves.gif", "moves.png"])
def test_an_image_that_moves_is_a_film(tmp_path: Path, name: str) -> None:
    path = image(tmp_path / name, 80)
    info = probe_here(path)
    assert info.duration == 8
    assert info.video[0].frame_rate == RATE
    assert not info.video[0].variable_frame_rate
    plan = make_plan(info)
    assert plan.segment_count == 2
    tree = encode(path, plan, parts_of_one_segment(plan))
    assert numbers(tree, plan.video[0].name) == list(range(80))


@pytest.mark.parametrize("name", ["still.gif", "still.png"])
def test_an_image_of_one_picture_is_none(tmp_path: Path, name: str) -> None:
    path = image(tmp_path / name, 1)
    with pytest.raises(MediaUnsupportedError, match="still image"):
        probe_here(path)


@pytest.mark.parametrize("name", ["moves.gif", "moves.png"])
def test_thumbnails_show_its_first_picture(tmp_path: Path, name: str) -> None:
    thumbnails(image(tmp_path / name, 5), tmp_path / "out")
    with av.open(str(tmp_path / "out" / "art" / "poster.jpg")) as poster:
        [picture] = poster.decode(video=0)
        assert number(picture) == 0


@given(st.data())
def test_images_that_lie_are_looked_at_all_the_same(images: list[bytes], data: st.DataObject) -> None:
    broken = bytearray(data.draw(st.sampled_from(images)))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=8)):
        broken[place] = data.draw(st.integers(0, 255))
    del broken[data.draw(st.integers(1, len(broken))) :]
    assert is_animated(BytesIO(broken)) in {True, False}


def test_blocks_without_end_are_not_read_to_the_end() -> None:
    class Endless(BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return b"GIF89a" + bytes(7) if self.reads == 1 else b"\x21"[: size or 0]

    file = Endless()
    assert not is_animated(file)
    assert file.reads < 200_000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("images")
    return [image(folder / name, 3).read_bytes() for name in ("a.gif", "a.png")]
