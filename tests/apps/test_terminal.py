"""What strangers wrote is shown on a terminal, and does nothing to it."""

import pytest

from mamkit_apps.terminal import one_line


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("A film", "A film"),
        ("שלום, 世界, é", "שלום, 世界, é"),
        ("क्\u200dष", "क्\u200dष"),  # a joiner is part of how it is written
        ("\x1b[2J\x1b]0;owned\x07", " [2J ]0;owned "),
        ("one\ntwo\r\u2028three", "one two  three"),
        ("\x9b1A\x7f", " 1A "),  # the C1 form of ESC [
        ("holiday\u202egpj.exe\u2066", "holiday gpj.exe "),
        pytest.param("\ud800", " ", id="a lone surrogate"),
    ],
)
def test_attack_a_text_that_commands_the_terminal(written: str, shown: str) -> None:
    assert one_line(written) == shown
