"""Audio parts: encoded apart, heard in one piece, and together with the pictures."""

import io
import math
import random
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import AudioRendition, EncodeError, Part, Plan
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.planning.plan import audio_frame_range
from tests.media_factory import make_clip
from tests.unit.transcode.tree import Tree, encode, plan_for, rgb

RATE = 48_000

NOISE = random.Random(1)
HISS = [NOISE.uniform(-0.02, 0.02) for _ in range(RATE)]


def music(time: float) -> float:
    """A low tone, a tone that wavers, and some noise: more than an encoder can keep, as music is."""
    low, wavering = math.sin(2 * math.pi * 220 * time), math.sin(2 * math.pi * (900 * time + 40 * math.sin(3 * time)))
    return 0.2 * low + 0.15 * wavering + HISS[round(time * RATE) % RATE]


def beep(time: float) -> float:
    """A tenth of a second of sound at 2 s, and again at 8 s."""
    return 0.5 * math.sin(2 * math.pi * 1000 * time) if 0 <= (time - 2) % 6 < 0.1 and time > 1 else 0.0


def flash(n: int, width: int, height: int) -> bytes:
    """A white picture among black ones, at 2 s and at 8 s of 25 pictures a second."""
    return (b"\xff" if n % 150 == 50 else b"\0") * (3 * width * height)


def parts_of_one_segment(plan: Plan) -> list[Part]:
    parts = [Part(index=n, kind="audio", start=n, stop=n + 1) for n in range(plan.segment_count)]
    return parts[1::2] + parts[::2][::-1]


def everything(plan: Plan) -> list[Part]:
    return [Part(index=0, kind="audio", start=0, stop=plan.segment_count)]


def fidelity(made: "array[float]", sound: Callable[[float], float], samples: range, rate: int = RATE) -> float:
    """Signal to noise of a stretch against the sound that was put in, dB."""
    signal = noise = 0.0
    for n in samples:
        wanted = sound(n / rate)
        signal += wanted**2
        noise += (wanted - made[n]) ** 2
    return 10 * math.log10(signal / noise)


def loudness(made: "array[float]", start: float, stop: float) -> float:
    stretch = made[round(start * RATE) : round(stop * RATE)]
    return math.sqrt(sum(value**2 for value in stretch) / len(stretch))


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [("wav", "pcm_s16le", 48_000), ("m4a", "aac", 44_100), ("mkv", "aac", 48_000), ("flac", "flac", 96_000)],
)
def test_parts_encoded_apart_in_any_order_join_to_the_sample(
    tmp_path: Path, suffix: str, codec: str, rate: int
) -> None:
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=13, video=False, sound=music, audio_codec=codec, sample_rate=rate,
        layout="mono",
    )  # fmt: skip
    plan = plan_for(clip)
    [track] = plan.audio
    whole, apart = encode(clip, plan, everything(plan)), encode(clip, plan, parts_of_one_segment(plan))
    [first, *others] = apart.inits["audio"]
    assert [first, *others] == whole.inits["audio"] * plan.segment_count
    assert first[0].codecs == "mp4a.40.2"
    frame = Fraction(1024, track.sample_rate)
    assert plan.duration >= 13
    count = math.ceil(plan.duration / frame)
    assert [time for time, _, _ in apart.packets("audio")] == [n * frame for n in range(count)]
    for index in range(1, plan.segment_count):
        seam = audio_frame_range(plan, track, index).start * 1024
        around = range(seam - 2048, seam + 2048)
        best = fidelity(whole.sound(), music, around, track.sample_rate)
        assert best > 20
        assert fidelity(apart.sound(), music, around, track.sample_rate) > best - 4


def test_the_facts_of_segments_say_what_their_bytes_are(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=7, width=64, height=48)
    plan = plan_for(clip)
    tree = encode(clip, plan, everything(plan))
    for index, (segment, data) in tree.segments["audio"].items():
        frames = audio_frame_range(plan, plan.audio[0], index)
        assert (segment.index, segment.size, segment.key_frames) == (index, len(data), ())
        assert segment.duration == len(frames) * Fraction(1024, RATE)
        with av.open(io.BytesIO(tree.inits["audio"][0][1] + data), "r") as container:
            packets = [packet for packet in container.demux() if packet.size]
        assert [packet.pts for packet in packets] == [n * 1024 for n in frames]


def test_the_same_part_gives_the_same_bytes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=7, width=64, height=48, sound=music)
    plan = plan_for(clip)
    first, second = encode(clip, plan, everything(plan)), encode(clip, plan, everything(plan))
    assert (first.inits, first.segments) == (second.inits, second.segments)


@pytest.mark.parametrize(
    ("suffix", "start", "codec"),
    [
        ("mp4", 0, "aac"),
        ("mkv", 0, "libopus"),
        ("ts", 10, "aac"),
        ("ts", 0, "mp2"),
        ("mov", 3, "pcm_s16le"),
        ("avi", 0, "ac3"),
    ],
)
def test_sound_and_picture_stay_together(tmp_path: Path, suffix: str, start: int, codec: str) -> None:
    """Whatever B-frames, priming, edit lists and late starts the source has, and in every part."""
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=9, width=64, height=48, b_frames=2, gop=60, start=start, audio_codec=codec,
        picture=flash, sound=beep,
    )  # fmt: skip
    plan = plan_for(clip)
    tree = encode(clip, plan)
    white = [n for n, picture in enumerate(tree.pictures("360p")) if rgb(picture, 0.5, 0.5)[1] > 128]
    assert white == pytest.approx([50, 200], abs=1 if suffix == "avi" else 0)  # whose first time FFmpeg guesses
    made = tree.sound()
    for n in white:
        flashed = round(n * RATE / 25)
        around = range(flashed - RATE // 2, flashed + RATE // 2)
        beeped = next(at for at in around if abs(made[at]) > 0.1)
        assert abs(beeped - flashed) / RATE < 0.01


def test_sound_that_begins_after_the_picture_and_ends_before_it_is_silence_there(tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    with av.open(str(late), "w") as output:
        picture = output.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for n in range(50):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 5)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        for n in range(3 * RATE, 7 * RATE, 480):
            sound = av.AudioFrame("s16", "mono", 480)
            sound.planes[0].update(array("h", [round(8000 * math.sin(k)) for k in range(480)]).tobytes())
            sound.pts, sound.sample_rate, sound.time_base = n, RATE, Fraction(1, RATE)
            output.mux(track.encode(sound))
    plan = plan_for(late)
    made = encode(late, plan, parts_of_one_segment(plan)).sound()
    assert len(made) >= 10 * RATE
    assert loudness(made, 0.1, 2.95) < 1e-4
    assert loudness(made, 3.05, 6.95) > 0.1
    assert loudness(made, 7.05, 10) < 1e-4


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 2)])
def test_one_channel_stays_one_and_many_become_two(tmp_path: Path, layout: str, channels: int) -> None:
    clip = make_clip(tmp_path / "clip.mkv", seconds=1, video=False, layout=layout, audio_codec="flac", sound=music)
    plan = plan_for(clip)
    tree = encode(clip, plan)
    with av.open(io.BytesIO(tree.film("audio")), "r") as container:
        assert container.streams.audio[0].codec_context.channels == channels
    for channel in range(channels):
        made = tree.sound(channel=channel)
        assert 0.05 < loudness(made, 0.1, 0.9) < 0.3
        assert max(made) <= 1


def test_all_tracks_come_of_one_part(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", seconds=7, width=64, height=48, languages=("fra", "deu", None), sound=music)
    plan = plan_for(clip)
    part = Part(index=1, kind="audio", start=0, stop=plan.segment_count)
    tree = encode(clip, plan, [part])
    assert list(tree.inits) == ["audio", "audio-2", "audio-3"]
    for name in tree.inits:
        assert sorted(tree.segments[name]) == list(range(plan.segment_count))
        assert loudness(tree.sound(name), 0.1, 6.9) > 0.1
    assert tree.progressed == sorted(tree.progressed)
    assert tree.progressed[-1] == 1


def test_what_is_missing_of_a_file_cut_short_is_silence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.wav", seconds=13, video=False, sound=music, audio_codec="pcm_s16le")
    plan = plan_for(clip)
    clip.write_bytes(clip.read_bytes()[: 44 + 13 * RATE * 4 // 2])
    tree = encode(clip, plan, parts_of_one_segment(plan))
    made = tree.sound()
    assert len(made) >= 13 * RATE
    assert loudness(made, 5.5, 6.4) > 0.1
    assert loudness(made, 6.6, 13) < 1e-4


def test_what_cannot_be_decoded_is_silence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.m4a", seconds=7, video=False, sound=music)
    plan = plan_for(clip)
    data = bytearray(clip.read_bytes())
    media, size = data.index(b"mdat") + 4, len(data)
    middle = media + (size - media) // 3
    data[middle : middle + 20_000] = random.Random(2).randbytes(20_000)
    clip.write_bytes(data)
    made = encode(clip, plan, parts_of_one_segment(plan)).sound()
    assert len(made) >= 7 * RATE
    assert loudness(made, 0.1, 1) > 0.1


def test_settings_that_the_encoder_refuses_are_an_error_of_the_encoder(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.wav", seconds=1, video=False, audio_codec="pcm_s16le")
    plan = plan_for(clip)
    odd = AudioRendition(name="odd", stream=0, sample_rate=12_345, channels=2, bit_rate=128_000, title="", default=True)
    with pytest.raises(EncodeError, match="aac"):
        encode(clip, plan.model_copy(update={"audio": (odd,)}), everything(plan))


def test_a_part_of_sound_needs_a_plan_with_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=1, audio=False)
    with pytest.raises(ValueError, match="no audio"):
        encode(clip, plan_for(clip), [Part(index=0, kind="audio", start=0, stop=1)])


def test_a_sink_that_raises_gets_its_error_back(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.wav", seconds=7, video=False, audio_codec="pcm_s16le")
    plan = plan_for(clip)

    class Full(Tree):
        def segment(self, *_: object) -> None:
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        encode_part_here(clip, plan, everything(plan)[0], Full())
