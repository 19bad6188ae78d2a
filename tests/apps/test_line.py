"""The line that shows how far something is: on a terminal and elsewhere."""

from io import StringIO

import pytest

from mamkit_apps.cli._line import QUIET, SELDOM, Line, Pace
from mamkit_apps.terminal import duration_text

GIB = 1 << 30


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True

    def seen(self) -> str:
        """What stands in the line that the cursor is in."""
        return self.getvalue().rsplit("\r", 1)[-1].rstrip()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_terminal_shows_bytes_speed_and_the_time_that_is_left_in_one_line(clock: Clock) -> None:
    line = Line("holiday.mov", stream=(screen := Terminal()), clock=clock)
    line.tell("sending", 4 * GIB, 20 * GIB)  # it was taken up again: these were not sent now
    for second in range(1, 6):
        clock.now = 100 + second
        line.tell("sending", 4 * GIB + second * (1 << 20), 20 * GIB)
    line.draw()
    assert screen.seen() == "holiday.mov: sending 4.0 GiB of 20.0 GiB, 20 %, 1.0 MiB/s, 4 h 33 min left"
    clock.now += 7
    line.draw()
    assert screen.seen().endswith("20 %, nothing for 7 s")
    line.tell("its preview is being built,", 0.437)
    clock.now += 12
    line.draw()
    assert screen.seen() == "holiday.mov: its preview is being built, 43 %, 12 s"
    assert "\n" not in screen.getvalue()
    assert "\x1b" not in screen.getvalue(), "it is shown on a terminal that knows no colours, too"


def test_a_line_fits_in_80_columns_and_shows_no_control_characters(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    line = Line("\x1b[2J" + "a long name of a film, " * 20 + ".mov", stream=(screen := Terminal()), clock=clock)
    line.tell("sending", 1023 * GIB, 1024 * GIB)
    clock.now += 5
    line.tell("sending", 1023 * GIB + 1023, 1024 * GIB)
    line.draw()
    assert len(screen.seen()) == 79
    assert screen.seen().endswith("ilm, .mov: sending 1023.0 GiB of 1.0 TiB, 99 %, 205 B/s, 60 d 18 h left")
    line.tell("sending", 1, 2)
    monkeypatch.setenv("COLUMNS", "30")
    line.draw()
    assert screen.seen() == " [2Ja…, .mov: sending 1 B of"
    assert "\x1b" not in screen.getvalue()


def test_elsewhere_a_line_comes_after_ten_seconds_and_then_one_a_minute(clock: Clock) -> None:
    line = Line("holiday.mov", stream=(log := StringIO()), clock=clock)
    for second in range(200):
        clock.now = 100 + second
        line.tell("its preview waits for a worker,", 0.0)
        line.draw()
    shown = log.getvalue().splitlines()
    assert [each.rsplit(", ", 1)[1] for each in shown] == ["10 s", "1 min", "2 min", "3 min"]
    assert (QUIET, SELDOM) == (10, 60)


def test_what_ends_soon_shows_nothing_where_there_is_no_terminal() -> None:
    log = StringIO()
    with Line("holiday.mov", stream=log) as line:
        line.tell("sending", 1, 2)
    assert log.getvalue() == ""


def test_a_terminal_is_left_as_it_was() -> None:
    screen = Terminal()
    with Line("holiday.mov", stream=screen) as line:
        line.tell("sending", 1, 2)
        line.draw()
        line.end()
    assert screen.seen() == ""


def test_a_stream_that_nobody_reads_any_more_stops_no_work(clock: Clock) -> None:
    (gone := Terminal()).close()
    screen = Terminal()
    with Line("holiday.mov", stream=screen, clock=clock) as line:
        line.tell("sending", 1, 2)
        line._stream = gone
    assert line._over.is_set()


def test_a_pace_begins_anew_where_something_was_lost(clock: Clock) -> None:
    pace = Pace(clock)
    for done in (0, 1000, 2000):
        pace.take(done)
        clock.now += 1
    assert pace.rate(2000) == pytest.approx(2000 / 3)
    pace.take(500)
    clock.now += 2
    assert pace.rate(700) == 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3570, "1 h"),
        (5400, "1 h 30 min"),
        (86_400, "1 d"),
        (2e5, "2 d 8 h"),
    ],
)
def test_a_time_is_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
