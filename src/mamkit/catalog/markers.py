"""Comments as markers, in the forms that editing programs read.

Times are told in frames from the film's start, time codes without dropping frames: the count of frames is exact, and at
29.97 frames a second the clock of the time code goes slow, as every non-drop time code does.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from math import ceil, floor

__all__ = ["Marker", "as_csv", "as_edl", "as_fcpxml", "as_premiere", "time_code"]

_SLACK = Fraction(1, 100)  # of a frame: players tell the time of a frame as a float, which may fall short of it
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2, "Char"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for one (OWASP, "CSV Injection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A comment at a moment or over a range."""

    start: Fraction
    """Seconds from the film's start, as `stop`, which is excluded; None for a moment."""
    stop: Fraction | None = None
    author: str = ""
    text: str = ""
    resolved: bool = False

    def frames(self, rate: Fraction) -> tuple[int, int]:
        """Return the first frame, and the one after the last: at least one frame.

        Args:
            rate: Frames per second, > 0.
        """
        first = floor(self.start * rate + _SLACK)
        return first, max(first + 1, ceil((self.stop or 0) * rate - _SLACK))


def time_code(frame: int, rate: Fraction) -> str:
    """Return the non-drop time code `HH:MM:SS:FF` of a frame (SMPTE ST 12-1); after 99 hours it begins anew."""
    nominal = max(1, round(rate))
    seconds, frames = divmod(frame, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 100:02}:{minutes:02}:{seconds:02}:{frames:02}"


def as_csv(markers: Iterable[Marker], *, rate: Fraction) -> str:
    """Return the markers as CSV (RFC 4180) with a head; `'` goes before what a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["start", "stop", "time code", "author", "text", "resolved"])
    for marker in markers:
        code = time_code(marker.frames(rate)[0], rate)
        stop = "" if marker.stop is None else _seconds(marker.stop)
        words = [_no_formula(marker.author), _no_formula(marker.text)]
        writer.writerow([_seconds(marker.start), stop, code, *words, "yes" if marker.resolved else "no"])
    return text.getvalue()


def as_edl(markers: Iterable[Marker], *, rate: Fraction, title: str) -> str:
    """Return the markers as an edit decision list (CMX 3600) with the marker comments that DaVinci Resolve reads."""
    lines = [f"TITLE: {_line(title)[:70]}", "FCM: NON-DROP FRAME", ""]
    for number, marker in enumerate(markers, start=1):
        first, stop = marker.frames(rate)
        start, only = time_code(first, rate), time_code(first + 1, rate)
        lines.append(f"{number % 1000:03}  001      V     C        {start} {only} {start} {only}")
        colour = "Green" if marker.resolved else "Blue"
        # Bars separate the members of this comment.
        text = _line(f"{marker.author}: {marker.text}").replace("|", "/")
        lines += [f" |C:ResolveColor{colour} |M:{text} |D:{stop - first}", ""]
    return "\r\n".join(lines)


def as_fcpxml(markers: Sequence[Marker], *, rate: Fraction, title: str, duration: Fraction) -> str:
    """Return the markers as FCPXML 1.9 for Final Cut Pro: to-do markers over a gap as long as the film.

    Args:
        markers: Which.
        rate: Frames per second.
        title: Of the project.
        duration: Seconds of the film; it grows to hold the last marker.
    """
    total = _total(markers, rate, duration)
    found = []
    for marker in markers:
        first, stop = marker.frames(rate)
        found.append(
            f'<marker start="{_rational(first, rate)}" duration="{_rational(stop - first, rate)}"'
            f' value="{_xml(marker.text)}" note="{_xml(marker.author)}" completed="{int(marker.resolved)}"/>'
        )
    name, length = _xml(title), _rational(total, rate)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.9">'
        f'<resources><format id="r1" frameDuration="{_rational(1, rate)}"/></resources>'
        f'<library><event name="{name}"><project name="{name}">'
        f'<sequence format="r1" duration="{length}" tcStart="0s" tcFormat="NDF"><spine>'
        f'<gap name="{name}" offset="0s" start="0s" duration="{length}">{"".join(found)}</gap>'
        "</spine></sequence></project></event></library></fcpxml>\n"
    )


def as_premiere(markers: Sequence[Marker], *, rate: Fraction, title: str, duration: Fraction) -> str:
    """Return the markers as those of a sequence in Final Cut Pro 7 XML (`xmeml` 4), which Premiere Pro imports.

    Arguments as for `as_fcpxml`.
    """
    found = []
    for marker in markers:
        first, stop = marker.frames(rate)
        end = -1 if marker.stop is None else stop  # -1: a moment
        found.append(
            f"<marker><name>{_xml(marker.author)}</name><comment>{_xml(marker.text)}</comment>"
            f"<in>{first}</in><out>{end}</out></marker>"
        )
    ntsc = "TRUE" if rate.denominator == 1001 else "FALSE"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n<xmeml version="4"><sequence>'
        f"<name>{_xml(title)}</name><duration>{_total(markers, rate, duration)}</duration>"
        f"<rate><timebase>{max(1, round(rate))}</timebase><ntsc>{ntsc}</ntsc></rate>"
        f"<media><video/></media>{''.join(found)}</sequence></xmeml>\n"
    )


def _total(markers: Iterable[Marker], rate: Fraction, duration: Fraction) -> int:
    return max([1, int(duration * rate), *(marker.frames(rate)[1] for marker in markers)])


def _rational(frames: int, rate: Fraction) -> str:
    """Return a time as FCPXML has it: a whole number of frame durations."""
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"


def _seconds(time: Fraction) -> str:
    return f"{float(time):.3f}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("", text), quote=True)


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
