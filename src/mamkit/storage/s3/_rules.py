"""What a bucket does by itself: expiry, encryption, answers to other origins. Asked for through boto3's client."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mamkit.storage.errors import StorageUnavailableError, UnsupportedOperationError
from mamkit.storage.models import ExpiryRule, OriginRule
from mamkit.storage.s3._options import S3Options, client_of

__all__ = [
    "S3Rules",
    "code_of",
    "cors_of",
    "encryption_of",
    "is_unsupported",
    "lifecycle_of",
    "put_lifecycle",
    "said",
    "status_of",
    "to_cors",
    "to_lifecycle",
]

_DAY = timedelta(days=1)
# Servers say in several ways that they do not know a setting, but never with 403.
_UNSUPPORTED = {"NotImplemented", "MethodNotAllowed", "MalformedXML", "InvalidArgument", "UnsupportedOperation"}


class S3Rules:
    """`ExpiresObjects`, `EncryptsObjects` and `AnswersOrigins` on one bucket.

    Args:
        name: Of the bucket.
        options: How to reach it.
    """

    def __init__(self, name: str, options: S3Options) -> None:
        self._name = name
        self._options = options

    def expiry_rules(self) -> tuple[ExpiryRule, ...]:
        """Return the rules that are in force and that an `ExpiryRule` can say."""
        with self._client("expires nothing") as client:
            return tuple(rule for each in lifecycle_of(client, self._name) if (rule := _expiry(each)) is not None)

    def set_expiry_rule(self, rule: ExpiryRule) -> None:
        """Add a rule, in place of the one of its name."""
        with self._client("expires nothing") as client:
            put_lifecycle(client, self._name, [rule])

    def encryption(self) -> str | None:
        """Return the algorithm of new objects; None if they are not encrypted by default."""
        with self._client("encrypts nothing by default") as client:
            return encryption_of(client, self._name) or None

    def set_encryption(self, algorithm: str) -> None:
        """Encrypt new objects by default."""
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
        with self._client("encrypts nothing by default") as client:
            client.put_bucket_encryption(Bucket=self._name, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def origin_rules(self) -> tuple[OriginRule, ...]:
        """Return the rules that are in force."""
        with self._client("answers no other origins") as client:
            return tuple(
                OriginRule(
                    origins=tuple(each["AllowedOrigins"]),
                    methods=tuple(each["AllowedMethods"]),
                    exposed=tuple(each.get("ExposeHeaders", [])),
                    max_age=timedelta(seconds=each.get("MaxAgeSeconds", 0)),
                )
                for each in cors_of(client, self._name)
            )

    def set_origin_rules(self, rules: Sequence[OriginRule]) -> None:
        """Put these rules in place of all others; none at all answer no other origin."""
        with self._client("answers no other origins") as client:
            if rules:
                configuration: Any = {"CORSRules": [to_cors(rule) for rule in rules]}
                client.put_bucket_cors(Bucket=self._name, CORSConfiguration=configuration)
            else:
                client.delete_bucket_cors(Bucket=self._name)

    @contextmanager
    def _client(self, lack: str) -> Iterator[Any]:
        client = client_of(self._options)
        try:
            yield client
        except ClientError as error:
            if is_unsupported(error):
                raise UnsupportedOperationError(f"the server of {self._name!r} {lack}: {said(error)}") from error
            raise StorageUnavailableError(self._name, said(error)) from error
        except BotoCoreError as error:
            raise StorageUnavailableError(self._name, str(error)) from error
        finally:
            client.close()


def lifecycle_of(client: Any, name: str) -> list[dict[str, Any]]:
    """Return the lifecycle rules of a bucket, as S3 has them."""
    try:
        rules: list[dict[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    except ClientError as error:
        if code_of(error) == "NoSuchLifecycleConfiguration":
            return []
        raise
    return rules


def put_lifecycle(client: Any, name: str, rules: Sequence[ExpiryRule]) -> None:
    """Add rules to those of a bucket, each in place of the one of its name."""
    names = {rule.name for rule in rules}
    others = [rule for rule in lifecycle_of(client, name) if rule.get("ID") not in names]
    configuration = {"Rules": [*others, *map(to_lifecycle, rules)]}
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=configuration)


def to_lifecycle(rule: ExpiryRule) -> dict[str, Any]:
    """Return a rule as S3 has it."""
    found: dict[str, Any] = {"ID": rule.name, "Status": "Enabled", "Filter": {"Prefix": rule.prefix}}
    if rule.expire_after is not None:
        found["Expiration"] = {"Days": rule.expire_after // _DAY}
    if rule.abort_parts_after is not None:
        found["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.abort_parts_after // _DAY}
    return found


def encryption_of(client: Any, name: str) -> str:
    """Return by what a bucket encrypts new objects; empty if it does not."""
    try:
        found = client.get_bucket_encryption(Bucket=name).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    except ClientError as error:
        if code_of(error) == "ServerSideEncryptionConfigurationNotFoundError":
            return ""
        raise
    return str(found[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "")) if found else ""


def cors_of(client: Any, name: str) -> list[dict[str, Any]]:
    """Return the CORS rules of a bucket, as S3 has them."""
    try:
        rules: list[dict[str, Any]] = client.get_bucket_cors(Bucket=name)["CORSRules"]
    except ClientError as error:
        if code_of(error) == "NoSuchCORSConfiguration":
            return []
        raise
    return rules


def to_cors(rule: OriginRule) -> dict[str, Any]:
    """Return a rule as S3 has it."""
    return {
        "AllowedMethods": list(rule.methods),
        "AllowedOrigins": list(rule.origins),
        "AllowedHeaders": ["*"],
        "ExposeHeaders": list(rule.exposed),
        "MaxAgeSeconds": int(rule.max_age.total_seconds()),
    }


def is_unsupported(error: ClientError) -> bool:
    """Return whether a server does not know a setting."""
    return code_of(error) in _UNSUPPORTED or status_of(error) in {405, 501}


def code_of(error: ClientError) -> str:
    """Return S3's name of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error; 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def said(error: ClientError) -> str:
    """Return what the server said, in at most 200 characters."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return f"{code_of(error)}: {message}".rstrip(": ")[:200] or f"HTTP status {status_of(error)}"


def _expiry(rule: Mapping[str, Any]) -> ExpiryRule | None:
    """Return a rule of S3; None if it is not in force, or says what an `ExpiryRule` cannot."""
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    expire = rule.get("Expiration", {}).get("Days")
    abort = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    known = {"ID", "Status", "Filter", "Prefix", "Expiration", "AbortIncompleteMultipartUpload"}
    if rule.get("Status") != "Enabled" or not set(rule) <= known or (expire is None and abort is None):
        return None
    return ExpiryRule(
        name=str(rule.get("ID", "")),
        prefix=str(prefix),
        expire_after=None if expire is None else expire * _DAY,
        abort_parts_after=None if abort is None else abort * _DAY,
    )
