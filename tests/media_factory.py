"""Small films and sounds for tests, made with PyAV: what is in each is known to the frame and to the sample."""

import math
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

__all__ = ["CORNERS", "Picture", "Sound", "corners", "make_clip", "sine"]

Picture = Callable[[int, int, int], bytes]
"""Makes frame `n` of a size: `(n, width, height)` to `height` rows of `width` RGB pixels, three bytes each."""

Sound = Callable[[float], float]
"""Makes the sample, from -1 to 1, for a time in seconds from the start of the sound."""

CORNERS = {
    "top_left": (220, 30, 30),
    "top_right": (30, 200, 30),
    "bottom_left": (30, 30, 220),
    "bottom_right": (220, 220, 30),
}
"""The colours that `corners` paints, RGB: they tell rotations and reflections apart."""


def corners(n: int, width: int, height: int) -> bytes:
    """Paint each quarter in its colour, and a white bar across the middle that moves on by two pixels a frame."""
    left, right = width // 2, width - width // 2
    rows = [
        bytes(CORNERS[f"{edge}_left"]) * left + bytes(CORNERS[f"{edge}_right"]) * right
        for edge in ("top",) * (height // 2) + ("bottom",) * (height - height // 2)
    ]
    bar = max(2, width // 16)
    x = 2 * n % max(1, width - bar)
    for y in range(max(0, height // 2 - 2), min(height, height // 2 + 2)):
        rows[y] = (rows[y][: 3 * x] + b"\xff" * 3 * bar + rows[y][3 * (x + bar) :])[: 3 * width]
    return b"".join(rows)


def sine(time: float) -> float:
    """Hum at 440 Hz, a quarter of full scale."""
    return 0.25 * math.sin(2 * math.pi * 440 * time)


def make_clip(
    path: Path,
    *,
    seconds: float = 2,
    width: int = 128,
    height: int = 72,
    rate: Fraction | int = 25,
    video: bool = True,
    audio: bool = True,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    audio_codec: str = "aac",
    sample_rate: int = 48_000,
    layout: str = "stereo",
    languages: Sequence[str | None] = (None,),
    picture: Picture = corners,
    sound: Sound = sine,
    rotation: Literal[0, 90, 180, 270] = 0,
    mirrored: bool = False,
    sample_aspect_ratio: Fraction | None = None,
    start: Fraction | int = 0,
    times: Sequence[Fraction] | None = None,
    b_frames: int = 0,
    gop: int = 12,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip and return its path; the container follows the suffix unless it is named.

    Args:
        path: Where to write.
        seconds: How long picture and sound last, each rounded to its grid.
        width: Coded width, pixels.
        height: Coded height, pixels.
        rate: Frames per second.
        video: Whether there is a picture.
        audio: Whether there is sound, once for each of `languages`.
        codec: FFmpeg's name of the video encoder.
        pixel_format: FFmpeg's name, e.g. `yuv420p10le`.
        audio_codec: FFmpeg's name of the audio encoder.
        sample_rate: Samples per second.
        layout: FFmpeg's name of the channel layout, e.g. `5.1`.
        languages: One audio track for each, with this tag where it is not None.
        picture: What frame `n` shows.
        sound: What all channels play.
        rotation: Degrees clockwise by which a player must turn the picture.
        mirrored: Whether a player must flip it left to right after that.
        sample_aspect_ratio: Width of a pixel over its height.
        start: When picture and sound begin on the container's clock, seconds.
        times: When each frame is shown, seconds from `start`: for a rate that varies; `seconds` is for the sound then.
        b_frames: How many B-frames in a row the encoder may use.
        gop: Frames from one key frame to the next.
        options: Further options of the video encoder.
        container: FFmpeg's name of the container.
        container_options: Options of the container, e.g. `{"movflags": "faststart"}`.
    """
    start = Fraction(start)
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        film: av.VideoStream | None = None
        if video:
            x264 = {"preset": "ultrafast", "threads": "1"} if codec == "libx264" else {}
            stream = output.add_stream(codec, rate=Fraction(rate), options=x264 | (options or {}))
            assert isinstance(stream, av.VideoStream)
            film = stream
            film.width, film.height, film.pix_fmt = width, height, pixel_format
            film.max_b_frames, film.gop_size = b_frames, gop
            if sample_aspect_ratio is not None:
                film.codec_context.sample_aspect_ratio = sample_aspect_ratio
            if times is not None:
                film.codec_context.time_base = Fraction(1, 90_000)
            if rotation or mirrored:
                film.set_display_matrix(_display_matrix(rotation, mirrored))
        tracks = []
        for language in languages if audio else ():
            track = output.add_stream(audio_codec, rate=sample_rate, layout=layout)
            assert isinstance(track, av.AudioStream)
            if language is not None:
                track.metadata["language"] = language
            tracks.append(track)
        output.start_encoding()
        if film is not None:
            shown = times if times is not None else [n / Fraction(rate) for n in range(round(seconds * rate))]
            for n, time in enumerate(shown):
                frame = _rgb_frame(picture(n, width, height), width, height).reformat(format=pixel_format)
                frame.time_base = film.codec_context.time_base
                frame.pts = round((start + time) / frame.time_base)
                output.mux(film.encode(frame))
            output.mux(film.encode(None))
        for track in tracks:
            _write_sound(output, track, round(seconds * sample_rate), start, sound)
    return path


def _rgb_frame(pixels: bytes, width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "rgb24")
    plane, row = frame.planes[0], 3 * width
    padding = bytes(plane.line_size - row)
    plane.update(b"".join(pixels[y * row : (y + 1) * row] + padding for y in range(height)))
    return frame


def _write_sound(
    output: av.container.OutputContainer, track: av.AudioStream, samples: int, start: Fraction, sound: Sound
) -> None:
    context = track.codec_context
    rate, layout, block = context.sample_rate, context.layout.name, context.frame_size or 1024
    convert = av.AudioResampler(format=context.format.name, layout=layout, rate=rate)
    for first in range(0, samples, block):
        wave = array("f", (sound(n / rate) for n in range(first, min(first + block, samples)))).tobytes()
        frame = av.AudioFrame(format="fltp", layout=layout, samples=len(wave) // 4)
        for plane in frame.planes:
            plane.update(wave + bytes(plane.buffer_size - len(wave)))
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * rate) + first
        for converted in convert.resample(frame):
            output.mux(track.encode(converted))
    output.mux(track.encode(None))


def _display_matrix(rotation: int, mirrored: bool) -> list[int]:
    """Return the nine numbers of a display matrix, 16.16 and 2.30 fixed point (ISO/IEC 14496-12 section 8.2.2)."""
    one = 1 << 16
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotation]
    if mirrored:  # after the rotation: x changes sign
        a, c = -a, -c
    return [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
