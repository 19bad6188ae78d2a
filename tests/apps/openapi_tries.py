"""Requests made up from the API's OpenAPI document, sent to a real process, and what became of them."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import sampled_from
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

from tests.apps.api_process import PATIENCE
from tests.apps.openapi_things import Things

__all__ = ["QUICK", "WHOLE", "Kind", "Tries"]

Kind = tuple[GenerationMode, bool]
QUICK: list[Kind] = [(GenerationMode.POSITIVE, True), (GenerationMode.NEGATIVE, False)]
WHOLE: list[Kind] = [(mode, login) for mode in GenerationMode for login in (True, False)]
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
HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


class Tries:
    """Tries operations of one API.

    Args:
        url: Of the API.
        objects: Folder in which its store keeps uploads.
    """

    def __init__(self, url: str, objects: Path) -> None:
        self.url = url
        self.answers: Counter[int] = Counter()
        self.failures: dict[str, str] = {}
        self._things = Things(url, objects)
        self._session = requests.Session()
        self.operations: list[Any] = [
            found.ok()  # type: ignore[union-attr]
            for found in schemathesis.openapi.from_url(f"{url}/schema/openapi.json").get_all_operations()
        ]

    def all(self, operations: list[Any], kinds: list[Kind], *, each: int, first_seed: int) -> None:
        """Try operations, each up to so many times in each way; another seed makes other requests."""
        for number, operation in enumerate(operations):
            for mode, login in kinds:
                with contextlib.suppress(Unsatisfiable):  # a request without parameters is never senseless
                    self._try(operation, mode, login=login, seeded=first_seed + number, most=each)

    def _try(self, operation: Any, mode: GenerationMode, *, login: bool, seeded: int, most: int) -> None:
        sensible = mode is GenerationMode.POSITIVE

        @seed(seeded)
        @settings(
            max_examples=most, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HEALTH
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=sampled_from([True, False]))
        def one(case: Any, known: bool) -> None:
            if sensible and login and known:
                self._make_known(case)
            if case.operation.path == "/api/events" and (sensible or _follows(case.query)):
                case.query = {**(case.query or {}), "follow": "false"}  # the stream would go on for ever
            headers = self._headers(operation) if login else None
            answer = case.call(
                base_url=self.url, headers=headers, session=self._session, allow_redirects=False, timeout=PATIENCE
            )
            self.answers[answer.status_code] += 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except (Exception, FailureGroup) as error:  # all of them are to be seen at once
                self.failures.setdefault(f"{operation.method} {operation.path} {answer.status_code}", str(error)[:3000])
            self._tidy(operation, answer, login=login)

        one()

    def _headers(self, operation: Any) -> dict[str, str]:
        if operation.path.startswith("/api/shared"):
            self._things.link_id()
            return self._things.link
        return self._things.login

    def _tidy(self, operation: Any, answer: Any, *, login: bool) -> None:
        """Notice that a request has ended a login, or removed what was there, as it may."""
        if login and answer.status_code in {204, 401}:
            self._things.keep_login()
        if answer.status_code < 300 and (
            operation.method == "delete" or {"trash", "share-links"} & set(_words(operation))
        ):
            self._things.known = {}

    def _make_known(self, case: Any) -> None:
        """Let a request be about what is there, wherever it names something, rather than about nothing."""
        places = [case.path_parameters, case.body]
        if case.operation.path != "/api/preview/events":  # of a preview that nobody builds it would go on for ever
            places.append(case.query)
        for place in filter(None, places):
            if isinstance(place, dict):
                made = {name: self._things.of(name, trashed="trash" in _words(case.operation)) for name in place}
                place |= {name: thing for name, thing in made.items() if thing}
        for name, value in (("If-Match", "*"), ("Idempotency-Key", uuid4().hex)):
            if case.headers and name in case.headers:
                case.headers[name] = value


def _follows(query: Any) -> bool:
    """Return whether a stream goes on, of a request that was meant to be wrong and may not be, in this respect."""
    return not isinstance(query, dict) or str(query.get("follow", True)).lower() in {"true", "1", "on", "t", "y", "yes"}


def _words(operation: Any) -> list[str]:
    return str(operation.path).split("/")
