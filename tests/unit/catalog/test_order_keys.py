"""Keys that order things: always room between two, one spelling each, and short where lists only grow."""

from hypothesis import given
from hypothesis import strategies as st

from mamkit.catalog.order_keys import between, spread


@given(st.lists(st.integers(0, 10_000), max_size=120))
def test_whatever_is_put_wherever_the_order_is_as_asked(places: list[int]) -> None:
    keys: list[str] = []
    for place in places:
        at = place % (len(keys) + 1)
        low, high = keys[at - 1] if at else None, keys[at] if at < len(keys) else None
        keys.insert(at, between(low, high))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert all(key and not key.endswith("0") for key in keys)


def test_a_list_that_only_grows_keeps_short_keys() -> None:
    for end in ("last", "first"):
        key = between(None, None)
        for _ in range(10_000):
            following = between(key, None) if end == "last" else between(None, key)
            assert (following > key) is (end == "last")
            key = following
        assert len(key) <= 8


def test_at_the_borders_there_is_room_still() -> None:
    high, low = "z" * 8, "0000000" + "1"
    assert high < between(high, None)
    assert between(None, low) < low


@given(st.integers(1, 300), st.booleans(), st.booleans())
def test_spread_keys_are_in_order_between_their_borders(count: int, below: bool, above: bool) -> None:
    low, high = ("V1" if below else None), ("V2" if above else None)
    keys = spread(low, high, count)
    found = [*([low] if low else []), *keys, *([high] if high else [])]
    assert found == sorted(set(found))
    assert len(keys) == count
