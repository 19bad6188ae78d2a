"""What all bodies of requests and answers share."""

from typing import Annotated

from litestar import MediaType
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["NO_BODY", "Body", "SignedUrl"]

NO_BODY = MediaType.TEXT
"""Of answers that have none: nothing is written as JSON with the four letters of `null`."""

SignedUrl = Annotated[str, Field(repr=False, json_schema_extra={"format": "uri"})]
"""A URL that works for whoever holds it, so that it stands in no log."""


class Body(BaseModel):
    """Base of the bodies. Unknown members are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)
