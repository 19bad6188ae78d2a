"""The repository names no package registry, and pins what it was tested with."""

import importlib.metadata
import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT

# In pieces, so that this file does not name them either.
REGISTRIES = re.compile(r"py[p]i\.(org|python)|python[h]osted\.|npm[j]s\.(org|com)|index[-]url")

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = {
    canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
    for requirement in map(Requirement, PYPROJECT["tool"]["uv"].get("constraint-dependencies", []))
    if requirement.marker is None or requirement.marker.evaluate()
}


def tracked() -> list[str]:
    """Return the paths that git keeps; where this is no checkout, skip."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("git does not keep this tree")
    return done.stdout.strip("\0").split("\0")


def test_no_registry_is_named() -> None:
    """Whoever installs mamkit uses the registry of their choice."""
    found = []
    for name in tracked():
        path = ROOT / name
        if path.is_file() and (match := REGISTRIES.search(path.read_bytes().decode("utf-8", "ignore"))):
            found.append(f"{name}: {match[0]}")
    assert found == []


def test_the_lock_file_stays_out() -> None:
    """It names download hosts; the exact versions are in pyproject.toml."""
    assert "uv.lock" in (ROOT / ".gitignore").read_text().splitlines()
    assert "uv.lock" not in tracked()


def test_every_pin_is_the_version_that_is_installed() -> None:
    """`nox -s pins` writes them anew. What another platform or Python needs may be pinned and not be here."""
    installed = {str(canonicalize_name(found.name)): found.version for found in importlib.metadata.distributions()}
    here = {name: version for name, version in PINS.items() if name in installed}
    assert here == {name: installed[name] for name in here}
    assert len(here) > len(PINS) / 2


def test_everything_that_mamkit_brings_is_pinned() -> None:
    for lines in PYPROJECT["project"]["optional-dependencies"].values():
        names = {canonicalize_name(Requirement(line).name) for line in lines} - {"mamkit"}
        assert names <= PINS.keys()


def test_news_is_in_files_that_a_release_joins() -> None:
    """`+a-few-words.added.md`, with a sentence or two; other names would be left out without a word."""
    kinds = "|".join(each["directory"] for each in PYPROJECT["tool"]["towncrier"]["type"])
    for path in (ROOT / "changes").iterdir():
        assert re.fullmatch(rf"\+[a-z0-9-]+\.({kinds})\.md|\.gitignore", path.name), path.name
        assert path.name == ".gitignore" or path.read_text("utf-8").strip()
