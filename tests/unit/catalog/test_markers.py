"""Markers: exact frames at every rate, and text that stays text in every form."""

import csv
import io
import re
from fractions import Fraction
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.catalog.markers import Marker, as_csv, as_edl, as_fcpxml, as_premiere, time_code

NTSC = Fraction(30000, 1001)
MARKERS = [
    Marker(start=Fraction(1.48), author="Ada", text='too <dark> & "cold"\nhere', resolved=True),
    Marker(start=Fraction(3600), stop=Fraction(3602), author="Eve | Co", text="=1+1"),
]

rates = st.sampled_from([Fraction(24), Fraction(25), NTSC, Fraction(24000, 1001), Fraction(60), Fraction(1, 2)])
texts = st.text(max_size=30)
markers = st.builds(
    Marker,
    start=st.floats(0, 1e9).map(Fraction),
    stop=st.none() | st.floats(0, 1e9).map(Fraction),
    author=texts,
    text=texts,
    resolved=st.booleans(),
)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), NTSC, Fraction(60000, 1001)])
def test_the_time_that_a_player_tells_for_a_frame_is_that_frame(rate: Fraction) -> None:
    for frame in (*range(2000), 10**6 + 7):
        assert Marker(start=Fraction(float(frame / rate))).frames(rate) == (frame, frame + 1)


@pytest.mark.parametrize(
    ("frame", "rate", "code"),
    [
        (0, Fraction(25), "00:00:00:00"),
        (37, Fraction(25), "00:00:01:12"),
        (107_892, NTSC, "00:59:56:12"),  # an hour of film: non-drop codes fall behind by 3.6 s
        (90_000, Fraction(25), "01:00:00:00"),
        (100 * 90_000, Fraction(25), "00:00:00:00"),
        (3, Fraction(1, 2), "00:00:03:00"),
    ],
)
def test_time_codes(frame: int, rate: Fraction, code: str) -> None:
    assert time_code(frame, rate) == code


def test_an_edit_decision_list() -> None:
    assert as_edl(MARKERS, rate=Fraction(25), title="A\nfilm").split("\r\n") == [
        "TITLE: A film",
        "FCM: NON-DROP FRAME",
        "",
        "001  001      V     C        00:00:01:12 00:00:01:13 00:00:01:12 00:00:01:13",
        ' |C:ResolveColorGreen |M:Ada: too <dark> & "cold" here |D:1',
        "",
        "002  001      V     C        01:00:00:00 01:00:00:01 01:00:00:00 01:00:00:01",
        " |C:ResolveColorBlue |M:Eve / Co: =1+1 |D:50",
        "",
    ]


def test_final_cut_and_premiere_find_every_marker_at_its_frame() -> None:
    tree = ET.fromstring(as_fcpxml(MARKERS, rate=NTSC, title="<A>", duration=Fraction(10)))  # noqa: S314 - ours
    found = [(each.get("start"), each.get("duration"), each.get("completed")) for each in tree.iter("marker")]
    assert found == [("44044/30000s", "1001/30000s", "1"), ("107999892/30000s", "61061/30000s", "0")]
    [gap] = tree.iter("gap")
    assert gap.get("duration") == f"{107953 * 1001}/30000s"
    tree = ET.fromstring(as_premiere(MARKERS, rate=NTSC, title="<A>", duration=Fraction(10)))  # noqa: S314 - ours
    assert [(each.findtext("in"), each.findtext("out")) for each in tree.iter("marker")] == [
        ("44", "-1"),
        ("107892", "107953"),
    ]
    assert (tree.findtext(".//timebase"), tree.findtext(".//ntsc"), tree.findtext("sequence/name")) == (
        "30",
        "TRUE",
        "<A>",
    )


@given(st.lists(markers, max_size=4), rates, texts)
def test_no_text_breaks_a_form(found: list[Marker], rate: Fraction, title: str) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(found, rate=rate), newline="")))
    assert len(rows) == len(found) + 1
    assert all(len(row) == 6 for row in rows)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    lines = as_edl(found, rate=rate, title=title).split("\r\n")
    assert len(lines) == 3 + 3 * len(found)
    assert all(line.count("|") == 3 for line in lines if line.startswith(" |"))
    for text in (
        as_fcpxml(found, rate=rate, title=title, duration=Fraction(1)),
        as_premiere(found, rate=rate, title=title, duration=Fraction(1)),
    ):
        tree = ET.fromstring(text.encode())  # noqa: S314 - ours
        assert len(list(tree.iter("marker"))) == len(found)
        assert not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text)
