"""Buckets made and held against what the zones need: each setting asked for, and then asked whether it is there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from mamkit.errors import MissingExtraError

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as error:
    raise MissingExtraError("s3", package="boto3") from error

from mamkit.storage.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from mamkit.storage.models import ExpiryRule, OriginRule
from mamkit.storage.s3._client import RESERVED
from mamkit.storage.s3._options import S3Options, client_of
from mamkit.storage.s3._rules import (
    code_of,
    cors_of,
    encryption_of,
    is_unsupported,
    lifecycle_of,
    put_lifecycle,
    said,
    status_of,
    to_cors,
    to_lifecycle,
)
from mamkit.storage.s3.store import S3Store

__all__ = ["BucketPlan", "Finding", "State", "check_bucket", "init_bucket", "plans_for_zones"]

State = Literal["ok", "differs", "unsupported"]

_NOBODYS, _NO_ETAG = "no-such-object", "0" * 32  # what a change is tried on, which cannot hold
_LEFTOVERS = 7  # days after which what a crash has left in the store's own folder goes


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPlan:
    """What a bucket is to be."""

    lock_days: int | None = None
    """Default retention of every object, in governance mode; it brings versioning. None locks nothing."""
    expire_days: int | None = None
    """Days after which an object goes by itself; None keeps it."""
    abort_days: int = 7
    """Days after which an upload in parts that nobody has completed goes."""
    methods: tuple[str, ...] = ()
    """What browsers of `origins` may do with signed requests."""
    origins: tuple[str, ...] = ("*",)
    """Web sites whose pages may ask; every request is signed, so that `*` opens nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How one setting of one bucket stands."""

    bucket: str
    setting: str
    state: State
    detail: str
    """What is there, or what the server said."""


def plans_for_zones(
    *, lock_days: int | None = 30, expire_days: int = 7, origins: Sequence[str] = ("*",)
) -> tuple[BucketPlan, BucketPlan, BucketPlan]:
    """Return what the buckets of staging, masters and previews are to be.

    Args:
        lock_days: Default retention of masters; None locks nothing.
        expire_days: Days after which a staged upload goes.
        origins: Web sites whose pages upload and play.
    """
    allowed = tuple(origins)
    return (
        BucketPlan(expire_days=expire_days, methods=("GET", "HEAD", "POST", "PUT"), origins=allowed),
        BucketPlan(lock_days=lock_days),
        BucketPlan(methods=("GET", "HEAD"), origins=allowed),
    )


def init_bucket(name: str, plan: BucketPlan, options: S3Options) -> list[Finding]:
    """Make a bucket what it is to be, and return how it stands then; safe to repeat, and nothing is ever loosened.

    Object lock can only be had of a bucket that is made with it; one that is there without it stays so, and says so.

    Raises:
        StorageUnavailableError: The server cannot be reached, or refuses access.
    """
    client = client_of(options)
    try:
        _make(client, name, plan, options)
        applied = {setting.name: _try(setting.apply, client, name) for setting in _settings(plan)}
        return _look(client, name, plan, options, applied)
    except BotoCoreError as error:
        raise StorageUnavailableError(name, str(error)) from error
    finally:
        client.close()


def check_bucket(name: str, plan: BucketPlan, options: S3Options) -> list[Finding]:
    """Return how a bucket stands; nothing is changed but a small object of the store's own, on which it is tried.

    Raises:
        StorageUnavailableError: The server cannot be reached, refuses access, or has no such bucket.
    """
    client = client_of(options)
    try:
        client.head_bucket(Bucket=name)
        return _look(client, name, plan, options, {})
    except ClientError as error:
        raise StorageUnavailableError(name, said(error)) from error
    except BotoCoreError as error:
        raise StorageUnavailableError(name, str(error)) from error
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting: how to ask for it, and how to see it; `see` returns what is there, and whether that will do."""

    name: str
    apply: Callable[[Any, str], object]
    see: Callable[[Any, str], tuple[bool, str]]


def _make(client: Any, name: str, plan: BucketPlan, options: S3Options) -> None:
    arguments: dict[str, Any] = {"Bucket": name}
    if plan.lock_days is not None:
        arguments["ObjectLockEnabledForBucket"] = True
    region = client.meta.region_name
    if options.endpoint is None and region != "us-east-1":  # the one region that Amazon wants unsaid
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": region}
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if status_of(error) != 404:
            raise StorageUnavailableError(name, said(error)) from error
    else:
        return
    try:
        client.create_bucket(**arguments)
    except ClientError as error:
        if code_of(error) != "BucketAlreadyOwnedByYou":  # another process was quicker
            raise StorageUnavailableError(name, said(error)) from error


def _look(
    client: Any, name: str, plan: BucketPlan, options: S3Options, applied: dict[str, ClientError | None]
) -> list[Finding]:
    found = [_finding(client, name, setting, applied.get(setting.name)) for setting in _settings(plan)]
    with S3Store(name, options) as store:
        features = store.features
        rows = [
            ("checksums", features.checksums),
            ("conditional writes", features.conditional_put),
            ("conditional copies", features.conditional_copy or features.conditional_complete),
            ("copies of one version", features.copy_source_match),
        ]
        if plan.lock_days is None:  # in a bucket that keeps everything, nothing is replaced, and every try would stay
            rows.append(("replacements by ETag", _honours(partial(store.replace, _NOBODYS, b"", if_match=_NO_ETAG))))
            rows.append(("removals by ETag", _honours(partial(store.remove, _NOBODYS, if_match=_NO_ETAG))))
    for setting, holds in rows:
        state: State = "ok" if holds else "unsupported"
        detail = "honoured" if holds else "ignored by this server; what needs it is done in another way or refused"
        found.append(Finding(bucket=name, setting=setting, state=state, detail=detail))
    return found


def _honours(change: Callable[[], object]) -> bool:
    """Return whether the server looks at the condition of a change that cannot hold."""
    try:
        change()
    except UnsupportedOperationError:
        return False
    except (ObjectNotFoundError, ObjectChangedError):
        pass
    return True


def _finding(client: Any, name: str, setting: _Setting, refused: ClientError | None) -> Finding:
    try:
        holds, detail = setting.see(client, name)
    except ClientError as error:
        state: State = "unsupported" if is_unsupported(error) else "differs"
        return Finding(bucket=name, setting=setting.name, state=state, detail=said(refused or error))
    if holds:
        return Finding(bucket=name, setting=setting.name, state="ok", detail=detail)
    if refused is not None:
        state = "unsupported" if is_unsupported(refused) else "differs"
        return Finding(bucket=name, setting=setting.name, state=state, detail=said(refused))
    return Finding(bucket=name, setting=setting.name, state="differs", detail=detail)


def _settings(plan: BucketPlan) -> Iterator[_Setting]:
    if plan.lock_days is not None:
        yield _Setting("versioning", _apply_versioning, _see_versioning)
        days = plan.lock_days
        yield _Setting("object lock", lambda c, b: _apply_lock(c, b, days), lambda c, b: _see_lock(c, b, days))
    yield _Setting("lifecycle", lambda c, b: put_lifecycle(c, b, _rules(plan)), lambda c, b: _see_lifecycle(c, b, plan))
    yield _Setting("encryption", _apply_encryption, _see_encryption)
    if plan.methods:
        yield _Setting("CORS", lambda c, b: _apply_cors(c, b, plan), lambda c, b: _see_cors(c, b, plan))
    yield _Setting("public access", _apply_block, _see_block)


def _apply_versioning(client: Any, name: str) -> None:
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def _see_versioning(client: Any, name: str) -> tuple[bool, str]:
    status = client.get_bucket_versioning(Bucket=name).get("Status", "never enabled")
    return status == "Enabled", status.lower()


def _apply_lock(client: Any, name: str, days: int) -> None:
    if _see_lock(client, name, days)[0]:  # a longer retention than ours is left alone
        return
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)


def _see_lock(client: Any, name: str, days: int) -> tuple[bool, str]:
    try:
        found = client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
    except ClientError as error:
        if code_of(error) == "ObjectLockConfigurationNotFoundError":
            return False, "the bucket was made without it"
        raise
    rule = found.get("Rule", {}).get("DefaultRetention", {})
    kept = rule.get("Days", 0) + 365 * rule.get("Years", 0)
    return kept >= days, f"{rule.get('Mode', 'no default').lower()}, {kept} days"


def _rules(plan: BucketPlan) -> list[ExpiryRule]:
    rules = [
        ExpiryRule(name="mamkit-unfinished", abort_parts_after=timedelta(days=plan.abort_days)),
        ExpiryRule(name="mamkit-leftovers", prefix=f"{RESERVED}parts/", expire_after=timedelta(days=_LEFTOVERS)),
    ]
    if plan.expire_days is not None:
        expire_after = timedelta(days=plan.expire_days)
        rules.append(ExpiryRule(name="mamkit-expiry", prefix="uploads/", expire_after=expire_after))
    return rules


def _see_lifecycle(client: Any, name: str, plan: BucketPlan) -> tuple[bool, str]:
    there = {rule.get("ID"): rule for rule in lifecycle_of(client, name) if rule.get("Status") == "Enabled"}
    for rule in map(to_lifecycle, _rules(plan)):
        found = there.get(rule["ID"], {})
        for kind in ("Expiration", "AbortIncompleteMultipartUpload"):
            if kind in rule and found.get(kind) != rule[kind]:
                return False, f"the rule {rule['ID']} is missing or another"
    expiry = "" if plan.expire_days is None else f", uploads after {plan.expire_days} days"
    return True, f"unfinished uploads go after {plan.abort_days} days{expiry}"


def _apply_encryption(client: Any, name: str) -> None:
    if not encryption_of(client, name):  # a key of one's own (aws:kms) is left alone
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _see_encryption(client: Any, name: str) -> tuple[bool, str]:
    algorithm = encryption_of(client, name)
    return bool(algorithm), algorithm or "none by default"


def _apply_cors(client: Any, name: str, plan: BucketPlan) -> None:
    rule = to_cors(OriginRule(origins=plan.origins, methods=plan.methods))
    client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})


def _see_cors(client: Any, name: str, plan: BucketPlan) -> tuple[bool, str]:
    rules = cors_of(client, name)
    for rule in rules:
        if set(plan.methods) <= set(rule["AllowedMethods"]) and set(plan.origins) <= set(rule["AllowedOrigins"]):
            return True, f"{', '.join(plan.methods)} from {', '.join(plan.origins)}"
    return False, "no rule allows it all" if rules else "no rule"


_BLOCKED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


def _apply_block(client: Any, name: str) -> None:
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_BLOCKED)
    try:
        client.put_object(Bucket=name, Key=f"{RESERVED}open", Body=b"")
        client.delete_object(Bucket=name, Key=f"{RESERVED}open")
    except ClientError as error:
        if status_of(error) != 403:
            raise
        # Ceph 16 takes a write that says nothing of access for a public one.
        client.delete_public_access_block(Bucket=name)
        answer: Any = {"Error": {"Code": "NotImplemented", "Message": "with it, this server refuses every write"}}
        raise ClientError(answer, "PutPublicAccessBlock") from error


def _see_block(client: Any, name: str) -> tuple[bool, str]:
    try:
        found = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if code_of(error) == "NoSuchPublicAccessBlockConfiguration":
            return False, "not blocked"
        raise
    missing = [name for name in _BLOCKED if not found.get(name)]
    return not missing, "blocked" if not missing else f"not all is blocked: {', '.join(missing)}"


def _try(apply: Callable[[Any, str], object], client: Any, name: str) -> ClientError | None:
    try:
        apply(client, name)
    except ClientError as error:
        return error
    return None
