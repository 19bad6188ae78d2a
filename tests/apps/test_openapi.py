"""The OpenAPI document is true to what the API does: requests made up from it are answered as it says.

`MAMKIT_OPENAPI_CASES` is the number of requests that are tried on each database; without it, some hundred are.
"""

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.apps.api_process import bearer, running_api
from tests.servers.postgres import Postgres

CASES = int(os.environ.get("MAMKIT_OPENAPI_CASES", "0"))
QUICK = [(GenerationMode.POSITIVE, True), (GenerationMode.NEGATIVE, False)]
WHOLE = [(mode, login) for mode in GenerationMode for login in (True, False)]
"""What is tried of every operation: sensible and senseless requests, with and without a login."""
# Whether senseless requests are all refused is not among them: white space around a text is taken off before it is
# measured, which no schema can say, and names in a query that no operation knows are let be.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
ENDLESS = {"/api/preview/events", "/api/events"}
"""Streams that go on until the client leaves; what they refuse is tried with everything else."""


class Tries:
    """Requests made up from the document, and what became of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers = bearer(url)
        self.answers: Counter[int] = Counter()
        self.failures: dict[str, str] = {}
        self.session = requests.Session()
        self.asset = self._asset()
        self.schema = schemathesis.openapi.from_url(f"{url}/schema/openapi.json")

    def _asset(self) -> str:
        """Record an asset, so that not everything that is asked for is missing."""
        wanted: dict[str, Any] = {"filename": "a.mp4", "size": 5}
        presigned = self.session.post(f"{self.url}/api/presign", json=wanted, headers=self.headers).json()
        body = {"asset_id": presigned["asset_id"], "filename": "a.mp4", "title": "A film"}
        self.session.post(f"{self.url}/api/assets", json=body, headers=self.headers).raise_for_status()
        return str(presigned["asset_id"])

    def all(self, kinds: list[tuple[GenerationMode, bool]], *, each: int) -> None:
        """Try every operation."""
        found: Any
        for number, found in enumerate(self.schema.get_all_operations()):
            for mode, login in kinds:
                with contextlib.suppress(Unsatisfiable):  # a request without parameters is never senseless
                    self._try(found.ok(), mode, login=login, number=number, most=each)

    def _try(self, operation: Any, mode: GenerationMode, *, login: bool, number: int, most: int) -> None:
        health = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

        @seed(number)
        @settings(max_examples=most, deadline=None, database=None, suppress_health_check=health)
        @given(case=operation.as_strategy(generation_mode=mode), known=booleans())
        def one(case: Any, known: bool) -> None:
            if login and operation.path in ENDLESS and operation.method == "get" and mode is GenerationMode.POSITIVE:
                return
            if known and mode is GenerationMode.POSITIVE and "asset_id" in (case.path_parameters or {}):
                case.path_parameters["asset_id"] = self.asset
            headers = self.headers if login else None
            answer = case.call(base_url=self.url, headers=headers, session=self.session, allow_redirects=False)
            self.answers[answer.status_code] += 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except (Exception, FailureGroup) as error:  # all of them are to be seen at once
                self.failures.setdefault(f"{operation.method} {operation.path} {answer.status_code}", str(error)[:3000])
            if login and answer.status_code in {204, 401} and self._logged_out():
                self.headers = bearer(self.url)  # a case ended the session, as it may

        one()

    def _logged_out(self) -> bool:
        return self.session.get(f"{self.url}/auth/me", headers=self.headers).status_code == 401


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_whatever_the_document_allows_is_answered_as_it_says(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """No 5xx, and no status, header and body that the document does not name."""
    rates = ("per_user", "per_key", "per_address", "login")
    more: dict[str, Any] = {f"API_RATE_{name.upper()}": "0" for name in rates}
    if database == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        more["DATABASE_URL"] = server.new_database()
    with running_api(tmp_path, **more) as (api,):
        tries = Tries(api.url)
        count = len(list(tries.schema.get_all_operations()))
        # Some operations take nothing that could be wrong, and some have few different requests.
        tries.all(WHOLE if CASES else QUICK, each=CASES // (2 * count) + 1 if CASES else 1)
        assert httpx.get(f"{api.url}/healthz").status_code == 200
        assert not tries.failures, "\n\n".join(f"{name}: {text}" for name, text in tries.failures.items())
    if CASES:
        with capsys.disabled():
            print(f"\n{database}: {tries.answers.total()} requests, by status {dict(sorted(tries.answers.items()))}")  # noqa: T201 - the long round's figures
    assert tries.answers.total() >= (CASES or count)
