"""HDR that is kept, beside what every screen shows: bits, colours, and how the film was graded."""

from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import pytest
from av.sidedata.sidedata import Type

from mamkit.transcode import (
    HdrMetadata,
    Ladder,
    MasteringDisplay,
    MediaInfo,
    Plan,
    Rung,
    Track,
    VideoRange,
    VideoStream,
    dash_manifest,
    make_plan,
    multivariant_playlist,
)
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading._beside import beside
from tests.media_factory import make_clip
from tests.unit.transcode.tree import Tree, encode

SMALL = Ladder(rungs=(Rung(name="small", short_side=180, bit_rate=300_000, max_bit_rate=450_000),))
GRADED = HdrMetadata(
    display=MasteringDisplay(
        red=(34_000, 16_000),
        green=(13_250, 34_500),
        blue=(7_500, 3_000),
        white=(15_635, 16_450),
        brightest=10_000_000,
        darkest=50,
    ),
    max_cll=1000,
    max_fall=400,
)
X265 = "log-level=none:colorprim=bt2020:colormatrix=bt2020nc:transfer="
PQ = (
    f"{X265}smpte2084:hdr10=1:max-cll=1000,400"
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
)
HLG = f"{X265}arib-std-b67"


def clip(path: Path, parameters: str) -> Path:
    return make_clip(
        path, seconds=3, rate=10, width=320, height=180, audio=False, codec="libx265", pixel_format="yuv420p10le",
        options={"x265-params": parameters, "preset": "ultrafast"},
    )  # fmt: skip


@pytest.fixture(scope="module", params=["PQ", "HLG"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VideoRange, Path, Plan, Tree]:
    """A film in HDR, and what comes of it."""
    video_range: VideoRange = request.param
    source = clip(tmp_path_factory.mktemp("hdr") / "film.mp4", PQ if video_range == "PQ" else HLG)
    plan = make_plan(probe_here(source), ladder=SMALL, hdr=True, artwork=False)
    return video_range, source, plan, encode(source, plan, plan.parts)


def test_the_probe_says_how_a_film_was_graded(made: tuple[VideoRange, Path, Plan, Tree]) -> None:
    video_range, source, _, _ = made
    info = probe_here(source)
    assert info.video[0].hdr_metadata == (GRADED if video_range == "PQ" else None)
    assert MediaInfo.model_validate_json(info.model_dump_json()) == info


def test_each_size_is_there_in_hdr_beside_the_one_for_every_screen(made: tuple[VideoRange, Path, Plan, Tree]) -> None:
    video_range, _, plan, _ = made
    assert [(video.name, video.codec, video.video_range, video.bit_rate) for video in plan.video] == [
        ("small", "h264", "SDR", 300_000),
        ("small-hdr", "hevc", video_range, 270_000),
    ]
    assert not [video.name for video in make_plan(probe_here(made[1]), ladder=SMALL).video if video.name == "small-hdr"]


def test_the_pictures_are_the_films_own(made: tuple[VideoRange, Path, Plan, Tree]) -> None:
    """Ten bits, the same tags, the same brightness within a hundredth; the other rendition is mapped to BT.709."""
    video_range, source, _, tree = made
    kept, mapped = tree.pictures("small-hdr"), tree.pictures("small")
    with av.open(str(source)) as film:
        originals = list(film.decode(video=0))
    assert len(kept) == len(mapped) == len(originals) == 30
    for picture, original in zip(kept[::7], originals[::7], strict=True):
        assert picture.format.name == "yuv420p10le"
        assert (picture.color_trc, picture.color_primaries, picture.colorspace) == (
            {"PQ": 16, "HLG": 18}[video_range], 9, 9,
        )  # fmt: skip
        off = [abs(a - b) for a, b in zip(luma(picture), luma(original), strict=True)]
        assert sum(off) / len(off) < 10  # of 1023
    assert (mapped[0].format.name, mapped[0].color_trc) == ("yuv420p", 1)


def luma(picture: av.VideoFrame) -> memoryview:
    plane = picture.planes[0]
    rows = bytes(plane)
    row = 2 * picture.width
    return memoryview(
        b"".join(rows[y * plane.line_size : y * plane.line_size + row] for y in range(picture.height))
    ).cast("H")


def test_how_it_was_graded_goes_with_the_pictures(made: tuple[VideoRange, Path, Plan, Tree]) -> None:
    video_range, source, _, tree = made
    said = beside(tree.pictures("small-hdr")[0])
    with av.open(str(source)) as film:
        wanted = beside(next(film.decode(video=0)))
    for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL):
        assert said.get(kind) == wanted.get(kind)
        assert (kind in said) == (video_range == "PQ")


def test_playlist_and_manifest_say_which_is_which(made: tuple[VideoRange, Path, Plan, Tree]) -> None:
    video_range, _, plan, tree = made
    tracks = [
        Track.of(tree.inits[name][0][0], [segment for segment, _ in tree.segments[name].values()])
        for name in ("small", "small-hdr")
    ]
    text = multivariant_playlist(plan, tracks, finished=True)
    variants = [line for line in text.splitlines() if "-STREAM-INF" in line]
    assert [("hvc1.2.4." in line, f"VIDEO-RANGE={video_range}" in line) for line in variants] == [
        (False, False), (True, True),
    ] * 2  # fmt: skip
    manifest = ET.fromstring(dash_manifest(plan, tracks))  # noqa: S314 - written by us, just now
    sets = manifest.findall(".//{*}AdaptationSet")
    said = [
        {(one.get("schemeIdUri"), one.get("value")) for one in each.findall("{*}EssentialProperty")} for each in sets
    ]
    transfer = {"PQ": "16", "HLG": "18"}[video_range]
    assert said[0] == set()
    assert ("urn:mpeg:mpegB:cicp:TransferCharacteristics", transfer) in said[1]


def stream(**changes: object) -> MediaInfo:
    facts = {
        "index": 0, "codec": "hevc", "width": 320, "height": 180, "frame_rate": Fraction(25), "bit_depth": 10,
        "pixel_format": "yuv420p10le", "color_transfer": "smpte2084", "color_primaries": "bt2020", "hdr": "hdr10",
        "duration": Fraction(4),
    }  # fmt: skip
    video = VideoStream.model_validate(facts | changes)
    return MediaInfo(container="mov", size=1, duration=Fraction(4), video=(video,))


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"color_transfer": "bt709", "hdr": None}, "not in HDR"),
        ({"color_primaries": "smpte432"}, "smpte432"),
        ({"hdr": "dolby-vision", "color_transfer": None, "color_primaries": None}, "without a base layer"),
        ({"width": 48, "height": 28}, "no rendition of 32 pixels"),
    ],
)
def test_where_nothing_can_be_kept_the_plan_says_why(changes: dict[str, object], note: str) -> None:
    plan = make_plan(stream(**changes), hdr=True)
    assert {video.video_range for video in plan.video} == {"SDR"}
    assert any(note in said for said in plan.notes)


@pytest.mark.parametrize(("transfer", "kept"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_of_dolby_vision_the_base_layer_is_kept(transfer: str, kept: str) -> None:
    plan = make_plan(stream(hdr="dolby-vision", color_transfer=transfer), hdr=True)
    assert {video.video_range for video in plan.video} == {"SDR", kept}
    assert not any("wrong" in note for note in plan.notes)


def test_transport_streams_hold_no_hdr() -> None:
    with pytest.raises(ValueError, match=r"H\.264 alone"):
        make_plan(stream(), hdr=True, container="ts")
