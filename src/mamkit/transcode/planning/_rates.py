"""The constant frame rate that a source's pictures are shown at."""

import math
from fractions import Fraction

__all__ = ["output_rate"]

_STANDARD = tuple(
    Fraction(*rate)
    for rate in (
        (5, 1),
        (6, 1),
        (8, 1),
        (10, 1),
        (12, 1),
        (25, 2),
        (15_000, 1001),
        (15, 1),
        (20, 1),
        (24_000, 1001),
        (24, 1),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
    )
)
_SLOWEST = Fraction(5)  # frames per second; slower pictures are repeated, so that a segment has whole GOPs of 2 s
_FASTEST = Fraction(60)  # HLS Authoring Specification, rule 1.19
_SLOWEST_FROM_VARIABLE = Fraction(24)  # a low average may hide bursts of motion
_STEADY_TOLERANCE = Fraction(1, 400)  # how far a rate measured from rounded timestamps may be off
_VARIABLE_TOLERANCE = Fraction(3, 100)


def output_rate(rate: Fraction, *, variable: bool) -> Fraction:
    """Return the frame rate for a source: 5 to 60 frames per second, standard wherever the source is near a standard.

    A steady rate that is no standard (18 frames per second of amateur film) is kept; one above 60 is divided by a whole
    number, and one below 5 is multiplied by one. A variable rate becomes the standard rate near or above its average,
    and 24 at least.

    Args:
        rate: Average frames per second of the source, > 0.
        variable: Whether the time between frames varies.
    """
    tolerance = _VARIABLE_TOLERANCE if variable else _STEADY_TOLERANCE
    if rate > _FASTEST * (1 + tolerance):
        rate /= math.ceil(rate / _FASTEST / (1 + tolerance))
    elif rate < _SLOWEST:
        rate *= math.ceil(_SLOWEST / rate)
    if variable:
        rate = max(rate, _SLOWEST_FROM_VARIABLE)
    nearest = min(_STANDARD, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= tolerance * rate:
        return nearest
    if variable:
        return next(standard for standard in _STANDARD if standard >= rate)
    return rate.limit_denominator(1001)
