"""The workflows are understood by those who know them, may do no more than they need, and name actions by hash."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.architecture.sources import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_fits_the_schema(path: Path) -> None:
    """The one of SchemaStore, which comes with the package."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_nothing_is_found_against_them() -> None:
    """By zizmor, without asking anybody: injection, permissions, credentials that stay, actions by tag."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [scripts / "zizmor", "--offline", "--no-progress", "--color", "never", *WORKFLOWS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_by_hash_and_run_what_nox_runs(path: Path) -> None:
    text = path.read_text("utf-8")
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), used
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))
    for names in re.findall(r"nox -s ([\w ]+)", text):
        assert set(names.split()) <= sessions
    for job in yaml.safe_load(text)["jobs"].values():
        assert job["timeout-minutes"] <= 90


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]
