"""A card that fails in the middle of a part: the processor goes on where it stopped, in segments that fit."""

import itertools
import subprocess
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest

from mamkit.transcode import (
    Container,
    EncodeError,
    Init,
    Ladder,
    Part,
    PartResult,
    Plan,
    Rung,
    Segment,
    encode_part,
    local,
    make_plan,
    plan_on_card,
    probe,
    transcode,
)
from mamkit.transcode.packaging.fmp4 import codecs
from mamkit.transcode.packaging.parameter_sets import presentation_delay
from tests.failing_card import OPENS, PUSHES, makers, use_card
from tests.media_factory import make_clip

LADDER = Ladder(
    rungs=(
        Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),
        Rung(name="72p", short_side=72, bit_rate=120_000, max_bit_rate=180_000),
    )
)


class Tree:
    """A sink that keeps what it is given, and minds the order."""

    def __init__(self) -> None:
        self.headers: dict[str, bytes] = {}
        self.segments: dict[str, list[bytes]] = {}
        self.done: list[Fraction] = []

    def init(self, init: Init, data: bytes) -> None:
        assert init.rendition not in self.headers
        self.headers[init.rendition] = data

    def segment(self, segment: Segment, data: bytes) -> None:
        made = self.segments.setdefault(segment.rendition, [])
        assert segment.index == len(made)
        made.append(data)

    def art(self, *_: object) -> None:
        raise AssertionError

    def progress(self, done: Fraction) -> None:
        self.done.append(done)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("cards") / "film.mp4", seconds=20)


@pytest.fixture(scope="module")
def plan(clip: Path) -> Plan:
    return make_plan(probe(clip), ladder=LADDER, copy=False, part_segments=4)


def encode(clip: Path, plan: Plan, headers: dict[str, bytes] | None = None) -> tuple[Tree, PartResult]:
    tree = Tree()
    part = Part(index=0, kind="video", start=0, stop=plan.segment_count)
    result = encode_part(clip, plan, part, tree, devices={"h264": "nvenc"}, headers=headers)
    assert tree.done == sorted(tree.done)
    assert [segment.index for segment in result.segments] == [*range(plan.segment_count)] * 2
    return tree, result


def times(header: bytes, segments: list[bytes]) -> list[float | None]:
    with av.open(BytesIO(header + b"".join(segments)), "r") as film:
        film.streams.video[0].codec_context.options = {"err_detect": "explode"}
        return [frame.time for frame in film.decode(video=0) if not frame.is_corrupt]


def check(plan: Plan, tree: Tree) -> None:
    """All frames are there, each at its time, and ffmpeg has nothing to say."""
    for name, header in tree.headers.items():
        shown = times(header, tree.segments[name])
        assert shown == pytest.approx([n / 25 for n in range(plan.frame_count)], abs=1e-6)


def test_the_header_of_a_card_has_room_for_the_processors_pictures(
    clip: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_card(monkeypatch, fails=-1)
    tree, result = encode(clip, plan)
    assert result.notes == ()
    for name, header in tree.headers.items():
        assert makers(header, tree.segments[name]) == [{"card"}] * plan.segment_count
        assert presentation_delay(header) > 0  # the card has no B-frames, but who stands in for it has
        assert codecs(header).startswith("avc1.64")
    check(plan, tree)


@pytest.mark.parametrize(("fails", "crash"), [(0, False), (200, False), (499, False), (260, True)])
def test_the_processor_goes_on_where_a_card_stopped(
    clip: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, fails: int, crash: bool
) -> None:
    use_card(monkeypatch, fails=fails, crash=crash)
    tree, result = encode(clip, plan)
    [note] = result.notes
    assert ("SIGABRT" if crash else f"the encoder 'h264_nvenc' {PUSHES}") in note
    seen = {name: makers(header, tree.segments[name]) for name, header in tree.headers.items()}
    for whose in seen.values():
        assert all(len(kinds) == 1 for kinds in whose)  # no segment is of two
        turns = [kinds for kinds, _ in itertools.groupby(whose)]
        assert turns in ([{"card"}], [{"card"}, {"processor"}], [{"processor"}])
    assert seen["72p"][-1] == {"processor"}
    if fails == 499:
        assert seen["72p"][0] == {"card"}  # what had been handed over stays
    check(plan, tree)


def test_a_card_whose_sessions_are_all_taken_leaves_the_part_to_the_processor(
    clip: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_card(monkeypatch, fails=-1)
    before, _ = encode(clip, plan)
    use_card(monkeypatch, fails=None, height=36, how=OPENS)
    tree, result = encode(clip, plan, before.headers)
    [note] = result.notes
    assert "OpenEncodeSessionEx failed: out of memory (10)" in note
    assert tree.headers == before.headers
    check(plan, tree)
    mixed = {name: [before.segments[name][0], *made[1:]] for name, made in tree.segments.items()}
    tree.segments = mixed
    check(plan, tree)  # a part of the card's, and then one of the processor's


def test_a_codec_that_cannot_share_a_header_fails_once_something_is_made_of_it(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(probe(clip), ladder=LADDER, codecs=["hevc"], part_segments=4)
    use_card(monkeypatch, fails=200, codec="hevc", height=plan.video[0].height)
    part = Part(index=0, kind="video", start=0, stop=2)
    with pytest.raises(EncodeError, match="hevc_nvenc"):
        encode_part(clip, plan, part, Tree(), devices={"hevc": "nvenc"})


def test_a_film_on_a_failing_card_plays_to_its_end(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_card(monkeypatch, fails=200)
    monkeypatch.setattr(local, "choose_devices", lambda *_, **__: ({"h264": "nvenc"}, ()))
    report = transcode(clip, tmp_path / "hls", ladder=LADDER, copy=False, artwork=False)
    [note] = [note for note in report.notes if "card" in note]
    assert note.startswith("h264 of the segments 1 to ")
    with av.open(str(report.playlist), options={"allowed_extensions": "ALL", "extension_picky": "0"}) as film:
        assert sum(1 for _ in film.decode(video=0)) == report.plan.frame_count


def test_a_reader_with_its_own_eyes_sees_no_error(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's command line where it is there: an empty log through the playlist, with errors of the decoder fatal."""
    ffmpeg = "/usr/bin/ffmpeg"
    if not Path(ffmpeg).exists():
        pytest.skip("there is no ffmpeg")
    use_card(monkeypatch, fails=200)
    monkeypatch.setattr(local, "choose_devices", lambda *_, **__: ({"h264": "nvenc"}, ()))
    transcode(clip, tmp_path / "hls", ladder=LADDER, copy=False, artwork=False)
    for name in ("72p", "36p"):
        done = subprocess.run(
            [ffmpeg, "-v", "warning", "-xerror", "-i", str(tmp_path / "hls" / name / "index.m3u8"), "-f", "null", "-"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == ""


@pytest.mark.parametrize("container", ["fmp4", "ts"])
def test_parts_by_a_card_and_by_processors_begin_with_the_headers_of_their_plan(
    clip: Path, monkeypatch: pytest.MonkeyPatch, container: Container
) -> None:
    use_card(monkeypatch, fails=-1)
    plan = make_plan(probe(clip), ladder=LADDER, copy=False, container=container)
    planned = plan_on_card(plan, {"h264": "nvenc", "hevc": "nvenc"})
    assert planned.devices == {"h264": "nvenc"}  # of HEVC there is nothing
    trees = []
    for devices in ({"h264": "nvenc"}, {}):
        trees.append(Tree())
        part = Part(index=0, kind="video", start=0, stop=2)
        encode_part(clip, planned, part, trees[-1], devices=devices)  # type: ignore[arg-type] # each is one of a kind
        assert trees[-1].headers == planned.shared_headers
    for name in planned.shared_headers:
        first, second = (tree.segments[name] for tree in trees)
        film = b"".join([planned.shared_headers[name] if container == "fmp4" else b"", first[0], second[1]])
        assert first[1] != second[1]
        with av.open(BytesIO(film), "r") as opened:
            opened.streams.video[0].codec_context.options = {"err_detect": "explode"}
            assert sum(not frame.is_corrupt for frame in opened.decode(video=0)) == 300


def test_a_plan_on_no_card_stays_as_it_is(clip: Path, plan: Plan) -> None:
    assert plan_on_card(plan, {}) == plan
    assert plan_on_card(plan, {"h264": "cpu"}) == plan


def test_another_codec_than_that_of_its_header_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a card nobody goes on with what one has begun in HEVC."""
    use_card(monkeypatch, fails=-1, codec="hevc")
    plan = plan_on_card(make_plan(probe(clip), ladder=LADDER, codecs=["hevc"]), {"hevc": "nvenc"})
    assert plan.shared_headers
    with pytest.raises(EncodeError, match="does not go with the header"):
        encode_part(clip, plan, Part(index=0, kind="video", start=0, stop=1), Tree())
