"""Uploading a file: in one request if it is small, in parts that can be taken up again if it is not."""

import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from mamkit.client.errors import ApiError, FileChangedError, UploadBrokenError
from mamkit.client.models import Version
from mamkit.client.steps import Call, Credentials, FileRange, Progress, Run, Steps, api, store

__all__ = ["UploadState", "upload"]

ONE_REQUEST = 32 << 20  # bytes; below, sending it all again costs less than six more requests
SIGNED_AT_ONCE = 20  # parts; what is signed is good for an hour
OVER = frozenset({400, 403, 404, 409})  # what the API says of an upload that it knows no more, or that is not ours
EXPIRED = frozenset({400, 403})  # S3 says either of what was signed too long ago, and our edge the latter
STORED_A_SECOND = 16 << 20  # bytes; what a slow disk copies and hashes, of which an answer tells only at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """What is needed to take an upload up again; a client keeps it in a file, readable by its owner alone."""

    upload: str = field(repr=False)
    """What the API answered when the upload began."""
    asset_id: str
    sha256: str
    """Of the file, lower-case hexadecimal."""
    size: int
    """Bytes."""

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what a file holds; None if there is none, or it is none of ours."""
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write it into a file, whole or not at all."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{uuid4().hex}")
        scratch.touch(mode=0o600, exist_ok=False)
        scratch.write_text(json.dumps(asdict(self)), "utf-8")
        scratch.replace(path)


def upload(
    credentials: Credentials,
    path: Path,
    *,
    title: str,
    asset_id: UUID | None,
    state: Path | None,
    progress: Progress | None,
) -> Steps[Version]:
    """Upload a file and make it a master, whose preview is then built.

    Args:
        credentials: Of whoever uploads.
        path: The file; it must not change meanwhile.
        title: Of a new asset.
        asset_id: An asset of which it is a new version; None makes a new one.
        state: File that keeps how far an upload in parts is, and is removed at its end. If it is there and is about the
            same bytes, the upload is taken up again, and only what is missing is sent; nothing, if it broke off later.
        progress: Is told how far it is.

    Raises:
        ApiError: The API or the store refused.
        ApiUnavailableError: They cannot be reached.
        FileChangedError: The file changed.
        UploadBrokenError: Parts were lost.
        OSError: The file cannot be read.
    """
    size, sha256 = yield Run(do=lambda: _facts(path))
    tell = progress or _nobody
    wanted = {
        "filename": path.name[-255:],
        "size": size,
        "content_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        "sha256": sha256,
    }
    tell(0, size)
    if size <= ONE_REQUEST and asset_id is None:
        made = yield from _in_one(credentials, path, wanted, tell)
    else:
        made = yield from _taken_up(credentials, path, wanted, asset_id=asset_id, state=state, tell=tell)
    if (yield Run(do=lambda: path.stat().st_size)) != size:
        raise FileChangedError(path.name)
    if asset_id is None:
        record = {"asset_id": made, "filename": wanted["filename"], "title": title}
        yield from api(credentials, "POST", "/api/assets", record)
    promotion = {"asset_id": made, "sha256": sha256}
    found = yield from api(credentials, "POST", "/api/promote", promotion, patience=size / STORED_A_SECOND)
    if state is not None:
        yield Run(do=lambda: state.unlink(missing_ok=True))
    return Version.read(found)


def _in_one(credentials: Credentials, path: Path, wanted: Mapping[str, Any], tell: Progress) -> Steps[str]:
    """Send the file in one request; return the asset's id."""
    size: int = wanted["size"]
    signed = yield from api(credentials, "POST", "/api/presign", wanted, key=uuid4().hex)
    body = FileRange(path=path, start=0, size=size, sent=lambda sent: tell(sent, size))
    headers = {**signed["headers"], "content-length": str(size)}
    yield from store(Call(method=signed["method"], url=signed["url"], headers=headers, body=body))
    return str(signed["asset_id"])


def _taken_up(
    credentials: Credentials,
    path: Path,
    wanted: Mapping[str, Any],
    *,
    asset_id: UUID | None,
    state: Path | None,
    tell: Progress,
) -> Steps[str]:
    """Send the file in parts, or of an upload that was broken off what is missing; return the asset's id."""
    if state is not None and (kept := (yield from _kept(state, wanted, asset_id))) is not None:
        there = yield from _accepted(credentials, "/api/uploads/parts/list", {"upload": kept.upload})
        if there is not None:
            return (yield from _in_parts(credentials, path, kept, there, tell=tell))
        if (yield from _is_whole(credentials, kept)):
            tell(kept.size, kept.size)
            return kept.asset_id
    begun, there = yield from _begin(credentials, wanted, asset_id, state)
    return (yield from _in_parts(credentials, path, begun, there, tell=tell))


def _in_parts(
    credentials: Credentials, path: Path, begun: UploadState, found: Mapping[str, Any], *, tell: Progress
) -> Steps[str]:
    """Send the parts that are not there yet, and join them; return the asset's id.

    Args:
        credentials: Of whoever uploads.
        path: The file.
        begun: The upload.
        found: `part_size`, and the `numbers` of the parts that are there.
        tell: Is told how far it is.
    """
    size, there = begun.size, frozenset(found["numbers"])
    part_size: int = found["part_size"]
    token = {"upload": begun.upload}
    count = max(1, -(-size // part_size))
    missing = [number for number in range(1, count + 1) if number not in there]

    def length(number: int) -> int:
        return min(number * part_size, size) - (number - 1) * part_size

    done = sum(length(number) for number in there)
    tell(done, size)
    while missing:
        numbers = missing[:SIGNED_AT_ONCE]
        signed = yield from api(credentials, "POST", "/api/uploads/parts/sign", {**token, "numbers": numbers})
        for turn, part in enumerate(signed["parts"]):
            number, before = part["number"], done
            body = FileRange(
                path=path,
                start=(number - 1) * part_size,
                size=length(number),
                sent=_telling(tell, before, size),
            )
            headers = {**part["headers"], "content-length": str(body.size)}
            try:
                yield from store(Call(method=part["method"], url=part["url"], headers=headers, body=body))
            except ApiError as error:
                if turn and error.status in EXPIRED:
                    break  # the line is so slow that those before took the hour: the rest is signed anew
                raise
            done += body.size
            missing.remove(number)
    try:
        yield from api(credentials, "POST", "/api/uploads/parts/complete", token, patience=size / STORED_A_SECOND)
    except ApiError as error:
        left = yield from api(credentials, "POST", "/api/uploads/parts/list", token)
        if lost := count - len(left["numbers"]):
            raise UploadBrokenError(lost) from error
        raise
    return begun.asset_id


def _kept(state: Path, wanted: Mapping[str, Any], asset_id: UUID | None) -> Steps[UploadState | None]:
    """Return what was kept of an upload of the same bytes to the same place; None if there is nothing."""
    kept: UploadState | None = yield Run(do=lambda: UploadState.load(state))
    same = kept is not None and (kept.sha256, kept.size) == (wanted["sha256"], wanted["size"])
    return kept if kept is not None and same and str(asset_id or kept.asset_id) == kept.asset_id else None


def _is_whole(credentials: Credentials, kept: UploadState) -> Steps[bool]:
    """Return whether an upload of which the parts are known no more was joined, so that there is nothing to be sent.

    Who is killed between that and the answer to the promotion has the bytes in staging, or in a master already.
    """
    for path, body in (
        ("/api/uploads/parts/complete", {"upload": kept.upload}),
        ("/api/promote", {"asset_id": kept.asset_id, "sha256": kept.sha256}),
    ):
        if (yield from _accepted(credentials, path, body, patience=kept.size / STORED_A_SECOND)) is not None:
            return True
    return False


def _accepted(credentials: Credentials, path: str, body: Mapping[str, Any], *, patience: float = 0.0) -> Steps[Any]:
    """Return what the API answers; None if it knows no such upload."""
    try:
        return (yield from api(credentials, "POST", path, body, patience=patience))
    except ApiError as error:
        if error.status in OVER:
            return None
        raise


def _begin(
    credentials: Credentials, wanted: Mapping[str, Any], asset_id: UUID | None, state: Path | None
) -> Steps[tuple[UploadState, Mapping[str, Any]]]:
    """Return an upload that has just begun, and that nothing of it is there."""
    asked = {**wanted, "asset_id": None if asset_id is None else str(asset_id)}
    found = yield from api(credentials, "POST", "/api/uploads/parts", asked, key=uuid4().hex)
    begun = UploadState(
        upload=found["upload"], asset_id=found["asset_id"], sha256=wanted["sha256"], size=wanted["size"]
    )
    if state is not None:
        yield Run(do=lambda: begun.save(state))
    return begun, {"numbers": (), "part_size": found["part_size"]}


def _facts(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _nobody(_: int, __: int) -> None:
    """Tell nobody."""


def _telling(tell: Progress, before: int, size: int) -> Callable[[int], object]:
    """Return what tells how far an upload is while a part of it is sent."""
    return lambda sent: tell(before + sent, size)
