"""Modules are small, finished, and the library keeps out of its process's surroundings."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, LIBRARY, ROOT, files, tree

LONGEST = 400  # lines; one concept a module seldom needs 300
LONGEST_SUITE = 600  # lines of a contract suite, which is a list of short tests

MODULES = files(LIBRARY, APPS)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_are_short(figure: Callable[[str], None]) -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in MODULES}
    longest = sorted(lines, key=lambda path: lines[path], reverse=True)[:5]
    figure("longest modules: " + ", ".join(f"{name(path)} {lines[path]}" for path in longest))
    limits = {path: LONGEST_SUITE if path.parent == LIBRARY / "testing" else LONGEST for path in MODULES}
    assert [name(path) for path in MODULES if lines[path] > limits[path]] == []


def test_the_library_reads_no_environment() -> None:
    readers = {"environ", "environb", "getenv", "getenvb"}
    found = [
        f"{name(path)}:{node.lineno}"
        for path in files(LIBRARY)
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and readers & {each.name for each in node.names})
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    """No stub stands where work should be: what is there works."""
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b")
    found = [
        f"{name(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if mark.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name)
def test_a_package_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))
    assert docstring is not None
    assert len(docstring) > 20


@pytest.mark.parametrize("path", files(LIBRARY), ids=name)
def test_a_module_of_the_library_names_what_is_public(path: Path) -> None:
    """`__all__` of every module that defines something public, sorted out of what really is there."""
    if "migrations" in path.parts:
        return
    body = tree(path).body
    public = [
        node.name
        for node in body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]
    exported = [
        node
        for node in body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert exported or not public
