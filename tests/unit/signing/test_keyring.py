"""Key rings: which secrets are good enough, and how they are changed and kept as text."""

import pickle
import re
from typing import Any

import pytest

from mamkit.signing import KeyRing, KeyRingError, UnknownKeyError

A, B = b"a" * 32, b"b" * 40


def test_the_newest_key_signs_and_all_are_there() -> None:
    ring = KeyRing({"new": A, "old": B})
    assert ring.current == ("new", A)
    assert list(ring) == ["new", "old"]
    assert (ring["old"], len(ring), "old" in ring, "other" in ring) == (B, 2, True, False)


def test_an_unknown_key_is_evidence() -> None:
    with pytest.raises(UnknownKeyError) as raised:
        KeyRing({"a": A})["b" * 1000]
    assert raised.value.kid == "b" * 1000
    assert isinstance(raised.value, LookupError)
    assert len(str(raised.value)) < 200


def test_neither_repr_nor_str_shows_a_secret() -> None:
    ring = KeyRing({"new": A, "old": B})
    assert repr(ring) == str(ring) == "<KeyRing new, old>"


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"": A},
        {"a.b": A},
        {"a b": A},
        {"a\n": A},
        {"é": A},
        {"x" * 33: A},
        {"a": b""},
        {"a": A[:-1]},
        {"a": "a" * 32},
        {"a": bytearray(A)},
        {"a": None},
        {"b": A, "a": b"short"},
        {None: A},
    ],
)
def test_what_is_no_key_makes_no_ring(keys: dict[Any, Any]) -> None:
    with pytest.raises(KeyRingError) as raised:
        KeyRing(keys)
    assert "short'" not in str(raised.value)


def test_a_secret_in_the_place_of_an_id_is_not_shown() -> None:
    with pytest.raises(KeyRingError) as raised:
        KeyRing({"secret=secret=secret": A})
    assert "secret=" not in str(raised.value)
    with pytest.raises(KeyRingError) as raised:
        KeyRing.parse("secret=secret=secret")
    assert "secret=" not in str(raised.value)


def test_a_ring_goes_to_text_and_back() -> None:
    ring = KeyRing({"new": bytes(range(224, 256)), "old": B})
    text = ring.dump()
    assert re.fullmatch(r"new:[\w-]{43},old:[\w-]{54}", text)
    for written in (text, f" {text}\n", text.replace(",", " ,\n ")):
        again = KeyRing.parse(written)
        assert [(kid, again[kid]) for kid in again] == [(kid, ring[kid]) for kid in ring]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a",
        "a:",
        ":YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
        "a:YWFh",
        "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
        "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWF",  # other unused bits
        "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYW+",
        "a:YWFhYWFhYWFh YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
        "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE,",
        "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE,a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
        "a:éééééééééééééééééééééééééééééééééééééééééé",
    ],
)
def test_what_is_no_text_of_a_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(KeyRingError) as raised:
        KeyRing.parse(text)
    assert "YWFh" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_generated_rings_differ() -> None:
    one, other = KeyRing.generate(), KeyRing.generate()
    assert one.current[1] != other.current[1]
    assert len(one.current[1]) == 32
    assert KeyRing.parse(one.dump()).current == one.current


def test_a_ring_is_rotated_and_a_key_retired() -> None:
    """The ring itself stays as it was."""
    ring = KeyRing({"first": A})
    rotated = ring.rotated()
    kid, secret = rotated.current
    assert list(rotated) == [kid, "first"]
    assert secret != A
    retired = rotated.retired("first")
    assert list(retired) == [kid]
    assert list(ring) == ["first"]
    with pytest.raises(UnknownKeyError):
        retired.retired("first")
    with pytest.raises(KeyRingError):
        retired.retired(kid)


def test_what_the_ring_was_made_of_may_change() -> None:
    keys = {"a": A}
    ring = KeyRing(keys)
    keys["b"] = B
    del keys["a"]
    assert list(ring) == ["a"]
    assert pickle.loads(pickle.dumps(ring)).current == ("a", A)  # noqa: S301 - goes to a worker process whole
