"""The OpenAPI document as a file and as a page, made at the first request for it."""

from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin

from mamkit_apps.api.described.document import described

__all__ = ["JsonPage", "SwaggerPage"]


class JsonPage(JsonRenderPlugin):
    """`/schema/openapi.json`."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, described(request.app, openapi_schema))


class SwaggerPage(SwaggerRenderPlugin):
    """`/schema` and `/schema/swagger`."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        return super().render(request, described(request.app, openapi_schema))
