"""Words that are shown with the picture."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from mamkit.transcode import ChildProtocolError, Plan, Segment, make_plan, transcode
from mamkit.transcode.containment._receipt import Receipt
from mamkit.transcode.containment._wire import Message
from mamkit.transcode.encoding._subtitles import _ended
from mamkit.transcode.packaging.webvtt import Cue, from_ass, webvtt
from mamkit.transcode.probing import probe_here
from tests.media_factory import make_clip
from tests.unit.transcode.tree import Tree, encode

EVENT = "7,0,Default,,0,0,0,,"


def with_subtitles(clip: Path, *tracks: str, languages: tuple[str | None, ...] = ("eng",)) -> Path:
    """Put a clip and SubRip files into one Matroska file."""
    out = clip.with_suffix(".mkv")
    files = []
    for number, text in enumerate(tracks):
        file = clip.with_name(f"{number}.srt")
        file.write_text(text)
        files.append(file)
    with av.open(str(out), "w") as output, av.open(str(clip)) as film:
        words = [av.open(str(file)) for file in files]
        packets: list[tuple[Fraction, av.Packet[Any]]] = []
        for source in (film, *words):
            streams: dict[int, av.stream.Stream] = {}
            for template in source.streams:
                streams[template.index] = output.add_stream_from_template(template)
                if source is film and "language" in template.metadata:
                    streams[template.index].metadata["language"] = template.metadata["language"]
                if source is not film and (language := languages[words.index(source)]):
                    streams[template.index].metadata["language"] = language
            for packet in source.demux():
                if packet.dts is not None and packet.time_base is not None:
                    packet.stream = streams[packet.stream.index]
                    packets.append((packet.dts * packet.time_base, packet))
        for _, packet in sorted(packets, key=lambda each: each[0]):
            output.mux(packet)
        for source in words:
            source.close()
    return out


SRT = """1
00:00:01,000 --> 00:00:02,500
First & <i>foremost</i>

2
00:00:05,500 --> 00:00:07,000
Two lines
across a seam

3
00:00:20,000 --> 00:00:21,000
after the end
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = make_clip(tmp_path_factory.mktemp("subtitles") / "clip.mp4", seconds=8, rate=10, width=64, height=48)
    return with_subtitles(clip, SRT, SRT.replace("First", "Zuerst"), languages=("eng", "eng"))


def test_each_track_of_text_becomes_a_rendition(film: Path) -> None:
    info = probe_here(film)
    assert [(stream.codec, stream.language) for stream in info.subtitles] == [("subrip", "eng")] * 2
    plan = make_plan(info)
    assert [(track.name, track.title, track.language) for track in plan.subtitles] == [
        ("subtitles", "en", "en"),
        ("subtitles-2", "en (2)", "en"),
    ]
    [part] = [part for part in plan.parts if part.kind == "subtitles"]
    assert (part.start, part.stop) == (0, plan.segment_count)
    assert part.index < plan.parts[-1].index  # artwork is last


def test_a_cue_is_in_every_segment_that_shows_it(film: Path) -> None:
    plan = make_plan(probe_here(film))
    tree = encode(film, plan, [part for part in plan.parts if part.kind == "subtitles"])
    first, second = (tree.segments["subtitles"][n][1].decode() for n in (0, 1))
    assert first == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
        "00:00:01.000 --> 00:00:02.500\nFirst &amp; <i>foremost</i>\n\n"
        "00:00:05.500 --> 00:00:07.000\nTwo lines\nacross a seam\n"
    )
    assert re.findall(r"^00.*", second, re.MULTILINE) == ["00:00:05.500 --> 00:00:07.000"]
    assert tree.art_files["art/subtitles-2.vtt"].decode().startswith("WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nZuerst")


def test_the_playlists_and_the_manifest_name_them(film: Path, tmp_path: Path) -> None:
    report = transcode(film, tmp_path / "out", artwork=False)
    index = report.playlist.read_text()
    assert '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="en",DEFAULT=NO,AUTOSELECT=YES' in index
    assert 'AUDIO="audio",SUBTITLES="subtitles"' in index
    media = (tmp_path / "out" / "subtitles-2" / "index.m3u8").read_text()
    assert re.findall(r"^#EXTINF:(\d+)|^(segment.*)", media, re.MULTILINE) == [
        ("6", ""), ("", "segment_00000.vtt"), ("2", ""), ("", "segment_00001.vtt"),
    ]  # fmt: skip
    assert "EXT-X-MAP" not in media
    manifest = (tmp_path / "out" / "manifest.mpd").read_text()
    for name in re.findall(r"<BaseURL>(.*)</BaseURL>", manifest):
        assert (tmp_path / "out" / name).is_file()
    assert manifest.count('contentType="text"') == 2


def test_a_child_that_leaves_words_out_is_not_believed(film: Path) -> None:
    plan: Plan = make_plan(probe_here(film))
    [part] = [part for part in plan.parts if part.kind == "subtitles"]
    segments = (
        Segment(rendition=name, index=index, duration=Fraction(6), size=0, file="vtt")
        for name in ("subtitles", "subtitles-2")
        for index in range(part.stop)
    )
    messages = [Message("segment", segment.model_dump(mode="json")) for segment in segments]
    with pytest.raises(ChildProtocolError, match=r"art/subtitles"):
        Receipt(plan, part, Tree()).take([*messages, Message("done", None)])


def test_pictures_of_words_are_left_out(tmp_path: Path) -> None:
    info = probe_here(make_clip(tmp_path / "clip.mp4", seconds=1, audio=False))
    words = {"index": 1, "codec": "hdmv_pgs_subtitle"}
    assert make_plan(info.model_validate(info.model_dump() | {"subtitles": [words]})).subtitles == ()


def test_words_without_an_end_are_shown_until_the_next_ones() -> None:
    at = [Fraction(n) for n in (-2, 1, 3, 30)]
    cues = [Cue(time, time, str(time)) for time in at]
    assert [tuple(map(int, cue[:2])) for cue in _ended(cues, Fraction(20))] == [(0, 1), (1, 3), (3, 8)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"one\Ntwo", "one\ntwo"),
        (r"{\an8}up {\i1}there", "up <i>there</i>"),
        (r"{\b1}a{\i1}b{\b0}c{\i0}d", "<b>a<i>b</i></b><i>c</i>d"),
        (r"{\bord2}plain{\iclip(1)}", "plain"),
        ("a --> b & <c>", "a --&gt; b &amp; &lt;c&gt;"),
        (r"a\N\N{\i1}{\i0}\Nb", "a\nb"),
        (r"{\p1}m 0 0 l 100 0", ""),
        ("bell\x07, comma", "bell, comma"),
        ("", ""),
    ],
)
def test_styles_become_tags_and_nothing_breaks_out(text: str, expected: str) -> None:
    assert from_ass(EVENT + text) == expected


def test_what_is_no_event_is_nothing() -> None:
    assert from_ass("words") == ""


def test_a_file_is_in_order_of_time() -> None:
    cues = [Cue(Fraction(7261), Fraction(7262), "late"), Cue(Fraction(1, 3), Fraction(1), "early")]
    assert webvtt(cues) == ("WEBVTT\n\n00:00:00.333 --> 00:00:01.000\nearly\n\n02:01:01.000 --> 02:01:02.000\nlate\n")
