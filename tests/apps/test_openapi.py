"""The OpenAPI document is true to what the API does: requests made up from it are answered as it says.

`MAMKIT_OPENAPI_CASES` is the number of requests that are tried on each database; without it, some hundred are. They are
tried in eight parts, of which each can be run alone (`-k "postgres and 3-of-8"`); `MAMKIT_OPENAPI_SEED` makes others.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.apps.api_process import running_api
from tests.apps.openapi_tries import QUICK, WHOLE, Tries
from tests.servers.postgres import Postgres

CASES = int(os.environ.get("MAMKIT_OPENAPI_CASES", "0"))
SEED = int(os.environ.get("MAMKIT_OPENAPI_SEED", "0"))
PARTS = 8 if CASES else 1
ROUNDS = 20  # of a part at most; each has other requests than the one before
UNLIMITED = {f"API_RATE_{name}": "0" for name in ("PER_USER", "PER_KEY", "PER_ADDRESS", "PER_SHARE", "LOGIN")}


@pytest.fixture(scope="module")
def tried() -> Counter[str]:
    """How many requests were tried on each database, by all parts so far."""
    return Counter()


@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"{part + 1}-of-{PARTS}")
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_whatever_the_document_allows_is_answered_as_it_says(
    database: str,
    part: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    tried: Counter[str],
    figure: Callable[[str], None],
) -> None:
    """No 5xx, and no status, header and body that the document does not name."""
    more: dict[str, Any] = dict(UNLIMITED)
    if database == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        more["DATABASE_URL"] = server.new_database()
    with running_api(tmp_path, **more) as (api,):
        tries = Tries(api.url, tmp_path / "data" / "objects")
        operations = tries.operations[part::PARTS]
        wanted = CASES // PARTS if CASES else len(operations)
        for number in range(ROUNDS):
            # Some operations take nothing that could be wrong, and some have few different requests.
            each = wanted // (3 * len(operations)) + 1 if CASES else 1
            first = (SEED * ROUNDS + number) * 1000
            tries.all(operations, WHOLE if CASES else QUICK, each=each, first_seed=first)
            if tries.failures or tries.answers.total() >= wanted:
                break
        assert httpx.get(f"{api.url}/healthz").status_code == 200
    tried[database] += tries.answers.total()
    by_status = ", ".join(f"{status}: {count}" for status, count in sorted(tries.answers.items()))
    figure(f"{tries.answers.total()} requests ({by_status}), {tried[database]} with the parts before, seed {SEED}")
    assert not tries.failures, "\n\n".join(f"{name}: {text}" for name, text in tries.failures.items())
    assert tries.answers.total() >= wanted
