"""What a handler says about its answers that the rules of `document` cannot find."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["answers"]


def answers(
    *statuses: int,
    body: str | None = None,
    match: bool = False,
    resumes: bool = False,
    texts: Iterable[str] = (),
    headers: Iterable[str] = (),
    events: Mapping[str, type[BaseModel]] | None = None,
) -> dict[str, Any]:
    """Return the `opt` of a handler that may answer with more than the rules find.

    Args:
        statuses: The answers; those below 400 beside the one that the handler declares.
        body: Media type of a body that the handler reads by itself.
        match: Whether the request needs an `If-Match`.
        resumes: Whether the request may have a `Last-Event-ID`.
        texts: Media types of an answer that is no JSON.
        headers: Names of headers that the answer may have, of those in `headers.HEADERS`.
        events: What the events of a stream hold, by their names; one without a name is a `message`.
    """
    return {
        "answers": statuses,
        "body": body,
        "match": match,
        "resumes": resumes,
        "texts": tuple(texts),
        "headers": tuple(headers),
        "events": dict(events or {}),
    }
