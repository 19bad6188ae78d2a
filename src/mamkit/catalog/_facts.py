"""What an asset shows of the facts that a probe found of its newest version."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

__all__ = ["shown_facts"]

_LARGEST = 1 << 24  # pixels of a side; no codec has more


def shown_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return kind, length, size and codec of a probe's facts (`mamkit.transcode.MediaInfo` as JSON, or an `image`).

    What they do not say, or not in this form, is as it is where nothing is known.
    """
    video, audio = _first(facts.get("video")), _first(facts.get("audio"))
    image = _first([facts.get("image")])
    shown = video or image
    width, height = _pixels(shown.get("width")), _pixels(shown.get("height"))
    if video.get("rotation") in {90, 270}:
        width, height = height, width
    codec = video.get("codec") or audio.get("codec") or image.get("format") or ""
    return {
        "kind": "video" if video else "audio" if audio else "image" if image else "unknown",
        "duration_sec": _seconds(facts.get("duration")),
        "width": width,
        "height": height,
        "codec": codec[:32] if isinstance(codec, str) else "",
    }


def _first(streams: object) -> Mapping[str, Any]:
    return streams[0] if isinstance(streams, list) and streams and isinstance(streams[0], dict) else {}


def _pixels(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else 0


def _seconds(value: object) -> float:
    try:
        seconds = float(Fraction(str(value)))
    except (ValueError, ZeroDivisionError, OverflowError):
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
