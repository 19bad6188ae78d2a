"""Playlists, to the letter."""

from fractions import Fraction

import pytest

from mamkit.transcode import (
    AudioRendition,
    AudioStream,
    Init,
    KeyFrame,
    MediaInfo,
    Plan,
    Segment,
    Track,
    VideoStream,
    iframe_playlist,
    iframe_playlist_name,
    init_name,
    make_plan,
    media_playlist,
    media_playlist_name,
    multivariant_playlist,
    segment_name,
)

NTSC = Fraction(24_000, 1001)
GOP = Fraction(2002, 1000)


def plan_of(*, width: int = 1280, height: int = 720, video: bool = True, tracks: int = 1) -> Plan:
    """Plan fourteen seconds: two whole segments of 6.006 s, and one of 48 frames."""
    picture = VideoStream(
        index=0,
        codec="h264",
        width=width,
        height=height,
        frame_rate=NTSC,
        pixel_format="yuv420p",
        duration=7 * GOP,
    )
    sounds = [
        AudioStream(
            index=n + 1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=7 * GOP, language=tag
        )
        for n, tag in enumerate(["eng", "fra", "deu"][:tracks])
    ]
    return make_plan(
        MediaInfo(container="mov", size=1, duration=7 * GOP, video=(picture,) if video else (), audio=tuple(sounds))
    )


def video_track(name: str, *, segments: int = 3, size: int = 1_000_000) -> Track:
    lengths = [3 * GOP, 3 * GOP, GOP][:segments]
    made = []
    for index, duration in enumerate(lengths):
        begin = sum(lengths[:index], Fraction(0))
        keys = tuple(
            KeyFrame(offset=n * size // 4, size=20_000, time=begin + n * GOP) for n in range(int(duration / GOP))
        )
        there = size if index == 1 else size // 2
        made.append(Segment(rendition=name, index=index, duration=duration, size=there, key_frames=keys))
    return Track.of(Init(rendition=name, size=700, codecs="avc1.64001f", sha256="00"), reversed(made))


def audio_track(name: str = "audio", *, segments: int = 3, size: int = 96_000) -> Track:
    frame = Fraction(1024, 48_000)
    made = [
        Segment(rendition=name, index=index, duration=count * frame, size=size if index == 1 else size // 2)
        for index, count in enumerate([282, 281, 94][:segments])
    ]
    return Track.of(Init(rendition=name, size=700, codecs="mp4a.40.2", sha256="00"), made)


def test_a_finished_media_playlist() -> None:
    assert media_playlist(video_track("720p"), plan=plan_of(), finished=True) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:6.006000,\n"
        "segment_00000.m4s\n"
        "#EXTINF:6.006000,\n"
        "segment_00001.m4s\n"
        "#EXTINF:2.002000,\n"
        "segment_00002.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_a_growing_media_playlist_has_no_end_and_may_be_added_to() -> None:
    text = media_playlist(video_track("720p", segments=1), plan=plan_of(), finished=False)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in text
    assert "#EXT-X-ENDLIST" not in text
    assert text.endswith("segment_00000.m4s\n")


def test_only_the_finished_playlist_differs_in_type_and_end() -> None:
    """RFC 8216 section 6.2.1: an event playlist may be appended to, and its target duration must not change."""
    growing = media_playlist(video_track("720p", segments=2), plan=plan_of(), finished=False)
    finished = media_playlist(video_track("720p"), plan=plan_of(), finished=True)
    assert finished.replace("VOD", "EVENT").startswith(growing)


def test_a_track_ends_before_the_first_segment_that_is_missing() -> None:
    whole = video_track("720p")
    track = Track.of(whole.init, [whole.segments[2], whole.segments[0]])
    assert [segment.index for segment in track.segments] == [0]


def test_the_target_is_rounded_as_the_specification_says() -> None:
    """Each EXTINF, rounded to the nearest integer, is at most the target duration."""
    long = Segment(rendition="a", index=0, duration=Fraction(13, 2), size=1)
    track = Track.of(Init(rendition="a", size=1, codecs="avc1.64001f", sha256=""), [long])
    assert "#EXT-X-TARGETDURATION:7\n" in media_playlist(track, plan=plan_of(), finished=False)


def test_a_playlist_of_key_frames() -> None:
    text = iframe_playlist(video_track("720p"), plan=plan_of(), finished=True)
    head, _, body = text.partition("#EXT-X-I-FRAMES-ONLY\n")
    assert '#EXT-X-MAP:URI="init.mp4"\n' in head
    assert body == (
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@0\nsegment_00000.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@250000\nsegment_00000.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@500000\nsegment_00000.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@0\nsegment_00001.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@250000\nsegment_00001.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@500000\nsegment_00001.m4s\n"
        "#EXTINF:2.002000,\n#EXT-X-BYTERANGE:20000@0\nsegment_00002.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_a_finished_multivariant_playlist_has_measured_bit_rates() -> None:
    plan = plan_of(width=640, height=360)
    text = multivariant_playlist(plan, [video_track("360p"), audio_track()], finished=True)
    # Peaks: 8 * 1,000,000 bits / 6.006 s and 8 * 96,000 bits / (281 * 1024 / 48,000) s; the last segments, short and
    # fast, do not count. Averages: 8 * 2,000,000 bits / 14.014 s and 8 * 192,000 bits / (657 * 1024 / 48,000) s.
    assert text == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="audio/index.m3u8",LANGUAGE="en"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1460116,AVERAGE-BANDWIDTH=1251306,CODECS="avc1.64001f,mp4a.40.2",'
        'RESOLUTION=640x360,FRAME-RATE=23.976,VIDEO-RANGE=SDR,AUDIO="audio"\n'
        "360p/index.m3u8\n"
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=79921,AVERAGE-BANDWIDTH=79921,CODECS="avc1.64001f",'
        'RESOLUTION=640x360,VIDEO-RANGE=SDR,URI="360p/iframes.m3u8"\n'
    )


def test_a_growing_multivariant_playlist_has_planned_bit_rates() -> None:
    plan = plan_of(width=640, height=360)
    tracks = [audio_track(segments=1), video_track("360p", segments=1)]
    text = multivariant_playlist(plan, tracks, finished=False)
    [video], [audio] = plan.video, plan.audio
    assert f"BANDWIDTH={round((video.max_bit_rate + audio.bit_rate) * 1.05)},".replace(",", "") in text
    assert f"AVERAGE-BANDWIDTH={round((video.bit_rate + audio.bit_rate) * 1.05)}" in text


def test_renditions_stand_largest_first_whatever_the_order_of_the_tracks() -> None:
    plan = plan_of()
    tracks = [video_track(name) for name in ("360p", "720p", "480p")]
    lines = multivariant_playlist(plan, [*tracks, audio_track()], finished=True).splitlines()
    assert [line for line in lines if line.endswith("p/index.m3u8")] == [
        "720p/index.m3u8",
        "480p/index.m3u8",
        "360p/index.m3u8",
    ]


def test_a_silent_film_names_no_sound() -> None:
    text = multivariant_playlist(plan_of(tracks=0, width=640, height=360), [video_track("360p")], finished=True)
    assert "AUDIO" not in text
    assert 'CODECS="avc1.64001f",RESOLUTION' in text


def test_sound_alone_is_a_variant_of_its_own() -> None:
    plan = plan_of(video=False)
    track = audio_track(segments=plan.segment_count)
    assert multivariant_playlist(plan, [track], finished=True) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=128114,AVERAGE-BANDWIDTH=109590,CODECS="mp4a.40.2"\n'
        "audio/index.m3u8\n"
    )


def test_several_sound_tracks_are_alternatives_and_not_variants() -> None:
    plan = plan_of(video=False, tracks=3)
    text = multivariant_playlist(plan, [audio_track(track.name) for track in plan.audio], finished=True)
    assert text.count("#EXT-X-MEDIA:") == 3
    assert text.count("DEFAULT=YES") == 1
    assert text.count("#EXT-X-STREAM-INF:") == 1
    assert text.endswith('CODECS="mp4a.40.2",AUDIO="audio"\naudio/index.m3u8\n')


def test_titles_cannot_break_out_of_their_quotes() -> None:
    plan = plan_of(width=640, height=360)
    title = 'x",URI="https://evil.example/\r\n#EXT-X-ENDLIST\x00\u2028'
    track = AudioRendition.model_validate(plan.audio[0].model_dump() | {"title": title})
    plan = plan.model_copy(update={"audio": (track,)})
    text = multivariant_playlist(plan, [video_track("360p"), audio_track()], finished=True)
    [line] = [line for line in text.splitlines() if line.startswith("#EXT-X-MEDIA:")]
    assert "NAME=\"x',URI='https://evil.example/  #EXT-X-ENDLIST  \"," in line
    assert text.count("\n") == len(text.splitlines())


def test_what_is_not_there_cannot_be_published() -> None:
    plan = plan_of()
    with pytest.raises(ValueError, match="2 segments in a row, and its plan 3"):
        media_playlist(video_track("720p", segments=2), plan=plan, finished=True)
    with pytest.raises(ValueError, match="2 segments in a row, and its plan 3"):
        iframe_playlist(video_track("720p", segments=2), plan=plan, finished=True)
    with pytest.raises(ValueError, match="nothing yet of 480p, 360p"):
        multivariant_playlist(plan, [video_track("720p"), audio_track()], finished=False)
    tracks = [video_track("720p"), video_track("480p", segments=1), video_track("360p"), audio_track()]
    with pytest.raises(ValueError, match="'480p' has 1 segments"):
        multivariant_playlist(plan, tracks, finished=True)


def test_names_are_relative_to_the_folder_of_the_preview() -> None:
    assert init_name("720p") == "720p/init.mp4"
    assert segment_name("720p", 0) == "720p/segment_00000.m4s"
    assert segment_name("audio-2", 123_456) == "audio-2/segment_123456.m4s"
    assert media_playlist_name("audio") == "audio/index.m3u8"
    assert iframe_playlist_name("720p") == "720p/iframes.m3u8"
