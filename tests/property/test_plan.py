"""What holds for the plan of any film."""

import math
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import (
    DEFAULT_LADDER,
    UHD_LADDER,
    AudioStream,
    MediaInfo,
    Plan,
    VideoStream,
    audio_frame_range,
    frame_range,
    make_plan,
)

seconds = st.fractions(min_value=Fraction(1, 1000), max_value=100_000, max_denominator=90_000)
starts = st.fractions(min_value=-10, max_value=100_000, max_denominator=90_000)
rates = st.one_of(
    st.sampled_from([Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001), Fraction(60_000, 1001)]),
    st.fractions(min_value=Fraction(1, 100), max_value=1000, max_denominator=1001),
)
pictures = st.builds(
    VideoStream,
    index=st.integers(0, 9),
    codec=st.just("h264"),
    width=st.integers(256, 8192),
    height=st.integers(256, 4608),
    sample_aspect_ratio=st.fractions(min_value=Fraction(1, 2), max_value=2, max_denominator=100),
    rotation=st.sampled_from([0, 90, 180, 270]),
    frame_rate=rates,
    variable_frame_rate=st.booleans(),
    pixel_format=st.just("yuv420p"),
    start=starts,
    duration=seconds,
)
sounds = st.builds(
    AudioStream,
    index=st.integers(10, 99),
    codec=st.just("aac"),
    sample_rate=st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000]),
    channels=st.integers(1, 8),
    layout=st.just("whatever"),
    language=st.one_of(st.none(), st.text(max_size=5)),
    title=st.one_of(st.none(), st.text(max_size=5)),
    default=st.booleans(),
    start=starts,
    duration=seconds,
)


def _span(streams: list[VideoStream | AudioStream]) -> tuple[Fraction, Fraction]:
    starts = [stream.start for stream in streams]
    return min(starts), max(stream.start + (stream.duration or 0) for stream in streams)


@st.composite
def films(draw: st.DrawFn) -> MediaInfo:
    video = draw(st.lists(pictures, max_size=2))
    audio = draw(st.lists(sounds, min_size=0 if video else 1, max_size=3, unique_by=lambda stream: stream.index))
    streams: list[VideoStream | AudioStream] = [*video, *audio]
    start, end = _span(streams)
    return MediaInfo(container="any", size=1, start=start, duration=end - start, video=tuple(video), audio=tuple(audio))


@given(films())
def test_the_same_film_has_the_same_plan(info: MediaInfo) -> None:
    again = MediaInfo.model_validate_json(info.model_dump_json())
    assert make_plan(info) == make_plan(again)


@given(films())
def test_segments_cover_the_film_without_a_gap(info: MediaInfo) -> None:
    plan = make_plan(info)
    indices = range(plan.segment_count) if plan.segment_count < 50 else [*range(10), *range(plan.segment_count)[-10:]]
    assert plan.segment_count == math.ceil(plan.duration / plan.segment_duration)
    if plan.video:
        assert all(len(frame_range(plan, n)) > 0 for n in indices)
        assert frame_range(plan, plan.segment_count - 1).stop == plan.frame_count
    for track in plan.audio:
        ranges = {n: audio_frame_range(plan, track, n) for n in indices}
        assert all(len(frames) > 0 for frames in ranges.values())
        assert ranges[0].start == 0
        assert all(ranges[a].stop == ranges[b].start for a, b in pairwise(indices) if b == a + 1)


@given(films())
def test_nothing_of_the_film_is_left_out(info: MediaInfo) -> None:
    """The end is missed by a quarter of a frame at most, and the beginning by a quarter of a second of sound."""
    plan = make_plan(info)
    longest = max((stream.duration or 0 for stream in info.video), default=0)
    lasting = [stream for stream in info.video if 2 * (stream.duration or 0) >= longest]  # the others are covers
    shown = max(lasting, key=lambda stream: stream.width * stream.height, default=None)
    start, end = _span([*([shown] if shown else []), *info.audio])
    frame = 1 / plan.frame_rate if plan.frame_rate else Fraction(0)
    assert plan.origin + plan.duration >= end - frame / 4
    assert plan.origin - start <= Fraction(1, 4)
    if shown and plan.frame_rate:
        assert ((shown.start - plan.origin) * plan.frame_rate).denominator == 1


@given(films())
def test_parts_share_out_every_segment_once(info: MediaInfo) -> None:
    plan = make_plan(info)
    for kind, renditions in (("video", plan.video), ("audio", plan.audio)):
        runs = sorted((part.start, part.stop) for part in plan.parts if part.kind == kind)
        assert bool(runs) == bool(renditions)
        if runs:
            assert runs[0][0] == 0
            assert runs[-1][1] == plan.segment_count
            assert all(before[1] == after[0] for before, after in pairwise(runs))


@given(films())
def test_rates_and_segments_keep_to_the_authoring_specification(info: MediaInfo) -> None:
    """At most 60 frames per second (1.19), key frames every 2 s (1.13), segments of 6 s (7.5), 6.5 s at most (7.7)."""
    plan = make_plan(info)
    assert Fraction(11, 2) < plan.segment_duration <= Fraction(13, 2)
    if plan.frame_rate is not None:
        assert 5 <= plan.frame_rate <= 60
        assert abs(plan.gop_frames / plan.frame_rate - 2) <= Fraction(1, 2) / plan.frame_rate
        assert plan.duration * plan.frame_rate == plan.frame_count


@given(st.integers(32, 8192), st.integers(32, 8192), rates, st.booleans())
def test_renditions_keep_the_shape_and_are_never_enlarged(width: int, height: int, rate: Fraction, uhd: bool) -> None:
    if not Fraction(1, 8) < Fraction(width, height) < 8:
        return
    renditions = (UHD_LADDER if uhd else DEFAULT_LADDER).renditions(width, height, rate)
    assert renditions
    for rendition in renditions:
        assert rendition.width <= width
        assert rendition.height <= height
        assert rendition.width % 2 == rendition.height % 2 == 0
        # Scaling one side exactly would give the other within a pixel of rounding, and another of evenness.
        assert abs(rendition.width - rendition.height * width / height) <= 2 * max(1, width / height)
    for above, below in pairwise(renditions):
        assert above.width >= below.width
        assert above.height >= below.height
        assert above.bit_rate >= below.bit_rate


@given(films())
def test_tracks_have_names_of_their_own(info: MediaInfo) -> None:
    plan: Plan = make_plan(info)
    names = [*(r.name for r in plan.video), *(r.name for r in plan.audio)]
    assert len(set(names)) == len(names)
    titles = [track.title for track in plan.audio]
    assert len(set(titles)) == len(titles)
    assert sum(track.default for track in plan.audio) == (1 if plan.audio else 0)
