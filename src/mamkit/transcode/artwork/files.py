"""What a preview shows before and beside it is played: where each picture lies, and which moments it shows.

    art/poster.jpg  art/storyboard.vtt  art/storyboard_000.jpg …  art/waveform.json  art/waveform.png

The storyboard is what a player shows above its time line: small pictures on sheets, and a WebVTT file that says when
which one applies (`storyboard_000.jpg#xywh=…`). The waveform is in the form that audiowaveform and peaks.js share.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mamkit.transcode.models import Plan

__all__ = [
    "POSTER_NAME",
    "POSTER_SIDE",
    "STORYBOARD_NAME",
    "THUMBNAIL_NAME",
    "THUMBNAIL_SIDE",
    "WAVEFORM_IMAGE_NAME",
    "WAVEFORM_NAME",
    "Storyboard",
    "is_art_name",
    "poster_size",
    "sheet_name",
    "storyboard",
    "storyboard_vtt",
    "waveform_json",
]

POSTER_NAME = "art/poster.jpg"
THUMBNAIL_NAME = "art/thumbnail.jpg"
STORYBOARD_NAME = "art/storyboard.vtt"
WAVEFORM_NAME = "art/waveform.json"
WAVEFORM_IMAGE_NAME = "art/waveform.png"

_SHEET = "storyboard_{:03d}.jpg"
_NAMES = re.compile(r"art/(poster\.jpg|thumbnail\.jpg|storyboard\.vtt|storyboard_\d{3}\.jpg|waveform\.(json|png))")

POSTER_SIDE = 1280
"""Pixels of a poster's long side at most: what a page shows at first."""

THUMBNAIL_SIDE = 320
"""Pixels of a thumbnail's long side at most: one of many on a page."""

_TILE_SIDE = 192  # pixels of the long side: as large as players show it
_SHORTEST = 2  # seconds between pictures: a GOP of most films
_MOST_TILES = 200  # which bounds the work, however long the film
_COLUMNS = _ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Storyboard:
    """The small pictures of a film, on sheets of five rows of five.

    Attributes:
        interval: Seconds that each picture stands for.
        count: How many there are.
        width: Pixels of one, even.
        height: Pixels of one, even.
    """

    interval: int
    count: int
    width: int
    height: int
    columns: int = _COLUMNS
    rows: int = _ROWS

    @property
    def per_sheet(self) -> int:
        """Pictures on a full sheet."""
        return self.columns * self.rows

    def place(self, tile: int) -> tuple[int, int]:
        """Return where the left upper corner of a picture lies on its sheet, pixels from the left and from the top."""
        row, column = divmod(tile % self.per_sheet, self.columns)
        return column * self.width, row * self.height

    def sheet_size(self, sheet: int) -> tuple[int, int]:
        """Return width and height of a sheet, pixels; the last one is only as large as its pictures need."""
        tiles = min(self.per_sheet, self.count - sheet * self.per_sheet)
        return min(tiles, self.columns) * self.width, -(-tiles // self.columns) * self.height


def is_art_name(name: str) -> bool:
    """Return whether artwork may lie under this name."""
    return _NAMES.fullmatch(name) is not None


def sheet_name(sheet: int) -> str:
    """Return the name of a sheet of the storyboard."""
    return f"art/{_SHEET.format(sheet)}"


def poster_size(plan: Plan) -> tuple[int, int]:
    """Return width and height of the poster of a plan with a picture, pixels."""
    return _within(plan, POSTER_SIDE)


def storyboard(plan: Plan) -> Storyboard:
    """Return the storyboard of a plan with a picture: one picture every 2 s, or as many seconds as make 200 of them."""
    interval = max(_SHORTEST, math.ceil(plan.duration / _MOST_TILES))
    width, height = _within(plan, _TILE_SIDE)
    return Storyboard(interval=interval, count=math.ceil(plan.duration / interval), width=width, height=height)


def storyboard_vtt(board: Storyboard, duration: Fraction) -> str:
    """Return the WebVTT file that leads from a time to a picture (W3C WebVTT; Media Fragments URI 1.0 section 4.2.2).

    Args:
        board: The storyboard.
        duration: Seconds that the film lasts.
    """
    lines = ["WEBVTT", ""]
    for tile in range(board.count):
        begin, end = Fraction(tile * board.interval), min(Fraction((tile + 1) * board.interval), duration)
        x, y = board.place(tile)
        sheet = _SHEET.format(tile // board.per_sheet)
        lines += [f"{_clock(begin)} --> {_clock(end)}", f"{sheet}#xywh={x},{y},{board.width},{board.height}", ""]
    return "\n".join(lines)


def waveform_json(peaks: Sequence[tuple[int, int]], *, sample_rate: int, samples_per_peak: int) -> str:
    """Return peaks in audiowaveform's JSON, version 2.

    Args:
        peaks: Lowest and highest sample of each stretch, -128 to 127.
        sample_rate: Samples per second that were looked at.
        samples_per_peak: Samples in a stretch.
    """
    return json.dumps(
        {
            "version": 2,
            "channels": 1,
            "sample_rate": sample_rate,
            "samples_per_pixel": samples_per_peak,
            "bits": 8,
            "length": len(peaks),
            "data": [value for peak in peaks for value in peak],
        },
        separators=(",", ":"),
    )


def _within(plan: Plan, side: int) -> tuple[int, int]:
    """Return the even size of a plan's picture whose long side is at most so many pixels."""
    largest = plan.video[0]
    scale = min(Fraction(1), Fraction(side, max(largest.width, largest.height)))
    return max(2, 2 * round(largest.width * scale / 2)), max(2, 2 * round(largest.height * scale / 2))


def _clock(seconds: Fraction) -> str:
    thousandths = round(seconds * 1000)
    return (
        f"{thousandths // 3_600_000:02d}:{thousandths // 60_000 % 60:02d}"
        f":{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"
    )
