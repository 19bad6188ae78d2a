"""What a client needs to know of every operation: who may ask, what may be answered, and an example of it.

Each operation's answers are found by rules: one that needs a login may say 401 and 403, one that takes parameters 400,
and so on. What no rule can know stands at the handler: `@post(…, opt=answers(202, 507))`.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from mamkit_apps.api.callers.parameters import LOGIN, VISITOR
from mamkit_apps.api.described.channels import MODELS, REPORTS, SIGNATURE, event_schema, reference, socket, webhooks
from mamkit_apps.api.described.examples import example_of
from mamkit_apps.api.described.headers import HEADERS, answer_headers, problem_headers, request_headers, sends_tag
from mamkit_apps.api.described.models import body_schemas
from mamkit_apps.api.described.overview import OVERVIEW, SECURITY, TAGS
from mamkit_apps.api.described.parameters import parameter

__all__ = ["DONE", "PROBLEMS", "described"]

EVENTS = "text/event-stream"
NEVER_WRONG = {"if-none-match"}
"""Headers that are let be whatever they hold."""

PROBLEMS: Mapping[int, str] = {
    400: "The request is not understood, or asks for what cannot be; `detail` says what to change.",
    401: "There is no valid login, or what is to prove one is wrong.",
    403: "Whoever asks may not do this.",
    404: "There is no such thing.",
    405: "The path does not know this method; `Allow` lists those that it knows.",
    409: "It does not fit what is there; `detail` says how.",
    412: "It has changed since it was read; read it again.",
    413: "The body is too large.",
    415: "The body is of another media type than this takes.",
    422: "The Idempotency-Key was used before, with another request.",
    426: "This is a WebSocket (RFC 6455); ask for an upgrade of the connection.",
    428: "Say with `If-Match` which state is to be changed.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    502: "A service that was asked did not answer as it should.",
    503: "Something that this needs does not answer at the moment; try again.",
    507: "There is no room left.",
}
"""Problem documents, by status."""

DONE: Mapping[str, str] = {
    "200": "It is done, and this is what came of it.",
    "201": "It is made.",
    "202": "It is taken on, and done later.",
    "204": "It is done; there is nothing to say.",
    "302": "Go there.",
    "304": "It has not changed since it was read.",
}
"""What is said of other answers, where a handler says nothing better."""

PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "code": {"type": "string", "description": "Stable name of the kind of problem."},
        "errors": {"type": "array", "description": "What is wrong with which member."},
        "request_id": {"type": "string", "description": "To be found in the service's log."},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def described(app: Litestar, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole document of an application, made once.

    Args:
        app: Whose routes it describes.
        found: The document as Litestar makes it; it is left as it is.
    """
    if "described" not in app.state:
        app.state["described"] = _describe(app, found)
    made: dict[str, Any] = app.state["described"]
    return made


def _describe(app: Litestar, found: Mapping[str, Any]) -> dict[str, Any]:
    handlers = {
        (route.path_format or "/", method.lower()): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
    }
    told = dict.fromkeys(model for each in handlers.values() for model in each.opt.get("events", {}).values())
    schemas = body_schemas(found["paths"], found["components"]["schemas"], [*MODELS, *told]) | {"Problem": PROBLEM}
    paths = {
        path: {method: _operation(each, handlers[path, method], schemas) for method, each in item.items()}
        for path, item in found["paths"].items()
    }
    components = {
        **found["components"],
        "schemas": schemas,
        "headers": dict(HEADERS),
        "securitySchemes": {name: dict(each) for name, each in SECURITY.items()},
        "responses": {f"Problem{status}": _problem(status) for status in PROBLEMS},
    }
    return {
        **found,
        "openapi": "3.1.0",
        "info": {**found["info"], "description": OVERVIEW, "license": {"name": "MIT", "identifier": "MIT"}},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "webhooks": {
            name: {method: _with_body(each, schemas) for method, each in item.items()}
            for name, item in webhooks().items()
        },
        "components": components,
    }


def _operation(found: Mapping[str, Any], handler: HTTPRouteHandler, schemas: Mapping[str, Any]) -> dict[str, Any]:
    known = handler.parsed_fn_signature.parameters.keys()
    options = handler.opt
    login = bool(known & LOGIN)
    visit = bool(known & VISITOR) or bool(options.get("share"))
    signed = bool(options.get("signed"))
    text = inspect.cleandoc(found["description"])
    operation = {name: value for name, value in found.items() if name not in {"deprecated", "responses"}} | {
        "operationId": _name(found, handler),
        "summary": _summary(text),
        "description": text,
    }
    if parameters := [*found.get("parameters", []), *request_headers(handler), *(SIGNATURE if signed else ())]:
        operation["parameters"] = [parameter(each) for each in parameters]
    operation["responses"] = _responses(operation, found["responses"], handler, schemas, login=login or visit)
    ways = [name for name, asked in (("callback", signed), ("share", visit), ("bearer", login)) if asked]
    operation["security"] = [{name: []} for name in ways[:1]]
    if kind := options.get("body"):
        choices = {"oneOf": [reference(each) for each in REPORTS], "discriminator": {"propertyName": "type"}}
        operation["requestBody"] = {"content": {kind: {"schema": choices}}, "required": True}
    return _with_body(socket(operation) if options.get("socket") else operation, schemas)


def _name(found: Mapping[str, Any], handler: HTTPRouteHandler) -> str:
    """Return what a generated client calls an operation: by its tag, and by what it does."""
    tag, name = found["tags"][0], str(handler.handler_name).rpartition(".")[2]
    return name if name == tag else f"{tag}_{name}"


def _summary(text: str) -> str:
    """Return the beginning of a description, as far as it can stand alone."""
    return re.split(r"[;:.](?:\s|$)", text, maxsplit=1)[0].replace("\n", " ")


def _responses(
    operation: Mapping[str, Any],
    found: Mapping[str, Any],
    handler: HTTPRouteHandler,
    schemas: Mapping[str, Any],
    *,
    login: bool,
) -> dict[str, Any]:
    more: Iterable[int] = handler.opt.get("answers", ())
    declared = {str(status) for status in handler.responses or {}}
    fine = {code: answer for code, answer in found.items() if int(code) < 400 or code in declared}
    if sends_tag(handler) and "GET" in handler.http_methods:
        more = (*more, 304)
    fine |= {str(status): {"description": DONE[str(status)]} for status in more if status < 400}
    problems = {*_rules(operation, handler, login=login), *(each for each in more if each >= 400)}
    made: dict[str, Any] = {
        status: _with_example(_one_body(answer, status, handler), schemas)
        | {"headers": answer_headers(handler, status)}
        for status, answer in fine.items()
    }
    if texts := handler.opt.get("texts"):
        made["200"]["content"] = {kind: {"schema": {"type": "string"}} for kind in texts}
    return made | {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in sorted(problems)
        if str(status) not in declared
    }


def _rules(found: Mapping[str, Any], handler: HTTPRouteHandler, *, login: bool) -> set[int]:
    """Return the problems that an operation may answer with."""
    statuses = {429, 503}
    names = {each["name"].lower() for each in found.get("parameters", [])}
    asks = bool(names - NEVER_WRONG or found.get("requestBody"))
    if asks:
        statuses.add(400)
    if login:
        statuses |= {401, 403}
        if asks:
            statuses.add(404)
    if "POST" in handler.http_methods or "PUT" in handler.http_methods or "PATCH" in handler.http_methods:
        statuses |= {400, 409, 413}
    if "idempotency-key" in names:
        statuses.add(422)
    if "if-match" in names:
        statuses |= {412, 428}
    return statuses


def _problem(status: int) -> dict[str, Any]:
    code = HTTPStatus(status)
    example = {
        "type": "about:blank",
        "title": code.phrase,
        "status": status,
        "detail": PROBLEMS[status],
        "code": f"http.{code.name.lower()}",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": PROBLEMS[status],
        "headers": problem_headers(status),
        "content": {"application/problem+json": {"schema": schema, "example": example}},
    }


def _one_body(answer: Mapping[str, Any], status: str, handler: HTTPRouteHandler) -> Mapping[str, Any]:
    """Return an answer in our words, without a body that its status leaves no room for or that Litestar guessed."""
    kept = {name: value for name, value in answer.items() if name != "headers"}
    if answer["description"] in {HTTPStatus(int(status)).description, "Redirect Response"}:  # as Litestar says
        kept["description"] = DONE[status]
    content = answer.get("content", {})
    if status in {"204", "304", "302"} or all(each.get("schema") == {"type": "null"} for each in content.values()):
        kept.pop("content", None)
    if EVENTS in content:
        kept["content"] = {EVENTS: {"schema": event_schema(handler.opt["events"])}}
    return kept


def _with_body(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation with an example of its body."""
    body = operation.get("requestBody")
    return dict(operation) if body is None else {**operation, "requestBody": _with_example(body, schemas)}


def _with_example(body: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    content = {
        kind: each if not each.get("schema") or kind != "application/json"
        else {**each, "example": example_of(each["schema"], schemas)}
        for kind, each in body.get("content", {}).items()
    }  # fmt: skip
    return {**body, "content": content} if content else dict(body)
