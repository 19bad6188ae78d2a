"""Every Python example in the README and the docs runs as it stands there."""

import re
from pathlib import Path

import pytest

from tests.media_factory import make_clip

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```python(?P<flags>[^\n]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
REASON = re.compile(r"\s*#\s*(\S.*)")


def line(match: re.Match[str]) -> int:
    """Return the number of the line on which a snippet's fence stands."""
    return match.string.count("\n", 0, match.start()) + 1


SNIPPETS = [
    pytest.param(path, match, id=f"{path.relative_to(ROOT)}:{line(match)}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for match in FENCE.finditer(path.read_text("utf-8"))
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film that the pages call `holiday.mp4`."""
    return make_clip(tmp_path_factory.mktemp("film") / "holiday.mp4", seconds=8)


@pytest.mark.parametrize(("path", "match"), SNIPPETS)
def test_a_snippet_runs(
    path: Path, match: re.Match[str], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a namespace of its own, and a folder with nothing but a `holiday.mp4`.

    One that cannot run is marked `python no-run` and says why first.
    """
    flags = match["flags"].strip()
    assert flags in {"", "no-run"}, f"unknown mark {flags!r}"
    if flags:
        reason = REASON.match(match["code"])
        assert reason, "a snippet that is not run starts with a comment that says why"
        pytest.skip(reason[1])
    monkeypatch.chdir(tmp_path)
    (tmp_path / film.name).symlink_to(film)
    code = compile("\n" * line(match) + match["code"], str(path), "exec")  # so that tracebacks show the page's lines
    exec(code, {"__name__": "__main__"})  # noqa: S102 - that is what the test is for


def test_there_are_snippets_to_run() -> None:
    assert len(SNIPPETS) >= 4
