"""A client that knows nothing of the API but its OpenAPI document: no path, no header, no status stands in here.

It sends nothing that the document does not allow, and takes nothing that the document does not describe.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from urllib.parse import quote, urljoin

import httpx
import jsonschema_rs
from websockets.sync.client import connect

__all__ = ["Answer", "DescribedClient", "Event", "Socket"]

ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is as the document says."""

    status: int
    headers: Mapping[str, str]
    body: Any = None
    """JSON as objects, anything else as text; None if there is none."""

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of a stream."""

    name: str
    id: str
    data: Any


class DescribedClient:
    """A client of whatever API a document describes.

    Args:
        url: Of the document.
        transport: None: the network.

    Attributes:
        credentials: What shows who asks, by the names of the document's security schemes.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.http = httpx.Client(timeout=60, transport=transport)
        self.document: dict[str, Any] = self.http.get(url).raise_for_status().json()
        self.credentials: dict[str, str] = {}
        self._base = urljoin(url, self.document["servers"][0]["url"])
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        }
        self.used: set[str] = set()
        """Ids of the operations that were called."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, operation_id: str, parameters: Mapping[str, Any] | None = None, body: Any = ABSENT) -> Answer:
        """Call an operation and return its answer, whichever of those that are described."""
        request, operation = self._request(operation_id, parameters or {}, body)
        return self._checked(operation, self.http.send(request))

    def events(self, operation_id: str, parameters: Mapping[str, Any] | None = None) -> Generator[Event]:
        """Call an operation that answers with a stream, and yield its events."""
        request, operation = self._request(operation_id, parameters or {}, ABSENT)
        answer = self.http.send(request, stream=True)
        try:
            described = self._described(operation, answer)
            if not described.get("content"):
                return
            [schema] = [content["schema"] for content in described["content"].values()]
            for fields in _parsed(answer.iter_lines()):
                yield self._event(schema, fields)
        finally:
            answer.close()

    def follow(self, request: Mapping[str, Any], content: bytes) -> httpx.Response:
        """Send a signed request, as the document's description says: as it stands, with the bytes as its body."""
        answer = self.http.request(
            request["method"], request["url"], headers=request["headers"], content=content, auth=None
        )
        return answer.raise_for_status()

    @contextmanager
    def socket(self, operation_id: str) -> Iterator["Socket"]:
        """Open the WebSocket that an operation describes."""
        _, path, operation = self.operations[operation_id]
        self.used.add(operation_id)
        with connect(re.sub("^http", "ws", urljoin(self._base, path))) as connection:
            yield Socket(self, operation["x-websocket"], connection)

    def check(self, schema: Mapping[str, Any], value: Any, what: str) -> None:
        """Hold a value against a schema of the document."""
        validator = _validator(json.dumps(schema, sort_keys=True), json.dumps(self.document["components"]["schemas"]))
        errors = [str(error) for error in validator.iter_errors(value)]
        assert errors == [], f"{what}: {errors}"

    def _request(self, operation_id: str, given: Mapping[str, Any], body: Any) -> tuple[httpx.Request, dict[str, Any]]:
        method, path, operation = self.operations[operation_id]
        self.used.add(operation_id)
        parameters = {each["name"]: each for each in operation.get("parameters", [])}
        assert given.keys() <= parameters.keys(), f"{operation_id} has no {given.keys() - parameters.keys()}"
        missing = {name for name, each in parameters.items() if each.get("required")} - given.keys()
        assert not missing, f"{operation_id} needs {missing}"
        places: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        for name, value in given.items():
            self.check(parameters[name]["schema"], value, f"{operation_id} {name}")
            place = parameters[name]["in"]
            places[place][name] = str(value) if place == "header" else value
        url = urljoin(self._base, re.sub(r"\{(\w+)\}", lambda match: quote(str(places["path"][match[1]])), path))
        headers = {**places["header"], **self._security(operation)}
        content = None
        if body is not ABSENT:
            [(kind, described)] = operation["requestBody"]["content"].items()
            self.check(described["schema"], body, f"{operation_id} body")
            content, headers["content-type"] = json.dumps(body).encode(), kind
        else:
            assert not operation.get("requestBody", {}).get("required"), f"{operation_id} needs a body"
        request = self.http.build_request(method, url, params=places["query"], headers=headers, content=content)
        return request, operation

    def _security(self, operation: Mapping[str, Any]) -> dict[str, str]:
        for name in (name for way in operation["security"] for name in way):
            scheme = self.document["components"]["securitySchemes"][name]
            if scheme["type"] == "http":
                return {"authorization": f"{scheme['scheme'].title()} {self.credentials[name]}"}
            return {scheme["name"]: self.credentials[name]}
        return {}

    def _checked(self, operation: Mapping[str, Any], answer: httpx.Response) -> Answer:
        described = self._described(operation, answer)
        what = f"{operation['operationId']} {answer.status_code}"
        if not described.get("content"):
            assert answer.content == b"", f"{what} has a body"
            return Answer(status=answer.status_code, headers=answer.headers)
        kind = answer.headers["content-type"].partition(";")[0]
        is_json = kind.endswith("json")
        body = answer.json() if is_json else answer.text
        self.check(described["content"][kind]["schema"], body, what)
        return Answer(status=answer.status_code, headers=answer.headers, body=body)

    def _described(self, operation: Mapping[str, Any], answer: httpx.Response) -> dict[str, Any]:
        """Return how an answer is described, once its status, media type and headers are found to be so."""
        what = f"{operation['operationId']} {answer.status_code}"
        responses = operation["responses"]
        assert str(answer.status_code) in responses, f"{what} is not described"
        described: dict[str, Any] = self._resolved(responses[str(answer.status_code)])
        if kinds := described.get("content"):
            assert answer.headers["content-type"].partition(";")[0] in kinds, what
        for name, reference in described.get("headers", {}).items():
            header = self._resolved(reference)
            assert name in answer.headers or not header.get("required"), f"{what} lacks {name}"
            if name in answer.headers:
                text = answer.headers[name]
                numeric = header["schema"]["type"] == "integer"
                self.check(header["schema"], int(text) if numeric else text, f"{what} {name}")
        return described

    def _resolved(self, found: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" not in found:
            return dict(found)
        node: Any = self.document
        for name in found["$ref"].removeprefix("#/").split("/"):
            node = node[name]
        return dict(node)

    def _event(self, schema: Mapping[str, Any], fields: Mapping[str, Any]) -> Event:
        self.check(schema, fields, "event")
        name = fields.get("event", "message")
        [told] = [each for each in schema["anyOf"] if each["properties"]["event"]["const"] == name]
        described = told["properties"]["data"]
        assert described["contentMediaType"] == "application/json"
        data = json.loads(fields["data"])
        self.check(described["contentSchema"], data, f"event {name}")
        return Event(name=name, id=fields.get("id", ""), data=data)


class Socket:
    """An open WebSocket."""

    def __init__(self, client: DescribedClient, described: Mapping[str, Any], connection: Any) -> None:
        self._client = client
        self._described = described
        self._connection = connection

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message that the document allows."""
        self._client.check({"anyOf": self._described["sends"]}, message, "message")
        self._connection.send(json.dumps(message))

    def receive(self) -> Any:
        """Return the next message, which is as the document says."""
        message = json.loads(self._connection.recv(timeout=30))
        self._client.check({"anyOf": self._described["receives"]}, message, "message")
        return message


@cache
def _validator(schema: str, components: str) -> jsonschema_rs.Validator:
    whole = json.loads(schema) | {"components": {"schemas": json.loads(components)}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield the fields of each event that has data (HTML standard, section 9.2.6)."""
    fields: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not line:
            if "data" in fields:
                yield fields
            fields = {}
        elif name:
            value = value.removeprefix(" ")
            fields[name] = int(value) if name == "retry" else value
