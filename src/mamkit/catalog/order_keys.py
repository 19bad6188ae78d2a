"""Keys that order things by hand: between any two there is room for another, so that a move changes one row.

A key is a fraction between 0 and 1 in base 62, by its digits, without zeros at its end, so that there is one spelling
of each. What comes last or first gets a key at a fixed distance from its neighbour rather than half-way to the border:
lists that only grow keep short keys.
"""

from itertools import takewhile

__all__ = ["MAX_KEY", "between", "spread"]

MAX_KEY = 190
"""Most characters of a key; what is longer asks for its neighbours to be spread anew. Columns have room for 200."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # in the order of their code points
_BASE = len(_DIGITS)
_WIDTH = 8  # digits of a key that nobody moved anything to: 2 * 10^14 places
_STEP = _BASE**4  # leaves room for 23 halvings before keys grow, and for 7 million appended from the middle on


def between(low: str | None, high: str | None) -> str:
    """Return a key between two others.

    Args:
        low: A key of this module, or None: before `high`, whatever comes before it.
        high: A greater one, or None: after `low`, whatever comes after it.
    """
    if low is not None and high is None and (above := _number(low, _WIDTH) + _STEP) < _BASE**_WIDTH:
        return _key(above, _WIDTH)
    if low is None and high is not None and (below := _number(high, _WIDTH) - _STEP) > 0:
        return _key(below, _WIDTH)
    return spread(low, high, 1)[0]


def spread(low: str | None, high: str | None, count: int) -> list[str]:
    """Return keys in order, as evenly as can be between two others.

    Args:
        low: As for `between`.
        high: As for `between`.
        count: How many.
    """
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low or "", high or "", strict=False)))
    width = max(_WIDTH, shared + 1)
    while True:
        first = 0 if low is None else _number(low, width)
        room = (_BASE**width if high is None else _number(high, width)) - first
        if room > count:
            return [_key(first + room * place // (count + 1), width) for place in range(1, count + 1)]
        width += 1


def _number(key: str, width: int) -> int:
    """Return the first digits of a key as a whole number."""
    number = 0
    for digit in key[:width].ljust(width, _DIGITS[0]):
        number = number * _BASE + _DIGITS.index(digit)
    return number


def _key(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, _BASE)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rstrip(_DIGITS[0])
