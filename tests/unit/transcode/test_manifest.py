"""The DASH manifest, by an XML reader."""

from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mamkit.transcode import (
    MANIFEST_NAME,
    AudioStream,
    Init,
    Ladder,
    MediaInfo,
    Plan,
    Rung,
    Segment,
    Track,
    VideoStream,
    audio_frame_range,
    dash_manifest,
    frame_range,
    make_plan,
    transcode,
)
from tests.media_factory import make_clip

NTSC = Fraction(30_000, 1001)
MPD = {"": "urn:mpeg:dash:schema:mpd:2011"}


def plan_of(*, seconds: int = 20, video: bool = True, titles: tuple[str, ...] = ("Original",)) -> Plan:
    picture = VideoStream(
        index=0,
        codec="h264",
        width=1280,
        height=720,
        frame_rate=NTSC,
        pixel_format="yuv420p",
        duration=Fraction(seconds),
    )
    sounds = tuple(
        AudioStream(
            index=n, codec="aac", sample_rate=44_100, channels=n, layout="stereo", title=title, language="fra",
            duration=Fraction(seconds),
        )
        for n, title in enumerate(titles, 1)
    )  # fmt: skip
    info = MediaInfo(
        container="mov", size=1, duration=Fraction(seconds), video=(picture,) if video else (), audio=sounds
    )
    return make_plan(info)


def tracks_of(plan: Plan) -> list[Track]:
    """Return finished tracks whose segments last what the plan says, and take the bit rates that it says."""
    made = []
    for video in plan.video:
        lengths = [len(frame_range(plan, n)) / (plan.frame_rate or 1) for n in range(plan.segment_count)]
        made.append(_track(video.name, "avc1.64001f", [Fraction(each) for each in lengths], video.bit_rate))
    for audio in plan.audio:
        frames = [len(audio_frame_range(plan, audio, n)) for n in range(plan.segment_count)]
        lengths_of_sound = [Fraction(1024 * count, audio.sample_rate) for count in frames]
        made.append(_track(audio.name, "mp4a.40.2", lengths_of_sound, audio.bit_rate))
    return made


def _track(name: str, codecs: str, lengths: list[Fraction], bit_rate: int) -> Track:
    init = Init(rendition=name, size=1, codecs=codecs, sha256="0" * 64)
    segments = [
        Segment(rendition=name, index=n, duration=length, size=int(length * bit_rate / 8))
        for n, length in enumerate(lengths)
    ]
    return Track(init=init, segments=segments)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # noqa: S314 - written by us, a line ago


def test_it_is_static_and_lasts_as_long_as_the_plan() -> None:
    plan = plan_of()
    manifest = parsed(dash_manifest(plan, tracks_of(plan)))
    assert manifest.tag == "{urn:mpeg:dash:schema:mpd:2011}MPD"
    assert manifest.get("type") == "static"
    length = Fraction((manifest.get("mediaPresentationDuration") or "")[2:-1])
    assert 0 <= length - plan.duration < Fraction(1, 1000)


def test_the_picture_is_one_set_of_all_sizes() -> None:
    plan = plan_of()
    pictures, _ = parsed(dash_manifest(plan, tracks_of(plan))).findall("Period/AdaptationSet", MPD)
    assert pictures.get("frameRate") == "30000/1001"
    shown = pictures.findall("Representation", MPD)
    assert [each.get("id") for each in shown] == [video.name for video in plan.video]
    for each, video in zip(shown, plan.video, strict=True):
        assert (each.get("width"), each.get("height")) == (str(video.width), str(video.height))
        assert each.get("codecs") == "avc1.64001f"
        assert abs(int(each.get("bandwidth") or 0) - video.bit_rate) <= 100


def test_the_timeline_is_exact_and_names_every_segment() -> None:
    plan = plan_of()
    for group, track in zip(
        parsed(dash_manifest(plan, tracks_of(plan))).findall("Period/AdaptationSet", MPD),
        (tracks_of(plan)[0], tracks_of(plan)[-1]),
        strict=True,
    ):
        template = group.find("SegmentTemplate", MPD)
        assert template is not None
        assert template.get("initialization") == "$RepresentationID$/init.mp4"
        assert template.get("media") == "$RepresentationID$/segment_$Number%05d$.m4s"
        assert template.get("startNumber") == "0"
        ticks = int(template.get("timescale") or 0)
        listed = [
            Fraction(int(entry.get("d") or 0), ticks)
            for entry in template.findall("SegmentTimeline/S", MPD)
            for _ in range(int(entry.get("r") or 0) + 1)
        ]
        assert listed == [segment.duration for segment in track.segments]


def test_every_sound_track_is_a_set_with_its_language_and_title() -> None:
    plan = plan_of(titles=("<Original> & \x07 bell", "Commentary"))
    groups = parsed(dash_manifest(plan, tracks_of(plan))).findall("Period/AdaptationSet[@contentType='audio']", MPD)
    assert [group.get("lang") for group in groups] == ["fr", "fr"]
    assert [group.findtext("Label", None, MPD) for group in groups] == ["<Original> &   bell", "Commentary"]
    roles = [role.get("value") for group in groups for role in group.findall("Role", MPD)]
    assert roles == ["main", "alternate"]
    channels = [each.get("value") for group in groups for each in group.iterfind(".//AudioChannelConfiguration", MPD)]
    assert channels == ["1", "2"]


def test_sound_alone_has_no_set_of_pictures() -> None:
    plan = plan_of(video=False)
    groups = parsed(dash_manifest(plan, tracks_of(plan))).findall("Period/AdaptationSet", MPD)
    assert [group.get("contentType") for group in groups] == ["audio"]


def test_what_is_not_finished_has_no_manifest() -> None:
    plan = plan_of()
    *rest, last = tracks_of(plan)
    with pytest.raises(ValueError, match="0 segments"):
        dash_manifest(plan, rest)
    with pytest.raises(ValueError, match="'audio' has 3 segments"):
        dash_manifest(plan, [*rest, Track(init=last.init, segments=last.segments[:-1])])


def test_a_film_in_a_folder_has_one_that_names_what_is_there(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=7)
    ladder = Ladder(rungs=(Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),))
    transcode(source, tmp_path / "out", ladder=ladder)
    manifest = parsed((tmp_path / "out" / MANIFEST_NAME).read_text())
    named = set()
    for group in manifest.findall("Period/AdaptationSet", MPD):
        template = group.find("SegmentTemplate", MPD)
        assert template is not None
        count = sum(int(entry.get("r") or 0) + 1 for entry in template.findall("SegmentTimeline/S", MPD))
        for shown in group.findall("Representation", MPD):
            head = (template.get("initialization") or "").replace("$RepresentationID$", shown.get("id") or "")
            media = (template.get("media") or "").replace("$RepresentationID$", shown.get("id") or "")
            named |= {head, *(media.replace("$Number%05d$", f"{n:05d}") for n in range(count))}
    there = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.m[p4][4s]*")}
    assert named == {name for name in there if name.endswith((".mp4", ".m4s"))}
    assert len(named) == 6
