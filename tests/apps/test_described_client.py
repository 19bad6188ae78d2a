"""The client of the tests takes nothing that a document does not describe: else what it can do would show nothing."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.apps.described_client import DescribedClient

COUNT = {"type": "integer", "minimum": 0}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Ducks", "version": "1"},
    "servers": [{"url": "/"}],
    "paths": {
        "/ponds/{pond}/ducks": {
            "post": {
                "operationId": "count",
                "security": [{"word": []}],
                "parameters": [
                    {"name": "pond", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "Least", "in": "header", "schema": COUNT},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wanted"}}},
                },
                "responses": {
                    "200": {
                        "headers": {"Seen": {"$ref": "#/components/headers/Seen"}},
                        "content": {"application/json": {"schema": COUNT}},
                    },
                    "204": {"description": "No ducks."},
                },
            }
        }
    },
    "components": {
        "schemas": {"Wanted": {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}},
        "headers": {"Seen": {"required": True, "schema": {"type": "string", "pattern": "^by .+$"}}},
        "securitySchemes": {"word": {"type": "http", "scheme": "bearer"}},
    },
}
POND, GREEN, SEEN = {"pond": "a b"}, {"color": "green"}, {"seen": "by me"}
Handler = Callable[[httpx.Request], httpx.Response]


def client_of(answer: httpx.Response, asked: list[httpx.Request] | None = None) -> DescribedClient:
    """Return a client of an API that always gives one answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/openapi.json":
            return httpx.Response(200, json=DOCUMENT)
        (asked if asked is not None else []).append(request)
        return answer

    client = DescribedClient("https://ducks.example/openapi.json", httpx.MockTransport(handle))
    client.credentials["word"] = "quack"
    return client


def test_a_request_is_put_together_from_the_document() -> None:
    asked: list[httpx.Request] = []
    with client_of(httpx.Response(200, json=3, headers=SEEN), asked) as client:
        assert client.call("count", {**POND, "Least": 1}, GREEN).body == 3
    [request] = asked
    assert (request.method, str(request.url)) == ("POST", "https://ducks.example/ponds/a%20b/ducks")
    assert (request.headers["authorization"], request.headers["least"]) == ("Bearer quack", "1")
    assert (request.headers["content-type"], request.content) == ("application/json", b'{"color": "green"}')


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ({}, GREEN),
        ({**POND, "depth": 3}, GREEN),
        ({**POND, "Least": -1}, GREEN),
        (POND, {}),
        (POND, {"color": 3}),
    ],
    ids=["a parameter is missing", "one is unknown", "one is wrong", "a member is missing", "one is wrong in the body"],
)
def test_what_the_document_does_not_allow_is_not_sent(parameters: dict[str, Any], body: Any) -> None:
    asked: list[httpx.Request] = []
    with client_of(httpx.Response(204), asked) as client, pytest.raises(AssertionError):
        client.call("count", parameters, body)
    assert asked == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(201, json=3, headers=SEEN),
        httpx.Response(200, json=-1, headers=SEEN),
        httpx.Response(200, text="3", headers=SEEN),
        httpx.Response(200, json=3),
        httpx.Response(200, json=3, headers={"seen": "no"}),
        httpx.Response(204, text="none"),
    ],
    ids=["status", "body", "media type", "no header", "header", "a body where none is"],
)
def test_what_the_document_does_not_describe_is_not_taken(answer: httpx.Response) -> None:
    with client_of(answer) as client, pytest.raises(AssertionError):
        client.call("count", POND, GREEN)
