"""Traces by OpenTelemetry, for operators who ask for them (docs/guides/traces.md).

`open_tracing` is all that the services call without being asked: it returns None where no endpoint is set, and then
nothing of OpenTelemetry is imported, and nothing wrapped. What is traced is heard of at our own seams (the application
around the routes, observed stores, a queue around the queue) and by the events of SQLAlchemy.
"""

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings
    from mamkit_apps.tracing.tracing import Tracing

__all__ = ["open_tracing", "otlp_headers", "traces_url"]


def open_tracing(settings: "ServiceSettings", service: str) -> "Tracing | None":
    """Return what traces a service, to be entered while it serves; None where `OTEL_EXPORTER_OTLP_ENDPOINT` is not set.

    Args:
        settings: Say where traces go, and how many.
        service: Name of the service, unless `OTEL_SERVICE_NAME` says another.

    Raises:
        MissingExtraError: There is an endpoint, and `mamkit[telemetry]` is not installed.
    """
    url = traces_url(settings)
    if url is None:
        return None
    from mamkit_apps.tracing.tracing import Tracing  # noqa: PLC0415 - whoever traces nothing loads nothing

    return Tracing(
        settings.otel_service_name or service,
        endpoint=url,
        headers=otlp_headers(settings),
        ratio=settings.otel_traces_sampler_arg,
    )


def traces_url(settings: "ServiceSettings") -> str | None:
    """Return where spans are posted to (OTLP specification, "Endpoint URLs for OTLP/HTTP"); None: nowhere."""
    base = settings.otel_exporter_otlp_endpoint
    return None if base is None or settings.otel_sdk_disabled else f"{base}/v1/traces"


def otlp_headers(settings: "ServiceSettings") -> dict[str, str]:
    """Return what is sent along with spans, such as a key: `name=value,name=value`, percent-encoded."""
    given = settings.otel_exporter_otlp_headers
    pairs = [] if given is None else [pair.partition("=") for pair in given.get_secret_value().split(",")]
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs if name.strip()}
