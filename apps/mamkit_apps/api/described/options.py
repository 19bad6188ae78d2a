"""What a handler says about its answers that the rules of `document` cannot find."""

from collections.abc import Iterable
from typing import Any

__all__ = ["answers"]


def answers(
    *statuses: int,
    login: bool | None = None,
    body: str | None = None,
    match: bool = False,
    resumes: bool = False,
    texts: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the `opt` of a handler that may answer with more than the rules find.

    Args:
        statuses: The answers; those below 400 beside the one that the handler declares.
        login: Whether a login is needed, where that is not to be seen from its parameters.
        body: Media type of a body that the handler reads by itself.
        match: Whether the request needs an `If-Match`.
        resumes: Whether the request may have a `Last-Event-ID`.
        texts: Media types of an answer that is no JSON.
    """
    return {
        "answers": statuses,
        "login": login,
        "body": body,
        "match": match,
        "resumes": resumes,
        "texts": tuple(texts),
    }
