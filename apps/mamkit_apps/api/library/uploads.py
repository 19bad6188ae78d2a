"""`/api/uploads`: large uploads in parts, which can be taken up again, and uploads by a browser's form.

The API keeps no record of an upload under way. What it must know again is in `upload`, a text that the client keeps and
sends back: sealed, so that it cannot be changed, and bound to who began the upload. Any process of the API can go on
with it, after a crash as well.
"""

import asyncio
import json
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter
from pydantic import Field

from mamkit import catalog as db
from mamkit.auth import Principal, Resource, SealedValueError
from mamkit.ids import uuid7
from mamkit.previews.ingest import UPLOAD_LIFETIME, extension_of
from mamkit.storage import (
    Expected,
    ObjectInfo,
    ObjectNotFoundError,
    PartsPlan,
    SignsForms,
    SignsParts,
    UnsupportedOperationError,
    staging_key,
)
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.bodies import Body, SignedUrl
from mamkit_apps.api.callers.access import Caller, allowed_asset, home_of, place_of, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.schemas import PresignRequest, VersionView
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.logs import note

__all__ = ["routes"]

DIGEST = "[0-9a-f]{64}"
PART_SIZE = 8 << 20  # bytes; what a break costs at most. Files of more than 80 GB get larger ones: 10,000 parts at most
AT_ONCE = 100  # parts signed in one request: of 8 MiB each, more than a client sends in an hour at 2 MB/s


class UploadRequest(PresignRequest):
    """A file that somebody wants to upload."""

    asset_id: UUID | None = None
    """An asset of which this is to be a new version; null makes a new asset."""


class UploadToken(Body):
    """An upload in parts, as it was begun."""

    upload: Annotated[str, Field(max_length=4096, repr=False)]
    """What the beginning answered."""


class PartsRequest(UploadToken):
    """Parts that are to be sent next."""

    numbers: Annotated[list[Annotated[int, Field(ge=1, le=10_000)]], Field(min_length=1, max_length=AT_ONCE)]
    """Of the parts, from 1."""


class UploadBegun(Body):
    """An upload in parts that has begun."""

    asset_id: UUID
    upload: str = Field(repr=False)
    """To be sent with each further request; keep it to go on after a break."""
    part_size: int
    """Bytes of every part but the last."""
    count: int
    """How many parts there are; they are numbered from 1."""


class SignedPart(Body):
    """Where and how to send one part: the request to be sent, with the part as its body and without a login."""

    number: int
    method: str
    url: SignedUrl
    headers: dict[str, str]


class SignedParts(Body):
    """Where and how to send parts."""

    parts: tuple[SignedPart, ...]


class PartsThere(Body):
    """What has arrived."""

    numbers: tuple[int, ...]
    """Of the parts that are there whole, in order."""
    count: int
    part_size: int
    """Bytes of every part but the last."""


class UploadDone(Body):
    """An upload that is whole, and waits to be promoted."""

    asset_id: UUID
    size: int
    """Bytes."""


class FormView(Body):
    """A form that uploads the file, as its last field, named `file`."""

    asset_id: UUID
    url: SignedUrl
    fields: dict[str, str] = Field(repr=False)
    """To be sent before the file."""


@post("/parts", opt=answers(507))
async def begin(data: JSONBody[UploadRequest], principal: Caller, parts: Wired) -> UploadBegun:
    """Begin an upload in parts, in any order and each again if need be, past the API into staging."""
    asset_id, key = await _place(data, principal, parts)
    store = _parts_store(parts)
    expected = Expected(size=data.size, sha256=data.sha256)
    plan = await asyncio.to_thread(
        store.begin_parts, key, content_type=data.content_type, expected=expected, part_size=PART_SIZE
    )
    kept = json.dumps({"asset": str(asset_id), "plan": asdict(plan)}).encode()
    sealed = parts.vault.seal(kept, where=_where(principal))
    return UploadBegun(asset_id=asset_id, upload=sealed, part_size=plan.part_size, count=plan.count)


@post("/parts/sign", status_code=HTTPStatus.OK)
async def sign(data: JSONBody[PartsRequest], principal: Caller, parts: Wired) -> SignedParts:
    """Return requests that send parts; each is good for an hour."""
    _, plan = _open(data, principal, parts)
    store = _parts_store(parts)
    if beyond := [number for number in data.numbers if number > plan.count]:
        raise InvalidRequestError(f"numbers: there are {plan.count} parts, and no part {beyond[0]}")
    found = []
    for number in dict.fromkeys(data.numbers):
        request = await asyncio.to_thread(store.sign_part, plan, number, expires_in=UPLOAD_LIFETIME)
        headers = dict(request.headers)
        found.append(SignedPart(number=number, method=request.method, url=request.url, headers=headers))
    return SignedParts(parts=tuple(found))


@post("/parts/list", status_code=HTTPStatus.OK)
async def list_parts(data: JSONBody[UploadToken], principal: Caller, parts: Wired) -> PartsThere:
    """Say which parts have arrived, so that an upload can be taken up again; 404 once it is over."""
    _, plan = _open(data, principal, parts)
    there = await asyncio.to_thread(_parts_store(parts).parts_there, plan)
    return PartsThere(numbers=tuple(sorted(there)), count=plan.count, part_size=plan.part_size)


@post("/parts/complete", status_code=HTTPStatus.OK, opt=answers(507))
async def complete(data: JSONBody[UploadToken], principal: Caller, parts: Wired) -> UploadDone:
    """Join the parts; while one is missing, the upload goes on. Repeating it is harmless until it is promoted."""
    asset_id, plan = _open(data, principal, parts)
    made = await asyncio.to_thread(_join, parts, plan)
    return UploadDone(asset_id=asset_id, size=made.size)


@post("/parts/abort", status_code=HTTPStatus.NO_CONTENT)
async def abort(data: JSONBody[UploadToken], principal: Caller, parts: Wired) -> None:
    """Forget an upload and its parts; one that is over already is no error."""
    _, plan = _open(data, principal, parts)
    await asyncio.to_thread(_parts_store(parts).abort_parts, plan)


@post("/form", status_code=HTTPStatus.OK)
async def sign_form(data: JSONBody[UploadRequest], principal: Caller, parts: Wired) -> FormView:
    """Return a form with which a browser uploads one file of just this size and type, past the API, into staging."""
    asset_id, key = await _place(data, principal, parts)
    store = parts.zones.staging
    if not isinstance(store, SignsForms):
        raise UnsupportedOperationError("the staging store takes no uploads by form")
    expected = Expected(size=data.size, sha256=data.sha256)
    form = store.sign_form(key, content_type=data.content_type, expected=expected, expires_in=UPLOAD_LIFETIME)
    return FormView(asset_id=asset_id, url=form.url, fields=dict(form.fields))


@get("/duplicates")
async def duplicates(
    sha256: Annotated[str, QueryParameter(pattern=f"^{DIGEST}$")], principal: Caller, parts: Wired
) -> list[VersionView]:
    """List the versions of your own assets that have just these bytes, so that a file is not uploaded twice."""
    own = Resource(kind="asset", owner_id=principal.user_id, workspace_id=home_of(principal.user_id))
    require(principal, "asset.read", own)
    async with parts.catalog.read(scope_of(principal)) as session:
        found = await db.versions_with_bytes(session, principal.user_id, sha256)
    return [VersionView.of(each) for each in found]


async def _place(data: UploadRequest, principal: Principal, parts: Parts) -> tuple[UUID, str]:
    """Return the asset that an upload is for, new or not, and the key where it waits.

    Raises:
        PermissionDeniedError: They may not.
        NotFoundError: There is no such asset.
        InvalidRequestError: The file is too large.
    """
    if data.size > parts.settings.max_upload_bytes:
        raise InvalidRequestError(f"size: at most {parts.settings.max_upload_bytes} bytes can be uploaded")
    if data.asset_id is None:
        place_of(principal, data.workspace_id)
        asset_id = uuid7()
        note(asset_id=asset_id)
        return asset_id, staging_key(principal.user_id, asset_id, extension_of(data.filename))
    async with parts.catalog.read(scope_of(principal)) as session:
        asset = await allowed_asset(session, principal, "asset.update", data.asset_id)
    note(asset_id=asset.id)
    return asset.id, asset.staging_key


def _parts_store(parts: Parts) -> SignsParts:
    store = parts.zones.staging
    if not isinstance(store, SignsParts):
        raise UnsupportedOperationError("the staging store takes no uploads in parts")
    return store


def _join(parts: Parts, plan: PartsPlan) -> ObjectInfo:
    """Return the object that the parts make, or made when this was asked for before and its answer was lost.

    Raises:
        UploadRejectedError: A part is missing.
        ObjectNotFoundError: There is no such upload, or it was given up.
    """
    store = _parts_store(parts)
    try:
        return store.complete_parts(plan)
    except ObjectNotFoundError:
        found = parts.zones.staging.head(plan.key)
        if found.size != plan.size:
            raise
        return found


def _open(data: UploadToken, principal: Principal, parts: Parts) -> tuple[UUID, PartsPlan]:
    """Return what an upload is for, and its plan.

    Raises:
        InvalidRequestError: It is no upload of whoever asks.
    """
    try:
        kept = json.loads(parts.vault.open(data.upload, where=_where(principal)))
    except SealedValueError as error:
        raise InvalidRequestError("upload: this is no upload that you began; begin one") from error
    asset_id = UUID(kept["asset"])
    note(asset_id=asset_id)
    return asset_id, PartsPlan(**kept["plan"])


def _where(principal: Principal) -> str:
    return f"upload:{principal.user_id}"


routes = [
    Router(
        "/api/uploads",
        route_handlers=[begin, sign, list_parts, complete, abort, sign_form, duplicates],
        tags=["uploads"],
    )
]
