"""What is decided before a frame is encoded."""

from fractions import Fraction
from itertools import pairwise

import pytest

from mamkit.transcode import (
    AudioStream,
    MediaInfo,
    MediaUnsupportedError,
    VideoStream,
    audio_frame_range,
    display_size,
    frame_range,
    make_plan,
)
from mamkit.transcode.planning._languages import web_tag
from mamkit.transcode.planning._rates import output_rate


def picture(**changes: object) -> VideoStream:
    facts = {
        "index": 0,
        "codec": "h264",
        "width": 1280,
        "height": 720,
        "frame_rate": Fraction(25),
        "pixel_format": "yuv420p",
        "duration": Fraction(20),
    }
    return VideoStream.model_validate(facts | changes)


def sound(**changes: object) -> AudioStream:
    facts = {
        "index": 1,
        "codec": "aac",
        "sample_rate": 48_000,
        "channels": 2,
        "layout": "stereo",
        "duration": Fraction(20),
    }
    return AudioStream.model_validate(facts | changes)


def film(*streams: VideoStream | AudioStream) -> MediaInfo:
    start = min(stream.start for stream in streams)
    end = max(stream.start + (stream.duration or 0) for stream in streams)
    return MediaInfo(
        container="mov",
        size=1,
        duration=end - start,
        start=start,
        video=tuple(stream for stream in streams if isinstance(stream, VideoStream)),
        audio=tuple(stream for stream in streams if isinstance(stream, AudioStream)),
    )


def test_a_film_is_cut_into_segments_of_three_gops_of_two_seconds() -> None:
    plan = make_plan(film(picture(), sound()))
    assert plan.frame_rate == 25
    assert plan.segment_duration == 6
    assert plan.duration == 20
    assert (plan.gop_frames, plan.segment_frames, plan.frame_count, plan.segment_count) == (50, 150, 500, 4)
    assert [frame_range(plan, n) for n in range(4)] == [range(150), range(150, 300), range(300, 450), range(450, 500)]


def test_a_rate_of_cinema_on_television_stays_exact() -> None:
    plan = make_plan(film(picture(frame_rate=Fraction(24_000, 1001))))
    assert (plan.gop_frames, plan.segment_frames) == (48, 144)
    assert plan.segment_duration == Fraction(6006, 1000)


@pytest.mark.parametrize(
    ("rate", "variable", "expected"),
    [
        (Fraction(24_000, 1001), False, Fraction(24_000, 1001)),
        (Fraction(2997, 100), False, Fraction(30_000, 1001)),
        (Fraction(90_000, 3001), False, Fraction(30)),
        (Fraction(18), False, Fraction(18)),  # amateur film is no standard, and is kept
        (Fraction(25, 2), False, Fraction(25, 2)),
        (Fraction(120), False, Fraction(60)),
        (Fraction(120_000, 1001), False, Fraction(60_000, 1001)),
        (Fraction(240), False, Fraction(60)),
        (Fraction(100), False, Fraction(50)),
        (Fraction(144), False, Fraction(48)),
        (Fraction(1), False, Fraction(5)),
        (Fraction(1, 10), False, Fraction(5)),
        (Fraction(7, 2), False, Fraction(7)),
        (Fraction(810_000, 13_487), True, Fraction(60)),
        (Fraction(30_470, 1000), True, Fraction(30)),
        (Fraction(7), True, Fraction(24)),
        (Fraction(35), True, Fraction(48)),
        (Fraction(1, 100), True, Fraction(24)),
        (Fraction(1000), True, Fraction(60_000, 1001)),
    ],
)
def test_every_rate_becomes_a_constant_one(rate: Fraction, variable: bool, expected: Fraction) -> None:
    assert output_rate(rate, variable=variable) == expected


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, (1280, 720)),
        ({"rotation": 90}, (720, 1280)),
        ({"rotation": 180}, (1280, 720)),
        ({"rotation": 270, "sample_aspect_ratio": Fraction(4, 3)}, (720, 1707)),
        ({"width": 720, "height": 576, "sample_aspect_ratio": Fraction(16, 15)}, (768, 576)),
        ({"width": 640, "height": 360, "sample_aspect_ratio": Fraction(2, 3)}, (427, 360)),
    ],
)
def test_pictures_are_measured_as_they_are_shown(changes: dict[str, object], size: tuple[int, int]) -> None:
    assert display_size(picture(**changes)) == size


def test_the_largest_picture_is_shown() -> None:
    plan = make_plan(film(picture(index=0, width=160, height=90), picture(index=2)))
    assert plan.video_stream == 2


def test_a_cover_beside_a_film_is_not_shown_however_large_it_is() -> None:
    """Some containers have covers as picture streams like any other, of one picture."""
    cover = picture(index=2, width=1000, height=1000, duration=Fraction(1, 25))
    assert make_plan(film(picture(index=0, width=160, height=90), cover)).video_stream == 0


def test_the_output_lasts_as_long_as_the_longest_stream() -> None:
    """The last picture is held under longer sound, and shorter sound changes nothing."""
    assert make_plan(film(picture(duration=Fraction(4)), sound(duration=Fraction(9)))).duration == 9
    assert make_plan(film(picture(duration=Fraction(9)), sound(duration=Fraction(4)))).duration == 9


def test_an_end_that_was_rounded_to_milliseconds_makes_no_frame_of_its_own() -> None:
    assert make_plan(film(picture(duration=Fraction(10_001, 1000)))).frame_count == 250
    assert make_plan(film(picture(duration=Fraction(10_020, 1000)))).frame_count == 251


def test_time_begins_with_the_first_picture() -> None:
    plan = make_plan(film(picture(start=Fraction(10)), sound(start=Fraction(99, 10))))
    assert plan.origin == 10


def test_sound_that_begins_much_earlier_is_heard() -> None:
    """The first picture is shown longer by whole frames, so that the source's frames stay on the output's grid."""
    plan = make_plan(film(picture(start=Fraction(1)), sound(start=Fraction(1, 100))))
    assert plan.origin == 0
    assert ((1 - plan.origin) * 25).denominator == 1


def test_sound_of_pictures_that_a_recording_missed_is_heard_too() -> None:
    """Broadcasts are cut at any packet: what goes with the sound cannot be decoded before the next key frame."""
    for container, late in (("mpegts", 2), ("mpeg", 5), ("mpegts", 9)):
        shown = picture(start=Fraction(late), missed=Fraction(late), duration=Fraction(10 - late))
        found = film(shown, sound()).model_copy(update={"container": container})
        assert make_plan(found).origin == 0
        alone = make_plan(film(shown).model_copy(update={"container": container}))
        assert alone.origin == 0
        assert alone.duration == 10
    assert make_plan(film(picture(start=Fraction(1), missed=Fraction(1, 5)))).origin == 1


def test_sound_before_a_broadcast_that_goes_on_as_much_longer_without_sound_is_left_out_and_that_is_said() -> None:
    """Pictures are sent before the sound that goes with them: both ends of a recording have one of them alone."""
    for container, late, origin in (("mpegts", 2, 2), ("mpeg", 5, 5), ("mpegts", 6, 0), ("matroska,webm", 2, 0)):
        found = film(picture(start=Fraction(late)), sound()).model_copy(update={"container": container})
        plan = make_plan(found)
        assert plan.origin == origin
        assert any("sound are left out" in note for note in plan.notes) == bool(origin)
    whole = film(picture(start=Fraction(2), duration=Fraction(8)), sound()).model_copy(update={"container": "mpegts"})
    assert make_plan(whole).origin == 0


def test_each_sound_stream_becomes_a_track() -> None:
    streams = (
        sound(index=1, language="fra", channels=6, layout="5.1"),
        sound(index=2, language="eng", default=True, sample_rate=44_100, channels=1, layout="mono"),
        sound(index=3, language="fra", sample_rate=96_000),
        sound(index=4, language="x'\"#EXT", title='Director\'s\n"cut"'),
    )
    tracks = make_plan(film(picture(), *streams)).audio
    assert [track.name for track in tracks] == ["audio", "audio-2", "audio-3", "audio-4"]
    assert [track.stream for track in tracks] == [2, 1, 3, 4]
    assert [track.default for track in tracks] == [True, False, False, False]
    assert [track.sample_rate for track in tracks] == [44_100, 48_000, 48_000, 48_000]
    assert [track.channels for track in tracks] == [1, 2, 2, 2]
    assert [track.bit_rate for track in tracks] == [64_000, 128_000, 128_000, 128_000]
    assert [track.language for track in tracks] == ["en", "fr", "fr", None]
    assert [track.title for track in tracks] == ["en", "fr", "fr (2)", 'Director\'s "cut"']


def test_titles_that_look_like_numbered_ones_do_not_repeat() -> None:
    streams = [sound(index=n, title=title) for n, title in enumerate(["A", "A (3)", "A", "A"], 1)]
    titles = [track.title for track in make_plan(film(*streams)).audio]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("eng", "en"), ("ger", "de"), ("DEU", "de"), ("en-GB", "en-GB"), ("und", None), ("", None), (None, None),
     ("gsw", "gsw"), ("e", None), ("english!", None), ('en"', None), ("en\n", None)],
)  # fmt: skip
def test_languages_are_named_as_the_web_does(tag: str | None, expected: str | None) -> None:
    assert web_tag(tag) == expected


def test_sound_alone_is_cut_on_the_grid_of_its_own_frames() -> None:
    plan = make_plan(film(sound(duration=Fraction(20), sample_rate=44_100, start=Fraction(1, 2))))
    assert (plan.video_stream, plan.frame_rate, plan.frame_count, plan.gop_frames) == (None, None, 0, 0)
    assert plan.segment_duration == 258 * Fraction(1024, 44_100)
    assert plan.origin == Fraction(1, 2)
    assert plan.duration == 862 * Fraction(1024, 44_100)  # the first multiple that is 20 s or more
    ranges = [audio_frame_range(plan, plan.audio[0], n) for n in range(plan.segment_count)]
    assert ranges == [range(258), range(258, 516), range(516, 774), range(774, 862)]
    assert [part.kind for part in plan.parts] == ["audio", "artwork"]
    assert frame_range(plan, 0) == range(0)


def test_sound_that_lasts_less_than_a_millisecond_has_a_segment() -> None:
    plan = make_plan(film(sound(duration=Fraction(1, 48_000))))
    assert plan.segment_count == 1
    assert len(audio_frame_range(plan, plan.audio[0], 0)) == 1


def test_playback_can_start_after_the_first_two_parts() -> None:
    plan = make_plan(film(picture(duration=Fraction(7200)), sound(duration=Fraction(7200))))
    first, second, third, *_ = plan.parts
    assert (first.kind, first.start, first.stop) == ("video", 0, 1)
    assert (second.kind, second.start, second.stop) == ("audio", 0, 4)
    assert (third.kind, third.start, third.stop) == ("video", 1, 7)
    assert [part.index for part in plan.parts] == list(range(len(plan.parts)))
    for kind in ("video", "audio"):
        runs = [(part.start, part.stop) for part in plan.parts if part.kind == kind]
        assert runs[0][0] == 0
        assert runs[-1][1] == plan.segment_count
        assert all(before[1] == after[0] for before, after in pairwise(runs))


def test_sound_is_planned_before_the_pictures_reach_it() -> None:
    plan = make_plan(film(picture(duration=Fraction(7200)), sound(duration=Fraction(7200))))
    heard = 0
    for part in plan.parts[1:]:
        if part.kind == "audio":
            heard = part.stop
        else:
            assert part.start < heard


def test_a_fast_film_that_ends_just_after_a_boundary_keeps_sound_in_its_last_segment() -> None:
    """At 60 frames per second a frame is shorter than one of AAC: the last segment gets a second one."""
    plan = make_plan(
        film(
            picture(frame_rate=Fraction(60), duration=Fraction(361, 60)),
            sound(sample_rate=44_100, duration=Fraction(6)),
        )
    )
    assert plan.frame_count == 362
    assert len(audio_frame_range(plan, plan.audio[0], 1)) > 0


def test_a_plan_survives_json() -> None:
    plan = make_plan(film(picture(frame_rate=Fraction(24_000, 1001)), sound()))
    assert type(plan).model_validate_json(plan.model_dump_json()) == plan


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(MediaUnsupportedError, match="1x1"):
        make_plan(film(picture(width=1, height=1)))
    with pytest.raises(ValueError, match="at least one segment"):
        make_plan(film(picture()), part_segments=0)
    plan = make_plan(film(picture(), sound()))
    for index in (-1, 4):
        with pytest.raises(IndexError, match="4 segments"):
            frame_range(plan, index)
        with pytest.raises(IndexError, match="4 segments"):
            audio_frame_range(plan, plan.audio[0], index)
