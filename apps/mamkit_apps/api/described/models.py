"""JSON Schemas of the bodies, as pydantic checks them.

Litestar's own leave out patterns, descriptions and that unknown members are refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

__all__ = ["body_schemas"]

PREFIX = "#/components/schemas/"


class _Schemas(GenerateJsonSchema):
    """As pydantic's, without the titles that it makes up for members."""

    def get_title_from_name(self, name: str) -> str:
        del name
        return ""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def body_schemas(
    paths: Mapping[str, Any], components: Mapping[str, Any], more: Iterable[type[BaseModel]] = ()
) -> dict[str, Any]:
    """Return the schemas of all bodies, by their names in `components`.

    A body of a request is described as it is read, where a member with a default may be left out; one of an answer as
    it is written, where it never is.

    Args:
        paths: Of the document.
        components: The schemas that Litestar made; what is no pydantic model stays as it is.
        more: Models that no body names.
    """
    known = {model.__name__: model for model in _subclasses(BaseModel)}
    asked = {name for item in paths.values() for each in item.values() for name in _named(each.get("requestBody", {}))}
    kinds: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (known[name], "validation" if name in asked else "serialization") for name in components if name in known
    ]
    kinds += [(model, "validation") for model in more if model.__name__ not in components]
    _, made = models_json_schema(kinds, ref_template=PREFIX + "{model}", schema_generator=_Schemas)
    return {**components, **made.get("$defs", {})}


def _subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for found in kind.__subclasses__():
        if found.__module__.startswith(("mamkit.", "mamkit_apps.")):
            yield found
        yield from _subclasses(found)


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(name := node.get("$ref"), str):
            yield name.removeprefix(PREFIX)
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)
