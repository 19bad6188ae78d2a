"""What strangers wrote is shown on a terminal, and does nothing to it."""

from io import StringIO

import pytest
from rich.console import Console

from mamkit_apps.terminal import one_line, transfer_bar


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
        ("\ud800", " "),
    ],
)
def test_attack_a_text_that_commands_the_terminal(written: str, shown: str) -> None:
    assert one_line(written) == shown


def test_attack_the_name_of_a_file_is_shown_as_it_is_written() -> None:
    """It is neither markup nor a command."""
    screen = StringIO()
    with transfer_bar(
        "[red]a [x265] [/i]\x07.mp4", console=Console(file=screen, force_terminal=True, width=120)
    ) as bar:
        bar(1, 2)
    assert "[red]a [x265] [/i] .mp4" in screen.getvalue()


def test_a_script_reads_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with transfer_bar("film.mp4") as bar:
        bar(1, 2)
    assert capsys.readouterr() == ("", "")
