"""Settings of the edge."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from mamkit_apps.settings import Names, Networks, ServiceSettings

__all__ = ["EdgeSettings"]

MIB = 1 << 20


Count = Annotated[int, Field(ge=0)]


class EdgeSettings(ServiceSettings):
    """What the edge needs to know; it has no database."""

    host: str = "127.0.0.1"
    """Address to listen at; this machine alone unless the operator says otherwise."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen at."""
    trusted_proxies: Networks = ()
    """Networks of the proxies whose X-Forwarded-For counts, `10.0.0.0/8,192.0.2.1`; nobody's unless they are named."""
    edge_cache_bytes: Count = 128 * MIB
    """Memory for hot objects and for objects on their way to clients; some 100 segments of a 1080p rendition."""
    edge_cache_seconds: Count = 60
    """How long a cached segment is taken for what the store has; a playlist is looked up anew every second."""
    edge_shared_cache: Literal["none", "until-expiry", "cdn-checks-tokens"] = "none"
    """What caches between edge and client may keep: nothing; what carries its token in the URL, until that expires; or
    everything for a year, because the CDN itself checks every token (docs/guides/sign-with-a-cdn.md)."""
    edge_origins: Names = ()
    """Origins of players, `https://video.example.com`, that may send cookies; none: all may read, without cookies."""
    edge_offload: Literal["none", "accel", "redirect"] = "none"
    """Who sends segments: the edge; nginx in front of it (X-Accel-Redirect); or the store (302 to a presigned URL)."""
    edge_accel_prefix: str = "/_objects/"
    """Internal location of nginx whose alias is `objects` in DATA_DIR."""
    edge_renew_seconds: Count = 0
    """Lifetime of a cookie that is renewed while a film plays; 0 renews none. Ends at the grant's `renew-until`."""
    edge_cookie_secure: bool = True
    """Whether a renewed cookie is for https only, as browsers demand of one from another site; False for tests."""
    edge_rate_per_client: Annotated[float, Field(ge=0)] = 0
    """Requests a second for one client address (an IPv6 /64); 0 is no limit: an office behind one address is one
    client, so nobody is limited whom the operator has not thought about."""
    edge_rate_per_token: Annotated[float, Field(ge=0)] = 0
    """Requests a second for one token; 0 is no limit. A player needs about 2, and 20 while it seeks."""
    edge_streams: Annotated[int, Field(ge=1)] = 4096
    """Answers under way at once in this process; more get 503 and Retry-After."""
    edge_streams_per_client: Count = 0
    """Answers under way at once for one client address; 0 is no limit."""
    edge_send_timeout: Annotated[float, Field(gt=0)] = 30
    """Seconds that a client may be silent, as nginx's client_body_timeout halved: a phone in a tunnel comes back."""
    edge_min_rate: Annotated[int, Field(ge=1)] = 4096
    """Bytes a second that a client must take on top of that; the lowest audio rendition has about 4000."""
    edge_access_log: str = ""
    """File that gets one JSON object a request, `-` for standard output; empty for none."""
    redis_url: SecretStr | None = None
    """`redis://…` for limits that count for all edges together; without it, each process counts for itself."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not (self.edge_accel_prefix.startswith("/") and self.edge_accel_prefix.endswith("/")):
            raise ValueError("EDGE_ACCEL_PREFIX must begin and end with a slash")
        if self.edge_access_log not in {"", "-"} and not Path(self.edge_access_log).absolute().parent.is_dir():
            raise ValueError("EDGE_ACCESS_LOG must be a file in a folder that is there")
        return self
