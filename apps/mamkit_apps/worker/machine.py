"""How many jobs are best done at once on a machine."""

from mamkit.transcode.machine import at_once

__all__ = ["card_slots_of", "slots_of"]

_SIZES = 4  # renditions of the usual ladder, each of which takes a session of a card


def slots_of(count: int) -> int:
    """Return how many jobs are best done at once on so many processors.

    One for every two, which an encode keeps at work; two where there are two or three, so that the sound that playback
    waits for is made beside the first picture.
    """
    return max(min(count, 2), at_once(count))


def card_slots_of(sessions: int) -> int:
    """Return how many parts are best made at once on a card with so many sessions."""
    return max(1, sessions // _SIZES)
