"""What a client needs to know of every operation stands in the OpenAPI document: a rule each, for all of them."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from litestar.routes import HTTPRoute
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from mamkit_apps.api.asgi import create_app
from mamkit_apps.api.described import described
from mamkit_apps.api.settings import ApiSettings

METHODS = {"get", "post", "put", "patch", "delete"}
UNTOLD = {"/", "/healthz", "/metrics"}
"""For those who run the service, or type its address into a browser, not for its clients."""
MOST = 120  # letters of a summary: a line of a list


@cache
def document() -> dict[str, Any]:
    app = create_app(ApiSettings.load(data_dir=Path("nowhere")))
    return described(app, app.openapi_schema.to_schema())


def operations() -> list[tuple[str, dict[str, Any]]]:
    """Return every operation with its place, those of webhooks too."""
    paths = {**document()["paths"], **document()["webhooks"]}
    return [(f"{method.upper()} {path}", item[method]) for path, item in paths.items() for method in item]


def answers(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the answers of an operation by status, wherever they are described."""
    for status, found in operation["responses"].items():
        name = found.get("$ref", "").removeprefix("#/components/responses/")
        yield status, document()["components"]["responses"][name] if name else found


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every body that is JSON, with its place."""
    for name, operation in operations():
        places = {"request": operation.get("requestBody", {}), **dict(answers(operation))}
        for place, found in places.items():
            for kind, content in found.get("content", {}).items():
                if kind.endswith("json"):
                    yield f"{name} {place}", content


def test_it_is_what_the_specification_says_a_document_is() -> None:
    assert [str(error) for error in OPENAPI_31_VALIDATOR.iter_errors(document())] == []


def test_it_tells_of_every_route_that_is_for_clients() -> None:
    app = create_app(ApiSettings.load(data_dir=Path("nowhere")))
    routes = {
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for method in route.methods - {"OPTIONS"}
    }
    told = {f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item}
    assert {each for each in routes if each.partition(" ")[2] not in UNTOLD} == told


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    found: Counter[str] = Counter()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found[reference] += 1
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(document())
    components = {
        f"#/components/{kind}/{name}"
        for kind, each in document()["components"].items()
        for name in each
        if kind != "securitySchemes"
    }
    assert found.keys() <= components
    assert components - found.keys() <= {"#/components/responses/Problem405", "#/components/responses/Problem415"}


def test_no_two_operations_share_an_id() -> None:
    ids = Counter(each["operationId"] for _, each in operations())
    assert {name for name, count in ids.items() if count > 1} == set()


def test_every_operation_has_a_name_a_summary_a_description_and_a_tag_that_is_explained() -> None:
    tags = {each["name"]: each["description"] for each in document()["tags"]}
    for name, operation in operations():
        assert re.fullmatch("[a-z]+(_[a-z]+)*", operation["operationId"]), name
        assert re.fullmatch(rf"[A-Z][^\n]{{1,{MOST}}}[^.\n]", operation["summary"]), name
        assert len(operation["description"]) >= len(operation["summary"]), name
        assert all(tags[tag] for tag in operation["tags"]), name
        assert operation["tags"], name


def test_every_parameter_says_what_it_means_and_paths_have_theirs() -> None:
    for name, operation in operations():
        parameters = operation.get("parameters", [])
        assert {each["name"]: bool(each.get("description")) for each in parameters} == {
            each["name"]: True for each in parameters
        }, name
        assert [each["name"] for each in parameters if each["in"] == "path"] == re.findall(r"\{(\w+)\}", name), name
        assert all(each.get("required") for each in parameters if each["in"] == "path"), name


def test_who_may_ask_is_said_in_a_way_that_is_explained() -> None:
    schemes = document()["components"]["securitySchemes"]
    used = set()
    for name, operation in operations():
        ways = {way for each in operation.get("security", []) for way in each}
        used |= ways
        if ways - {"callback"}:  # a signature that is wrong is refused with 403
            assert {"401", "403"} <= operation["responses"].keys(), name
    assert used == schemes.keys()
    assert all(each["description"] for each in schemes.values())


def test_what_may_be_answered_is_named_status_by_status() -> None:
    for name, operation in operations():
        responses = operation["responses"]
        assert "default" not in responses, f"{name}: every status is named"
        assert any(status[0] in "123" for status in responses), name
        if operation["operationId"] != "receive_event":  # that one we ask, and others answer
            assert {"429", "503"} <= responses.keys(), name
            assert ("400" in responses) >= ("requestBody" in operation), name


def test_every_problem_is_a_problem_document_and_every_answer_names_its_request() -> None:
    for name, operation in operations():
        for status, answer in answers(operation):
            assert answer["description"], f"{name} {status}"
            if status == "101" or status.endswith("XX") or "410" in operation["responses"]:
                continue
            assert "X-Request-ID" in answer["headers"], f"{name} {status}"
            if int(status) >= 400 and "HealthView" not in str(answer["content"]):
                [(kind, content)] = answer["content"].items()
                assert kind == "application/problem+json", f"{name} {status}"
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    headers = document()["components"]["headers"]
    assert all(each["description"] and each["schema"] for each in headers.values())


def test_whoever_sends_a_tag_takes_it_back() -> None:
    """An `ETag` is no use without `If-None-Match` or `If-Match`, and neither of these without an `ETag`."""
    for name, operation in operations():
        named = {each["name"] for each in operation.get("parameters", [])}
        tagged = any("ETag" in answer.get("headers", {}) for status, answer in answers(operation) if status == "200")
        assert tagged == bool(named & {"If-Match", "If-None-Match"}), name
        assert ("304" in operation["responses"]) == ("If-None-Match" in named), name
        assert ({"412", "428"} <= operation["responses"].keys()) == ("If-Match" in named), name


def test_a_post_of_somebody_who_is_known_may_be_repeated() -> None:
    unkeyed = {"shared_unlock", "previews_take_report"}  # these may be repeated as they are
    for name, operation in operations():
        known = name.startswith("POST") and operation.get("security") and operation["operationId"] not in unkeyed
        keyed = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
        assert keyed == bool(known), name
        assert ("422" in operation["responses"]) == keyed, name


def test_every_body_has_an_example_that_its_schema_lets_through() -> None:
    found = dict(contents())
    assert len(found) > 500
    for place, content in found.items():
        schema = {**content["schema"], "components": document()["components"]}
        assert "example" in content, place
        errors = [str(error) for error in jsonschema_rs.iter_errors(schema, content["example"], validate_formats=True)]
        assert errors == [], place


def test_a_stream_says_what_its_events_are_and_a_socket_what_is_said_on_it() -> None:
    told = {
        operation["operationId"]: {each["properties"]["event"]["const"] for each in content["schema"]["anyOf"]}
        for _, operation in operations()
        for _, answer in answers(operation)
        for kind, content in answer.get("content", {}).items()
        if kind == "text/event-stream"
    }
    assert told == {"events": {"message", "hello", "reset", "end"}, "previews_preview_events": {"preview"}}
    [socket] = [operation["x-websocket"] for _, operation in operations() if "101" in operation["responses"]]
    assert socket.keys() == {"sends", "receives", "closes"}
