"""The docs speak of what is there."""

import builtins
import re
from pathlib import Path

import pytest
from mkdocs.config import load_config

from tests.architecture.sources import AREAS, ROOT, classes

DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text("utf-8")


def pages(nav: object) -> list[str]:
    """Return the pages that the navigation leads to."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(entries, str)
    return [page for entry in entries for page in pages(entry)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["architecture.md", "security.md", "guides/upgrade.md", "guides/release.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", (DOCS / page).read_text("utf-8"))
    assert len(named) >= 2
    for path, test in named:
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"


def test_every_error_that_a_page_names_is_there() -> None:
    known = {found.__name__ for found in classes()} | set(dir(builtins))
    for page in [*DOCS.rglob("*.md"), *(ROOT / "changes").glob("*.md"), ROOT / "README.md"]:
        assert set(re.findall(r"`(?:\w+\.)*(\w+Error)`", page.read_text("utf-8"))) <= known, page.name


def test_every_threat_names_the_test_of_its_answer() -> None:
    table = (DOCS / "security.md").read_text("utf-8").partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) >= 20
    assert all("`tests/" in row for row in rows)


def test_every_invariant_names_the_test_that_enforces_it() -> None:
    table = ARCHITECTURE.partition("## Invariants")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if re.match(r"\| \d", line)]
    assert [int(re.match(r"\| (\d+)", row)[1]) for row in rows] == list(range(1, len(rows) + 1))  # type: ignore[index]
    assert len(rows) == 9
    assert all("`tests/" in row for row in rows)


def test_every_area_stands_in_the_code_map_and_in_the_reference() -> None:
    reference = "".join(path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md"))
    for area in AREAS:
        assert f"`src/mamkit/{area}`" in ARCHITECTURE
        assert f"::: mamkit.{area}" in reference


def test_the_navigation_leads_to_every_page() -> None:
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert set(pages(load_config(str(ROOT / "mkdocs.yml")).nav)) == there


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_is_half_a_page_with_its_reasons(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem)
    assert text.startswith("# ")
    assert len(text.split()) <= 450


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name[:4] for path in (DOCS / "decisions").glob("*.md")]
    assert len(set(numbers)) == len(numbers)
