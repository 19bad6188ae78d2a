"""Subtitles as WebVTT (W3C WebVTT: The Web Video Text Tracks Format), whole and in segments (RFC 8216 section 3.5)."""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Cue", "from_ass", "webvtt", "whole_name"]

# What a player adds to the times of a file so that they are those of the segments, ticks of 90 kHz.
_MAP = "X-TIMESTAMP-MAP=MPEGTS:{},LOCAL:00:00:00.000"
_FIELDS = 8  # of an event in FFmpeg's form of ASS before its text
_OVERRIDES = re.compile(r"\{([^{}]*)\}")
_STYLE = re.compile(r"\\([ibu])([01])(?![a-z0-9])")
_DRAWING = re.compile(r"\\p[1-9]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Cue(NamedTuple):
    """Some words, and when they are shown."""

    start: Fraction
    """Seconds on the output's clock."""
    stop: Fraction
    text: str
    """As it stands in the file: lines, entities and tags of WebVTT."""


def whole_name(rendition: str) -> str:
    """Return the name of a file with all cues of a rendition, for DASH and for whoever wants the text."""
    return f"art/{rendition}.vtt"


def webvtt(cues: Iterable[Cue], *, segment: tuple[Fraction, Fraction] | None = None, shift: int = 0) -> str:
    """Return a file with cues in the order of their start.

    Args:
        cues: In any order.
        segment: Start and stop of a segment: then only cues that are shown in it are there, with their own times, as
            in every other segment in which they are shown.
        shift: Seconds that the times of the segments beside it are later.
    """
    shown = sorted(cue for cue in cues if segment is None or (cue.start < segment[1] and cue.stop > segment[0]))
    lines = ["WEBVTT", *([_MAP.format(90_000 * shift)] if segment else []), ""]
    for cue in shown:
        lines += [f"{_clock(cue.start)} --> {_clock(cue.stop)}", cue.text, ""]
    return "\n".join(lines)


def from_ass(event: str) -> str:
    r"""Return the text of an event as FFmpeg's decoders give it, with the styles that WebVTT has; nothing for drawings.

    That form is `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`, where the text has `\N` for a new
    line and overrides in braces, of which italics, bold and underlining are kept.
    """
    parts = event.split(",", _FIELDS)
    if len(parts) <= _FIELDS or _DRAWING.search(parts[_FIELDS]):
        return ""
    out: list[str] = []
    opened: list[str] = []
    for number, piece in enumerate(_OVERRIDES.split(parts[_FIELDS])):
        if number % 2 == 0:
            out.append(_plain(piece))
            continue
        for tag, on in _STYLE.findall(piece):
            if on == "1" and tag not in opened:
                opened.append(tag)
                out.append(f"<{tag}>")
            elif on == "0" and tag in opened:
                inner = opened[opened.index(tag) + 1 :]  # tags must nest
                out += [*(f"</{each}>" for each in reversed(inner)), f"</{tag}>", *(f"<{each}>" for each in inner)]
                opened.remove(tag)
    out += [f"</{tag}>" for tag in reversed(opened)]
    lines = (line.strip() for line in "".join(out).split("\n"))
    return "\n".join(line for line in lines if re.sub(r"</?[ibu]>", "", line))  # an empty line would end the cue


def _plain(text: str) -> str:
    text = text.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", "\u00a0")
    return "".join(_ESCAPES.get(c, c) for c in text if c == "\n" or c.isprintable() or c == "\u00a0")


def _clock(seconds: Fraction) -> str:
    thousandths = round(max(seconds, Fraction(0)) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
