"""What goes another way than from question to answer: messages to webhooks, a WebSocket, and the API's own callback.

OpenAPI 3.1 has `webhooks`. The schema of a stream is that of each of its events, in the form that OpenAPI 3.2 calls
`itemSchema` and tools that know streams expect. For the messages of a WebSocket there is no word: those stand in the
extension `x-websocket`, which `OVERVIEW` explains.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from mamkit.previews import messages
from mamkit_apps.api.dispatch.messages import EventMessage, SocketAnswer, SocketLogin, SocketSign

__all__ = ["MODELS", "REPORTS", "SIGNATURE", "event_schema", "reference", "socket", "webhooks"]

REPORTS = (messages.Planned, messages.Progress, messages.Finished, messages.Failed)
MODELS: tuple[type[BaseModel], ...] = (*REPORTS, EventMessage, SocketAnswer, SocketLogin, SocketSign)
"""Whose schemas the document holds although no body names them."""

CLOSES: Mapping[str, str] = {
    "4400": "A message was not understood.",
    "4401": "There was no valid login, or it has ended.",
    "4403": "The page's origin, the API key, or the user of a renewed login may not.",
    "4408": "There was no login within 10 s, or messages were not taken within 30 s.",
    "4429": "Too many streams, connections or messages.",
    "4503": "The database does not answer; try again.",
}

SIGNATURE: tuple[Mapping[str, Any], ...] = tuple(
    {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
    for name, text in (
        ("webhook-id", "The same however often the message is sent."),
        ("webhook-timestamp", "When it was sent: seconds since 1970, in UTC."),
        ("webhook-signature", "Of id, timestamp and body, as the Standard Webhooks specification says: `v1,…`."),
    )
)
"""The headers of a signed message."""


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return the schema that leads to the one of a model."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def event_schema(told: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Return the schema of each event of a stream, from what its data is, by the event's name.

    The members are the fields of the HTML standard, section 9.2.6 ("Interpreting an event stream").
    """
    return {"anyOf": [_event(name, model) for name, model in told.items()]}


def _event(name: str, model: type[BaseModel]) -> dict[str, Any]:
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference(model)}
    return {
        "type": "object",
        "properties": {
            "event": {"const": name},
            "id": {"type": "string", "description": "To be sent as `Last-Event-ID` by whoever comes back."},
            "retry": {"type": "integer", "description": "Milliseconds after which to come back."},
            "data": data,
        },
        "required": ["data"] if name == "message" else ["event", "data"],  # a message has no name
    }


def webhooks() -> dict[str, Any]:
    """Return what the API sends to the webhooks of a workspace."""
    return {
        "event": {
            "post": {
                "operationId": "receive_event",
                "tags": ["webhooks"],
                "summary": "Be told of an event",
                "description": (
                    "Sent to the webhooks of a workspace for each event, until it is taken; a message may come more "
                    "than once, and be overtaken. Verify the signature with the secret that the API has shown."
                ),
                "parameters": [dict(each) for each in SIGNATURE],
                "requestBody": {"required": True, "content": {"application/json": {"schema": reference(EventMessage)}}},
                "responses": {
                    "2XX": {"description": "It was taken. Within 15 s; any other answer is tried again later."},
                    "410": {"description": "No more of this: the webhook is disabled."},
                },
            }
        }
    }


def socket(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation that opens a WebSocket, from the one that refuses whoever does not ask for one."""
    responses = {"101": {"description": "The connection is a WebSocket now (RFC 6455); `x-websocket` says what of."}}
    return {
        **found,
        "responses": responses | {status: each for status, each in found["responses"].items() if status != "200"},
        "x-websocket": {
            "sends": [reference(SocketLogin), reference(SocketAnswer)],
            "receives": [reference(EventMessage), reference(SocketSign), reference(SocketAnswer)],
            "closes": dict(CLOSES),
        },
    }
