"""What the services share of their settings: names as operators know them, each also as `NAME_FILE`.

With nothing set, everything lies under `./.mamkit/`: a database (SQLite), objects as files, and secrets made at the
first start. A wrong value stops the start with one line that names it.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mamkit.errors import MamkitError
from mamkit.signing import KeyRing, KeyRingError
from mamkit_apps.secrets import key_ring, load_or_create

__all__ = ["HttpUrl", "Names", "Networks", "ServiceSettings", "SettingsError"]


SHOWN = 40  # characters of a wrong value
MIN_SECRET_BYTES = 32  # of key material for HMAC-SHA256: RFC 7518 section 3.2


class SettingsError(MamkitError):
    """A setting is missing or has a value that cannot be used; the message names it, never its value if it is a secret.

    Attributes:
        names: The environment variables at fault.
    """

    code = "apps.settings"

    def __init__(self, message: str, *, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, tuple):
        return parts
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError:  # which says the value, however long that is
        raise ValueError("must be networks with commas, such as 10.0.0.0/8,192.0.2.1, without host bits") from None


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an http(s) URL without query, such as https://video.example.com")
    return value.rstrip("/")


def _redis_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith(("redis+sentinel:", "rediss+sentinel:")):
        from mamkit.jobs.sentinel import SentinelUrl  # noqa: PLC0415 - of an extra that the default does without

        SentinelUrl.parse(value.get_secret_value())
        return value
    try:
        parts = urlsplit(value.get_secret_value())
        usable = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        usable = (usable or (parts.scheme == "unix" and bool(parts.path))) and not parts.fragment
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise ValueError("must be a URL such as redis://:password@redis.example.com:6379/0")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An http(s) base URL, kept without a slash at its end."""


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list, with commas."""

Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
"""Networks, with commas: `10.0.0.0/8,192.0.2.1`."""


class ServiceSettings(BaseSettings):
    """Settings of every service."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Path(".mamkit")
    """Where the embedded default keeps its database, objects and secrets."""
    database_url: SecretStr | None = None
    """`sqlite:///PATH` or `postgresql://user:password@host/name`; None is `mamkit.db` in `DATA_DIR`. Edges use none."""
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    """`redis://…` or `rediss://…` (TLS); None keeps the queue in the database. Secret, as it may hold a password."""
    edge_signing_key: SecretStr | None = None
    """Key ring of signed URLs, `id:key,id:key` newest first, or one secret; None is made in `DATA_DIR`."""
    staging_bucket: str | None = None
    """Bucket of uploads that wait; with the two below it moves the objects to S3. None is `objects` in `DATA_DIR`."""
    masters_bucket: str | None = None
    """Bucket of masters; best made with object lock, as `mamkit storage init` does."""
    previews_bucket: str | None = None
    """Bucket of previews."""
    s3_endpoint: HttpUrl | None = None
    """Base URL of the S3 server; None is Amazon's. Credentials come by the usual chain (`AWS_ACCESS_KEY_ID`, …)."""
    wasabi_endpoint: HttpUrl | None = None
    """Another name of `S3_ENDPOINT`, which comes first."""
    s3_public_endpoint: HttpUrl | None = None
    """Base URL under which uploaders and players reach the S3 server, where it is another one."""
    s3_region: str | None = None
    """Region; None is that of the usual chain, else `us-east-1`."""
    s3_addressing: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket stands in the path or in the host name; `auto`: in the latter at Amazon only."""
    log_format: Literal["text", "json"] = "text"
    """How a service writes its log to standard error: lines for people, or one JSON object a line."""
    event_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Days for which events and deliveries of webhooks are kept; who listens again after more is told to start anew."""
    otel_exporter_otlp_endpoint: HttpUrl | None = None
    """Base URL to which API and workers send traces, by OTLP over HTTP: `http://collector:4318`. None makes none."""
    otel_exporter_otlp_headers: SecretStr | None = None
    """What is sent along with traces, such as a key: `name=value,name=value`, percent-encoded."""
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of the traces that begin here, how many are sent, from 0 to 1; one that began elsewhere is as it was decided."""
    otel_service_name: str | None = None
    """What a service is called in its traces; None is `mamkit-api` or `mamkit-worker`."""
    otel_sdk_disabled: bool = False
    """Whether no traces are made, endpoint or not."""
    masters_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Days for which nobody can delete or replace a master; 0 leaves it to the bucket's default."""

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Return the settings of this process: `values` first, then the environment, then the defaults.

        Raises:
            SettingsError: A value cannot be used.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            faults = [_fault(cls, fault) for fault in error.errors() if fault["type"] != "default_factory_not_called"]
            names = tuple(name for name, _ in faults if name)
            text = "; ".join(f"{name}: {reason}" if name else reason for name, reason in faults)
            raise SettingsError(text, names=names) from None  # the cause shows values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look at the caller's values, then `NAME`, then `NAME_FILE`; no dotenv file is read unasked."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _FileSource(settings_cls)

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is not None and "@" in urlsplit(url).netloc:
            raise ValueError("must hold no password; OTEL_EXPORTER_OTLP_HEADERS takes an authorization")
        return url

    @model_validator(mode="after")
    def _buckets_go_together(self) -> Self:
        if len({self.staging_bucket is None, self.masters_bucket is None, self.previews_bucket is None}) > 1:
            raise ValueError("STAGING_BUCKET, MASTERS_BUCKET and PREVIEWS_BUCKET are set together or not at all")
        return self

    @property
    def masters_retention(self) -> timedelta | None:
        """How long a master is kept against everybody; None leaves it to the store."""
        return timedelta(days=self.masters_retention_days) if self.masters_retention_days else None

    @property
    def event_lifetime(self) -> timedelta:
        """For how long events and deliveries are kept."""
        return timedelta(days=self.event_days)

    @property
    def database(self) -> str:
        """The URL of the database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'mamkit.db'}"

    def make_data_dir(self) -> None:
        """Make the data folder, open to its owner alone, unless it is there: it will hold digests of passwords."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self, name: str) -> SecretStr:
        """Return the secret of this name, made in `data_dir` if the operator gave none.

        Raises:
            SettingsError: The given one is too short; or none was given, and the database is not the embedded one, so
                that services on several machines would each make their own.
        """
        given = getattr(self, name)
        if isinstance(given, SecretStr):
            if len(given.get_secret_value().encode()) < MIN_SECRET_BYTES:
                raise SettingsError(f"{name.upper()}: needs {MIN_SECRET_BYTES} bytes or more", names=(name.upper(),))
            return given
        if self.database_url is not None:
            raise SettingsError(
                f"{name.upper()}: must be set when DATABASE_URL is set, to the same value for every service",
                names=(name.upper(),),
            )
        self.make_data_dir()
        return load_or_create(self.data_dir / "secrets" / name)

    def ring(self, name: str) -> KeyRing:
        """Return the key ring of this name; see `secret`.

        Raises:
            SettingsError: As for `secret`, or the text is not a key ring.
        """
        try:
            return key_ring(self.secret(name))
        except KeyRingError as error:
            raise SettingsError(f"{name.upper()}: {error}", names=(name.upper(),)) from error


def _fault(settings: type[ServiceSettings], fault: Mapping[str, Any]) -> tuple[str, str]:
    """Return the setting at fault, if it is one alone, and what is wrong with it; the value, unless it is a secret."""
    reason = re.sub("^(Value error, |Input |String |Value )|, unable to .*", "", fault["msg"])
    if not fault["loc"]:
        return "", reason
    name = str(fault["loc"][0])
    given = fault["input"]
    if given == "":
        reason = "is empty; give it a value, or do not set it"
    elif isinstance(given, str) and fault["type"] != "value_error" and "Secret" not in str(settings.model_fields[name]):
        reason = f"{given if len(given) <= SHOWN else f'{given[:SHOWN]}…'!r} {reason}"
    return name.upper(), reason


class _FileSource(PydanticBaseSettingsSource):
    """Reads `NAME` from the file that `NAME_FILE` names, as container platforms mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable = f"{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text().strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}: cannot read {path!r}: {error}", names=(variable,)) from error

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}
