"""Everything raised on purpose is a `MamkitError` with a code of its own; programs may rely on the codes."""

import ast
import builtins
import inspect
import re
from collections import Counter

import pytest

from mamkit.errors import MamkitError
from tests.architecture.sources import LIBRARY, classes, files, tree

ALLOWED = {
    "ValueError": "an argument that only a mistake in the calling program can make; or caught in the same module",
    "TypeError": "the same, of a wrong type",
    "IndexError": "what a sequence must raise",
    "KeyError": "what a mapping must raise",
    "AttributeError": "what `__getattr__` must raise",
    "StopIteration": "what an iterator must raise",
}
"""The builtin exceptions that the library raises, and what for."""

ERRORS = sorted(
    (found for found in classes() if issubclass(found, BaseException) and not found.__name__.startswith("_")),
    key=lambda found: found.__name__,
)
"""All but private ones, which unwind a stack inside one module and are caught there."""


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_is_a_mamkit_error_with_a_code_of_its_own(error: type) -> None:
    """`area.what_happened`, where the area is the package in which the error is defined."""
    assert issubclass(error, MamkitError)
    assert "code" in vars(error), "the code is inherited"
    module = error.__module__.split(".")
    area = "apps" if module[0] == "mamkit_apps" else module[1] if len(module) > 2 else "mamkit"
    assert re.fullmatch(rf"{area}\.[a-z][a-z0-9]*(_[a-z0-9]+)*", error.code)


def test_no_two_errors_share_a_code() -> None:
    codes = Counter(error.code for error in ERRORS if issubclass(error, MamkitError))
    assert [code for code, count in codes.items() if count > 1] == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_says_in_its_docstring_what_happened(error: type) -> None:
    assert inspect.getdoc(error)
    assert error.__doc__ is not None


def test_the_library_raises_few_builtin_exceptions() -> None:
    builtin = {name for name, value in vars(builtins).items() if inspect.isclass(value)}
    found = []
    for path in set(files(LIBRARY)) - set(files(LIBRARY / "testing")):  # contract suites raise as tests do
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Raise):
                continue
            name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(name, ast.Name) and name.id in builtin - ALLOWED.keys():
                found.append(f"{path.relative_to(LIBRARY)}:{node.lineno} raises {name.id}")
    assert found == []
