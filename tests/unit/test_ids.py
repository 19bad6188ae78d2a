"""Identifiers: of version 7, of now, and in order."""

import time

from mamkit.ids import uuid7


def test_they_are_of_version_7_and_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_those_that_are_made_one_after_the_other_sort_so() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
