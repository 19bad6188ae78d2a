"""Settings of the API."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, SecretStr, field_validator, model_validator

from mamkit_apps.secrets import load_or_create
from mamkit_apps.settings import HttpUrl, Names, Networks, ServiceSettings, SettingsError

if TYPE_CHECKING:
    from mamkit.auth import KeyPairs

__all__ = ["ApiSettings"]

Rate = Annotated[float, Field(ge=0, le=100_000)]
Seconds = Annotated[int, Field(ge=1)]


class ApiSettings(ServiceSettings):
    """What the API needs to know."""

    host: str = "127.0.0.1"
    """Address to listen at; this machine alone unless the operator says otherwise."""
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    """Port to listen at."""
    edge_url: HttpUrl = "http://127.0.0.1:8080"
    """Base URL of the edge as players and uploaders reach it."""
    jwt_secret: SecretStr | None = None
    """Key ring of access tokens; None is made in `DATA_DIR`."""
    session_secret: SecretStr | None = None
    """Key from which the successors of refresh tokens are derived; None is made in `DATA_DIR`."""
    callback_secret: SecretStr | None = None
    """Key with which workers sign their reports; None is made in `DATA_DIR`."""
    access_token_algorithm: Literal["HS256", "EdDSA", "ES256"] = "HS256"  # noqa: S105 - no password
    """HS256 signs with `JWT_SECRET`; the others with key pairs whose public halves are at `/.well-known/jwks.json`."""
    jwt_key_pairs: SecretStr | None = None
    """JWK Set of private keys, newest first, for EdDSA and ES256; None is made in `DATA_DIR`."""
    sealing_keys: SecretStr | None = None
    """Key ring that seals secrets in the database; None is made in `DATA_DIR`."""
    registration: Literal["open", "invitation", "closed"] = "closed"
    """Whether anybody may register. With `invitation` an administrator invites; both others allow that, too."""
    email_verification: Literal["optional", "required"] = "optional"
    """With `required` nobody logs in before they followed the link of a mail, and registering does not say whether an
    address has an account."""
    api_url: HttpUrl = Field(default_factory=lambda known: f"http://127.0.0.1:{known.get('port', 3000)}")
    """Base URL of this service as browsers reach it, else `http://127.0.0.1` and its port; other services send them
    back there."""
    public_url: HttpUrl = Field(default_factory=lambda known: known.get("api_url", ""))
    """Base URL of your own pages, to which links in mails lead; else that of the API, which has no pages."""
    site_name: Annotated[str, Field(min_length=1, max_length=64)] = "mamkit"
    """What authenticator applications and devices show."""
    smtp_url: SecretStr | None = None
    """`smtps://user:password@host` or `smtp://…`; None writes mails to standard error."""
    mail_from: str = "mamkit <noreply@localhost>"
    """Sender of mails."""
    oidc_providers: SecretStr | None = None
    """OpenID Connect issuers as JSON: `[{"name", "issuer", "client_id", "client_secret"}]`."""
    discord_client_id: str | None = None
    """Of the application registered at Discord; with `DISCORD_CLIENT_SECRET`, people may log in there."""
    discord_client_secret: SecretStr | None = None
    """Of the same application."""
    plex_client_identifier: str | None = None
    """A UUID made once; with it, people may log in at Plex."""
    sign_min_seconds: Seconds = 60
    """Shortest lifetime of a signed playback URL."""
    sign_max_seconds: Seconds = 3600
    """Longest lifetime of a signed playback URL."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 1 << 40
    """Largest upload that is presigned."""
    import_slots: Annotated[int, Field(ge=0, le=64)] = 2
    """Imports that this process works on at once; 0 leaves them to others."""
    import_hours: Annotated[int, Field(ge=1, le=144)] = 24
    """Hours within which an import has to be done, counted from its first try; what is staged is kept for 7 days."""
    import_networks: Networks = ()
    """Networks, `10.1.0.0/16`, that imports may read from although they are not public; none unless they are named."""
    watch_folder: Path | None = None
    """Folder whose files are imported once nobody writes to them any more; none is watched unless it is named."""
    watch_bucket: str | None = None
    """Bucket, at the same server as the others, whose objects are imported."""
    watch_prefix: Annotated[str, Field(max_length=512)] = ""
    """Of which bucket's objects: those whose keys begin so; ends with a slash."""
    watch_owner: str | None = None
    """E-mail address of the account whose imports those of `WATCH_FOLDER` and `WATCH_BUCKET` are."""
    watch_workspace: UUID | None = None
    """Workspace where these belong; None is the account's personal one."""
    watch_after: Literal["move", "leave"] = "move"
    """What becomes of files and objects that were imported: they are moved to `done/` or `failed/`, or stay."""
    watch_settle_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    """Seconds for which size and time of a file must stay the same before it is imported."""
    card_wait_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    """Seconds after which a film in HEVC or AV1 that a card has begun is made by processors, if no worker has one."""
    trash_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    """Days for which assets lie in the trash before they are removed for good; 0: until somebody says so."""

    webhook_networks: Networks = ()
    """Networks, `10.1.0.0/16`, that webhooks may lead to although they are not public; none unless they are named."""
    escalate_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    """Minutes after which administrators are told of a problem that nobody has looked at."""
    trusted_proxies: Networks = ()
    """Networks of the proxies whose X-Forwarded-For counts, `10.0.0.0/8,192.0.2.1`; nobody's unless they are named."""
    api_origins: Names = ()
    """Origins of pages, `https://video.example.com`, whose scripts may use the API; none of another origin may, unless
    they are named."""
    hsts_subdomains: bool = False
    """Whether browsers shall reach all names below that of `API_URL` by https alone, those of other services too."""
    trace_incoming: bool = False
    """Whether requests go on with the trace that `traceparent` names; where a proxy sets it, and no client can."""
    api_rate_per_user: Rate = 20
    """Requests a second for one user, ten seconds' worth at once; 0 is no limit. A page asks some ten times."""
    api_rate_per_key: Rate = 50
    """The same for one API key."""
    api_rate_per_address: Rate = 50
    """The same for one address (an IPv6 /64) without a login; an office is one address."""
    api_rate_per_share: Rate = 50
    """The same for one share link, whoever comes by it."""
    api_rate_login: Rate = 5
    """The same for logging in, registering, and what else is asked by POST without a login."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.sign_min_seconds > self.sign_max_seconds:
            raise ValueError("SIGN_MIN_SECONDS must not be larger than SIGN_MAX_SECONDS")
        return self

    @model_validator(mode="after")
    def _watched_for_somebody(self) -> Self:
        if (self.watch_folder or self.watch_bucket) and not self.watch_owner:
            raise ValueError(
                "WATCH_OWNER must be set with WATCH_FOLDER or WATCH_BUCKET: somebody owns what is imported"
            )
        # Otherwise our own objects would be imported, and moved away.
        if self.watch_bucket and self.watch_bucket in {self.staging_bucket, self.masters_bucket, self.previews_bucket}:
            raise ValueError("WATCH_BUCKET must be another than STAGING_BUCKET, MASTERS_BUCKET and PREVIEWS_BUCKET")
        if self.watch_folder:
            watched, own = self.watch_folder.resolve(), self.data_dir.resolve()
            if watched.is_relative_to(own) or own.is_relative_to(watched):
                raise ValueError("WATCH_FOLDER and DATA_DIR must not lie within each other")
        return self

    @field_validator("watch_prefix")
    @classmethod
    def _prefix(cls, prefix: str) -> str:
        if prefix and (prefix.startswith("/") or not prefix.endswith("/")):
            raise ValueError("must end with a slash and not begin with one, such as incoming/")
        return prefix

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, url: SecretStr | None) -> SecretStr | None:
        parts = None if url is None else urlsplit(url.get_secret_value())
        if parts is not None and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname):
            raise ValueError("must be smtp://[user:password@]host or smtps://…")
        return url

    def make_secrets(self) -> None:
        """Make the secrets that are missing, and look at those that are there.

        Raises:
            SettingsError: One cannot be used.
        """
        for name in ("edge_signing_key", "jwt_secret", "sealing_keys"):
            self.ring(name)
        for name in ("session_secret", "callback_secret"):
            self.secret(name)
        self.key_pairs()

    def key_pairs(self) -> "KeyPairs | None":
        """Return the key pairs of access tokens; None where they are signed with a shared secret.

        Raises:
            SettingsError: They cannot be read, or the newest is for another algorithm.
        """
        algorithm = self.access_token_algorithm
        if algorithm == "HS256":
            return None
        from mamkit.auth import KeyPairs, KeyPairsError  # noqa: PLC0415 - brings all logins, which most readers do without

        if self.jwt_key_pairs is None and self.database_url is None:
            path = self.data_dir / "secrets" / "jwt_key_pairs"
            text = load_or_create(path, lambda: KeyPairs.generate(algorithm).dump())
        else:
            text = self.secret("jwt_key_pairs")
        try:
            pairs = KeyPairs.parse(text.get_secret_value())
        except KeyPairsError as error:
            raise SettingsError("JWT_KEY_PAIRS: is no JWK Set of private keys", names=("JWT_KEY_PAIRS",)) from error
        if pairs.algorithm(pairs.current[0]) != algorithm:
            raise SettingsError(
                f"JWT_KEY_PAIRS: the newest key is not for {algorithm}, as ACCESS_TOKEN_ALGORITHM says",
                names=("JWT_KEY_PAIRS", "ACCESS_TOKEN_ALGORITHM"),
            )
        return pairs

    @property
    def card_wait(self) -> timedelta:
        """After how long without a card a film that one has begun is made by processors."""
        return timedelta(seconds=self.card_wait_seconds)

    @property
    def trash_lifetime(self) -> timedelta | None:
        """For how long assets lie in the trash; None: until somebody removes them."""
        return timedelta(days=self.trash_days) if self.trash_days else None

    @property
    def sign_bounds(self) -> tuple[timedelta, timedelta]:
        """Shortest and longest lifetime of a signed playback URL."""
        return timedelta(seconds=self.sign_min_seconds), timedelta(seconds=self.sign_max_seconds)
