"""The published vectors of signed URLs hold for this library, and for the format as its description has it."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from mamkit.signing import Grant, KeyRing, SigningError, UrlSigner

VECTORS = json.loads((Path(__file__).parents[2] / "docs/reference/signed-url-vectors.json").read_text("utf-8"))
RING = KeyRing.parse(",".join(f"{key['kid']}:{key['secret_base64url']}" for key in VECTORS["keys"]))


def named(kind: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[kind]]


def verify(vector: dict[str, Any]) -> Grant:
    request = vector["request"]
    now = datetime.fromtimestamp(request["now"], UTC)
    signer = UrlSigner(RING, clock=lambda: now, leeway=timedelta(seconds=VECTORS["leeway"]))
    return signer.verify(vector["token"], key=request["key"], method=request["method"], address=request["client"])


def grant_of(vector: dict[str, Any]) -> Grant:
    fields = vector["grant"]
    return Grant(
        scope=fields["scope"],
        expires_at=datetime.fromtimestamp(fields["expires_at"], UTC),
        methods=frozenset(fields["methods"]),
        address=None if fields["address"] is None else ip_network(fields["address"]),
        conditions=fields["conditions"],
    )


@pytest.mark.parametrize("vector", named("good"))
def test_a_good_token_is_made_and_verifies(vector: dict[str, Any]) -> None:
    grant = grant_of(vector)
    assert grant.text() == vector["claims"]
    signer = UrlSigner(KeyRing({vector["kid"]: RING[vector["kid"]]}))
    assert signer.sign(grant) == vector["token"]
    assert signer.url("https://edge.example.org", grant, vector["request"]["key"]) == vector["url"]
    assert verify(vector) == grant


@pytest.mark.parametrize("vector", named("refused"))
def test_a_bad_token_is_refused_with_the_published_code(vector: dict[str, Any]) -> None:
    with pytest.raises(SigningError) as raised:
        verify(vector)
    assert raised.value.code == vector["error"]


@pytest.mark.parametrize("vector", named("good"))
def test_a_token_is_what_the_description_says(vector: dict[str, Any]) -> None:
    """Computed from the claims with the standard library alone."""
    secret = next(key["secret_base64url"] for key in VECTORS["keys"] if key["kid"] == vector["kid"])

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    signed = f"v1.{vector['kid']}.{encode(vector['claims'].encode())}"
    mac = hmac.digest(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)), signed.encode(), "sha256")
    assert vector["token"] == f"{signed}.{encode(mac)}"


def test_there_is_a_vector_for_every_way_to_be_refused() -> None:
    codes = {"expired", "scope", "method", "address", "unknown_key", "invalid"}
    assert {vector["error"] for vector in VECTORS["refused"]} == {f"signing.{code}" for code in codes}
