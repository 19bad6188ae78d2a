"""AWS Signature Version 4 for S3: signed headers, signed URLs and signed form policies.

Our own, because signing is what a busy API does most: the key that is derived for a day is kept, and no model of the
request is built. Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

__all__ = ["EMPTY_SHA256", "UNSIGNED", "Credentials", "Signer", "encode_path"]

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Stands for the digest of a body that the signature does not cover."""
EMPTY_SHA256 = hashlib.sha256().hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def encode_path(path: str) -> str:
    """Return a path percent-encoded as signatures want it: every byte but unreserved ones and slashes."""
    return quote(path, safe="/-._~")


class Signer:
    """Signs for one region.

    Args:
        credentials: Gives those that are valid now; asked for each signature.
        region: Name of the region.
    """

    def __init__(self, credentials: Callable[[], Credentials], region: str) -> None:
        self._credentials = credentials
        self._region = region
        self._derived: tuple[str, str, bytes] = ("", "", b"")  # day, secret, key

    def sign(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        payload: str,
        now: datetime,
    ) -> dict[str, str]:
        """Return the headers of a request, with those that sign it.

        Args:
            method: HTTP method.
            path: Percent-encoded.
            query: Parameters, not encoded.
            headers: In lower case, `host` among them.
            payload: SHA-256 of the body, hexadecimal, or `UNSIGNED`.
            now: Time of the request, in UTC.
        """
        credentials = self._credentials()
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        signed = dict(headers) | {"x-amz-date": stamp, "x-amz-content-sha256": payload}
        if credentials.session_token is not None:
            signed["x-amz-security-token"] = credentials.session_token
        names, signature = self._signature(
            method, path, _query(query), signed, payload=payload, stamp=stamp, credentials=credentials
        )
        scope = f"{credentials.access_key}/{self._scope(stamp)}"
        signed["authorization"] = f"{_ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}"
        return signed

    def presign(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        seconds: int,
        now: datetime,
    ) -> str:
        """Return the query that signs a request of somebody without credentials.

        Args:
            method: HTTP method.
            path: Percent-encoded.
            query: Parameters, not encoded.
            headers: In lower case, `host` among them; the request must carry all of them, exactly so.
            seconds: How long it is good.
            now: From when, in UTC.
        """
        credentials = self._credentials()
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        parameters = dict(query) | {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": ";".join(sorted(headers)),
        }
        if credentials.session_token is not None:
            parameters["X-Amz-Security-Token"] = credentials.session_token
        text = _query(parameters)
        _, signature = self._signature(
            method, path, text, headers, payload=UNSIGNED, stamp=stamp, credentials=credentials
        )
        return f"{text}&X-Amz-Signature={signature}"

    def policy(self, conditions: list[Any], *, expires_at: datetime, now: datetime) -> dict[str, str]:
        """Return the form fields that sign an upload by POST ("POST Policy").

        Args:
            conditions: What the form must satisfy, beside the fields that are returned.
            expires_at: Until when.
            now: From when, in UTC.
        """
        credentials = self._credentials()
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        fields = {
            "x-amz-algorithm": _ALGORITHM,
            "x-amz-credential": f"{credentials.access_key}/{self._scope(stamp)}",
            "x-amz-date": stamp,
        }
        if credentials.session_token is not None:
            fields["x-amz-security-token"] = credentials.session_token
        document = {
            "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "conditions": [*conditions, *({name: value} for name, value in fields.items())],
        }
        policy = base64.b64encode(json.dumps(document).encode())
        signature = hmac.new(self._key(stamp[:8], credentials.secret_key), policy, hashlib.sha256).hexdigest()
        return {**fields, "policy": policy.decode(), "x-amz-signature": signature}

    def _signature(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        *,
        payload: str,
        stamp: str,
        credentials: Credentials,
    ) -> tuple[str, str]:
        """Return the names of the headers that are signed, and the signature ("Task 1" to "Task 3")."""
        ordered = sorted(headers.items())
        names = ";".join(name for name, _ in ordered)
        lines = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in ordered)
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{self._scope(stamp)}\n{digest}"
        key = self._key(stamp[:8], credentials.secret_key)
        return names, hmac.digest(key, text.encode(), "sha256").hex()

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self._region}/s3/aws4_request"

    def _key(self, day: str, secret: str) -> bytes:
        known_day, known_secret, key = self._derived
        if known_day != day or known_secret != secret:
            key = f"AWS4{secret}".encode()
            for step in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._derived = (day, secret, key)
        return key


def _query(parameters: Mapping[str, str]) -> str:
    pairs = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
