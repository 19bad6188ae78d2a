"""Still images: nothing of them plays, and what shows them is made as a film's artwork is, in one part."""

from fractions import Fraction

from mamkit.transcode import Part, Plan, StillImageError

__all__ = ["STILL_PLAN", "facts_of_still", "is_of_still"]

STILL_PLAN = Plan(
    duration=Fraction(0),
    origin=Fraction(0),
    video_stream=None,
    frame_rate=None,
    frame_count=0,
    gop_frames=0,
    segment_frames=0,
    segment_duration=Fraction(0),
    segment_count=0,
    video=(),
    audio=(),
    parts=(Part(index=0, kind="artwork", start=0, stop=0),),
)
"""The plan of every still image: poster and thumbnail, and no segments."""


def is_of_still(part: Part) -> bool:
    """Return whether a part is what shows a still image; a film's artwork is of at least one segment."""
    return part.kind == "artwork" and part.stop == 0


def facts_of_still(still: StillImageError, size: int) -> dict[str, object]:
    """Return what the catalog keeps of a still image.

    Args:
        still: What the probe said of it.
        size: Bytes of the file.
    """
    image = {"format": still.format, "width": still.width, "height": still.height}
    return {"container": still.format, "size": size, "duration": "0", "image": image}
