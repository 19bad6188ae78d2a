"""`mamkit sign`, `mamkit verify`: signed URLs without a running service."""

import json
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import click

from mamkit_apps.cli._installation import DATA_DIR, installed_signer

__all__ = ["commands"]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds


class Lifetime(click.ParamType[timedelta]):
    """A duration such as 90s, 10m, 1h or 7d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", str(value))
        if match is None:
            self.fail(f"{value!r} is no duration such as 90s, 10m, 1h or 7d", param, ctx)
        return timedelta(seconds=int(match[1]) * UNITS[match[2] or "s"])


@click.command()
@click.argument("key")
@click.option("--base", default="", help="URL that the edge is reached at; empty prints the path alone.")
@click.option("--scope", default=None, help="What is granted: a key, or a prefix that ends with /. Default: the key.")
@click.option("--expires-in", type=Lifetime(), default="10m", show_default=True)
@click.option("--address", default=None, help="Address or network (IPv4, IPv6, CIDR) that the client must come from.")
@click.option("--method", "methods", multiple=True, default=("GET", "HEAD"), help="Repeatable; default GET and HEAD.")
@click.option("--carrier", type=click.Choice(["path", "query", "cookie"]), default="path", show_default=True)
@click.option("--renew-until", type=Lifetime(), default=None, help="Let the edge renew a cookie for so long, from now.")
@DATA_DIR
def sign(
    *,
    key: str,
    base: str,
    scope: str | None,
    expires_in: timedelta,
    address: str | None,
    methods: tuple[str, ...],
    carrier: str,
    renew_until: timedelta | None,
    data_dir: Path | None,
) -> None:
    """Print a signed URL of KEY, or a Set-Cookie value. Whoever has it may do what it grants."""
    from mamkit.signing import Grant
    from mamkit_apps.zones import url_signer

    try:
        network = None if address is None else ip_network(address)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--address") from error
    if base and _parts(base, "--base").scheme not in {"http", "https"}:
        raise click.BadParameter(f"{base!r} is no http(s) URL", param_hint="--base")
    signer = url_signer(installed_signer(data_dir))
    conditions = {} if renew_until is None else {"renew-until": str(int((signer.now() + renew_until).timestamp()))}
    grant = Grant(
        scope=scope or key,
        expires_at=signer.now() + expires_in,
        methods=frozenset(methods),
        address=network,
        conditions=conditions,
    )
    if carrier == "cookie":
        click.echo(signer.cookie(base, grant))
    else:
        click.echo(signer.url(base, grant, key, carrier="query" if carrier == "query" else "path"))


@click.command()
@click.argument("url")
@click.option("--method", default="GET", show_default=True)
@click.option("--address", default=None, help="Address of the client.")
@DATA_DIR
def verify(*, url: str, method: str, address: str | None, data_dir: Path | None) -> None:
    """Print what a signed URL grants, as JSON. Status 1, and why, if it would be refused."""
    from mamkit.signing import find_token
    from mamkit_apps.zones import url_signer

    parts = _parts(url, "URL")
    start = parts.path.find("/s/")  # the base URL may have a path of its own
    carried = find_token(parts.path[max(0, start) :], query=parts.query)
    grant = url_signer(installed_signer(data_dir)).verify(
        carried.tokens[0], key=carried.key, method=method, address=address
    )
    shown = {
        "key": carried.key,
        "scope": grant.scope,
        "expires_at": grant.expires_at.isoformat(),
        "methods": sorted(grant.methods),
        "address": None if grant.address is None else str(grant.address),
        "conditions": dict(grant.conditions),
    }
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _parts(url: str, hint: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # brackets that hold no address
        raise click.BadParameter(f"{url!r} is no URL", param_hint=hint) from error


commands = [sign, verify]
