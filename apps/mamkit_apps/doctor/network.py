"""Checks of what is reached over the network: the clock of S3, the services, mail, login providers, traces."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

import httpx

from mamkit.clock import utc_now
from mamkit.errors import MissingExtraError
from mamkit_apps.doctor.findings import Check, Finding, Patient, clock_finding, failed, ok, skipped, warning
from mamkit_apps.tracing import otlp_headers, traces_url

__all__ = ["CHECKS"]

PATIENCE = 5.0  # seconds for a server to answer
DATED_TO = timedelta(seconds=1)  # the Date header has whole seconds, rounded down (RFC 9110 section 5.6.7)


def s3_clock(patient: Patient) -> Finding:
    """The clock of the S3 server and this machine's agree: it refuses what was signed 15 minutes ago or ahead."""
    shared = patient.shared()
    if shared.staging_bucket is None:
        return skipped("objects are on local disk")
    endpoint = shared.s3_endpoint or shared.wasabi_endpoint
    url = endpoint or f"https://s3.{shared.s3_region or 'us-east-1'}.amazonaws.com"
    before = utc_now()
    try:
        date = httpx.head(url, timeout=PATIENCE).headers.get("date")  # refused, and dated
    except httpx.HTTPError as error:
        return failed(f"{url}: {type(error).__name__}", "see that it runs, and what S3_ENDPOINT says")
    after = utc_now()
    if date is None:
        return skipped(f"{url} says no date")
    theirs = parsedate_to_datetime(date).astimezone(UTC)
    return clock_finding(theirs, before=before - DATED_TO, after=after, of="the clock of S3")


def api(patient: Patient) -> Finding:
    """The API is at API_URL, where workers report and browsers log in."""
    return skipped("the settings cannot be used") if patient.worker is None else _service("API", patient.worker.api_url)


def edge(patient: Patient) -> Finding:
    """The edge is at EDGE_URL, where players and uploaders go."""
    return skipped("the settings cannot be used") if patient.api is None else _service("EDGE", patient.api.edge_url)


def _service(name: str, url: str) -> Finding:
    try:
        answer = httpx.get(f"{url}/healthz", timeout=PATIENCE)
    except httpx.HTTPError as error:
        return warning(f"nothing answers at {url}: {type(error).__name__}", f"start it, or correct {name}_URL")
    if not answer.is_success or answer.text.replace(" ", "") != '{"status":"ok"}':
        return warning(
            f"{url}/healthz answers {answer.status_code}, and not as mamkit", f"see what {name}_URL leads to"
        )
    return ok(f"{url} serves")


def mail(patient: Patient) -> Finding:
    """The mail server answers, and takes the password."""
    if patient.api is None:
        return skipped("the settings cannot be used")
    if patient.api.smtp_url is None:
        if patient.api.email_verification == "required":
            return failed("EMAIL_VERIFICATION is required and SMTP_URL is not set", "set SMTP_URL")
        return skipped("SMTP_URL is not set: mails go to standard error")
    return asyncio.run(_mail(patient.api.smtp_url.get_secret_value()))


async def _mail(url: str) -> Finding:
    import aiosmtplib  # noqa: PLC0415 - where there is mail

    parts = urlsplit(url)
    client = aiosmtplib.SMTP(
        hostname=parts.hostname,
        port=parts.port,
        use_tls=parts.scheme == "smtps",
        start_tls=None if parts.scheme == "smtp" and parts.password is None else parts.scheme == "smtp",
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        timeout=PATIENCE,
    )
    try:
        await client.connect()
        await client.quit()
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return failed(f"{parts.hostname}: {type(error).__name__}: {error}", "see what SMTP_URL says")
    return ok(f"{parts.hostname} takes mail")


def providers(patient: Patient) -> Finding:
    """The OpenID Connect issuers can be asked."""
    from mamkit_apps.api.providers import open_providers  # noqa: PLC0415 - with what asks them
    from mamkit_apps.outgoing import HttpTransport  # noqa: PLC0415

    if patient.api is None:
        return skipped("the settings cannot be used")
    transport = HttpTransport()
    try:
        names = list(open_providers(patient.api, transport))
        entries = patient.api.oidc_providers
        for entry in json.loads(entries.get_secret_value()) if entries else ():  # which `open_providers` has parsed
            issuer = str(entry["issuer"])
            answer = transport("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if answer.status != httpx.codes.OK:
                return failed(f"{issuer} answers {answer.status}", "see what OIDC_PROVIDERS says, and that it runs")
    except OSError as error:
        return failed(f"an issuer does not answer: {error}", "see what OIDC_PROVIDERS says, and that it runs")
    finally:
        transport.close()
    return ok(", ".join(names)) if names else skipped("nobody logs in elsewhere")


def traces(patient: Patient) -> Finding:
    """The receiver of traces takes them, by a request without any."""
    shared = patient.shared()
    url = traces_url(shared)
    if url is None:
        return skipped("OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces are made")
    try:
        import mamkit_apps.tracing.outbox  # noqa: F401, PLC0415 - only whether it can be
    except MissingExtraError as error:
        return failed(str(error), "install it where API and workers run, or unset OTEL_EXPORTER_OTLP_ENDPOINT")
    headers = otlp_headers(shared) | {"content-type": "application/x-protobuf"}
    try:
        answer = httpx.post(url, content=b"", headers=headers, timeout=PATIENCE)
    except httpx.HTTPError as error:
        return warning(f"{url}: {type(error).__name__}", "see that it runs, and what OTEL_EXPORTER_OTLP_ENDPOINT says")
    if not answer.is_success:
        return warning(
            f"{url} answers {answer.status_code}",
            "see what OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS say",
        )
    return ok(f"{url} takes traces")


CHECKS: Sequence[Check] = (s3_clock, api, edge, mail, providers, traces)
"""The checks of this module, in the order in which they are told."""
