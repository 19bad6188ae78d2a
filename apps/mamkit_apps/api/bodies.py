"""What all bodies of requests and answers share."""

from typing import Annotated

from litestar import MediaType
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mamkit.auth import ACTIONS

__all__ = ["NO_BODY", "Actions", "Body", "SignedUrl"]

NO_BODY = MediaType.TEXT
"""Of answers that have none: nothing is written as JSON with the four letters of `null`."""

SignedUrl = Annotated[str, Field(repr=False, json_schema_extra={"format": "uri"})]
"""A URL that works for whoever holds it, so that it stands in no log."""


def _known(actions: list[str]) -> list[str]:
    if unknown := sorted(set(actions) - ACTIONS):
        raise ValueError(f"unknown: {', '.join(unknown)[:200]}; known are {', '.join(sorted(ACTIONS))}")
    return actions


Actions = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": sorted(ACTIONS)})]],
    Field(min_length=1, max_length=100),
    AfterValidator(_known),
]
"""What an API key or somebody else may do."""


class Body(BaseModel):
    """Base of the bodies. Unknown members are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)
