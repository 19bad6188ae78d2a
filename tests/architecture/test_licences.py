"""Whatever mamkit installs may be used in a product: its licence is one of a list, and none is unknown."""

import importlib.metadata
import re

import pytest

from tests.architecture.distributions import EXTRAS, brought_by

# SPDX identifiers: the two lists of what is permissive, and of weak copyleft, which binds only who changes the file.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "HPND", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense",
    "ZPL-2.1", "CNRI-Python",
}  # fmt: skip
WEAK_COPYLEFT = {"LGPL-3.0-only", "MPL-2.0"}
# What a distribution says in words of its own, and in classifiers.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "BSD-3-Clause License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


def licences(name: str) -> set[str]:
    """Return the licences that a distribution names, as SPDX identifiers where they are known."""
    facts = importlib.metadata.metadata(name)
    if expression := (facts.get_all("License-Expression") or [""])[0]:
        return set(re.findall(r"[\w.+-]+", re.sub(r"\b(?:AND|OR|WITH)\b", " ", expression)))
    named = [line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or [] if line.startswith("License :: ")]
    named = [each for each in named if each != "OSI Approved"] or facts.get_all("License") or ["UNKNOWN"]
    return {WORDS.get(each.partition("\n")[0], each) for each in named}  # some put the whole text there


BROUGHT = sorted(set().union(*(brought_by(extra) for extra in EXTRAS)) - {"mamkit"})


@pytest.mark.parametrize("name", BROUGHT)
def test_what_mamkit_brings_may_be_used_anywhere(name: str) -> None:
    """A new licence is looked at by a person, who adds it to the list or does without the package."""
    found = licences(name)
    assert found
    assert found <= PERMISSIVE | WEAK_COPYLEFT, f"{name}: {sorted(found)}"


def test_what_is_not_on_the_list_is_found() -> None:
    assert len(BROUGHT) > 30
    assert not {"GPL-3.0-or-later", "UNKNOWN"} & (PERMISSIVE | WEAK_COPYLEFT)
