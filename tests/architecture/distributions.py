"""Which distributions the extras of mamkit bring, and to which ones loaded modules belong."""

import importlib.metadata
import tomllib
from functools import cache

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT, loaded_by

EXTRAS: dict[str, list[Requirement]] = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].items()
}
INSTALLED = importlib.metadata.packages_distributions()


def named_by(extra: str) -> set[str]:
    """Return the distributions that pyproject.toml names for an extra and the extras in it; none if it has no such."""
    found: set[str] = set()
    for requirement in EXTRAS.get(extra, []):
        if requirement.name == "mamkit":
            found = found.union(*(named_by(other) for other in requirement.extras))
        else:
            found.add(str(canonicalize_name(requirement.name)))
    return found


def brought_by(extra: str) -> set[str]:
    """Return the distributions that an extra installs, directly and indirectly."""
    found: set[str] = set()
    for requirement in EXTRAS.get(extra, []):
        if requirement.name == "mamkit":
            found = found.union(*(brought_by(other) for other in requirement.extras))
        else:
            found |= _closure(requirement.name, frozenset(requirement.extras))
    return found


@cache
def _closure(distribution: str, extras: frozenset[str]) -> frozenset[str]:
    found = {str(canonicalize_name(distribution))}
    for line in importlib.metadata.requires(distribution) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            found |= _closure(requirement.name, frozenset(requirement.extras))
    return frozenset(found)


def owners(package: str) -> set[str]:
    """Return the distributions that install a top-level package."""
    return {str(canonicalize_name(owner)) for owner in INSTALLED.get(package, [])}


def third_party(modules: frozenset[str]) -> set[str]:
    """Return the distributions that loaded modules belong to, beside those that an interpreter loads by itself."""
    packages = {name.partition(".")[0] for name in modules - loaded_by()}
    return set().union(*(owners(package) for package in packages)) - {"mamkit"}
