"""`Idempotency-Key`: a request sent again does nothing again, and nobody gets another's answer."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from mamkit import catalog as db
from mamkit.catalog.kept_answers import claim_answer, keep_answer, purge_answers
from tests.apps.people import PASSWORD, Person, Site, open_site
from tests.unit.catalog.manual_clock import Clock

WANTED = {"filename": "a.mp4", "size": 5}


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    with open_site(data_dir) as site:
        yield site


def post(person: Person, path: str, body: object, key: str, token: str = "") -> Any:
    headers = {"authorization": f"Bearer {token or person.access}", "idempotency-key": key}
    return person.site.client.post(path, json=body, headers=headers)


def kept(site: Site) -> list[db.KeptAnswer]:
    async def look() -> list[db.KeptAnswer]:
        async with site.parts.catalog.read() as session:
            return list(await session.scalars(select(db.KeptAnswer)))

    assert site.client.blocking_portal is not None
    found: list[db.KeptAnswer] = site.client.blocking_portal.call(look)
    return found


def test_a_request_sent_again_gets_the_first_answer_and_makes_nothing(site: Site) -> None:
    ada = site.person()
    body = {"name": "edit suite", "scopes": ["asset.read"]}
    first, second = (post(ada, "/auth/api-keys", body, '"one"') for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert (first.headers.get("idempotent-replayed"), second.headers["idempotent-replayed"]) == (None, "true")
    assert len(ada.call("GET", "/auth/api-keys").json()) == 1
    assert post(ada, "/auth/api-keys", body, '"two"').json() != first.json()


def test_a_key_holds_across_a_new_access_token_but_not_for_a_login_that_ended(site: Site) -> None:
    ada = site.person()
    first = post(ada, "/api/presign", WANTED, "a")
    renewed = site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).json()["access_token"]
    assert post(ada, "/api/presign", WANTED, "a", renewed).json() == first.json()
    site.call("POST", "/auth/logout-all", token=renewed)
    assert post(ada, "/api/presign", WANTED, "a", renewed).status_code == 401


def test_another_user_and_another_key_of_the_same_user_get_answers_of_their_own(site: Site) -> None:
    ada, eve = site.person(), site.person()
    request = {"name": "narrow", "scopes": ["asset.create"]}
    narrow = ada.call("POST", "/auth/api-keys", request).json()["api_key"]
    answers = [post(ada, "/api/presign", WANTED, "k"), post(eve, "/api/presign", WANTED, "k"),
               post(ada, "/api/presign", WANTED, "k", narrow)]  # fmt: skip
    assert len({answer.json()["asset_id"] for answer in answers}) == 3


def test_a_key_used_for_another_request_is_refused(site: Site) -> None:
    ada = site.person()
    post(ada, "/api/presign", WANTED, "k")
    for path, body in (("/api/presign", {**WANTED, "size": 6}), ("/api/assets", WANTED)):
        answer = post(ada, path, body, "k")
        assert (answer.status_code, answer.json()["code"]) == (422, "catalog.idempotency_key_reused")


def test_a_key_that_is_none_is_refused(site: Site) -> None:
    ada = site.person()
    for key in ["", '""', "a b", "x" * 256, '"unended']:
        assert post(ada, "/api/presign", WANTED, key).status_code == 400


def test_what_was_refused_is_tried_anew(site: Site) -> None:
    ada = site.person()
    wanted = {"asset_id": str(uuid4()), "sha256": None}
    assert post(ada, "/api/promote", wanted, "k").status_code == 404
    assert kept(site) == []


def test_what_is_kept_is_sealed(site: Site) -> None:
    ada = site.person()
    secret = post(ada, "/auth/api-keys", {"name": "a", "scopes": ["asset.read"]}, "k").json()["api_key"]
    (row,) = kept(site)
    assert row.status == 201
    assert row.content is not None
    assert secret not in row.content
    assert PASSWORD not in row.content


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_of_many_at_once_one_works_and_a_dead_one_gives_its_place_up(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if database == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    await asyncio.to_thread(db.upgrade, url)
    clock, minute = Clock(), timedelta(minutes=1)

    async with db.Catalog(url, clock=clock) as catalog:

        async def claim(fingerprint: str = "f") -> db.KeptAnswer:
            async with catalog.begin() as session:
                return await claim_answer(session, "ada", "k", fingerprint, hold=minute, keep=60 * minute)

        results = await asyncio.gather(*(claim() for _ in range(8)), return_exceptions=True)
        places = [each for each in results if isinstance(each, db.KeptAnswer)]
        assert len(places) == 1
        assert all(isinstance(each, db.RequestInProgressError) for each in results if each is not places[0])
        clock.advance(minute * 2)
        successor = await claim()
        assert successor.status is None
        async with catalog.begin() as session:
            assert not await keep_answer(session, places[0], status=201, content="late")
            assert await keep_answer(session, successor, status=201, content="answer")
        assert (await claim()).content == "answer"
        with pytest.raises(db.KeyReusedError):
            await claim("another")
        clock.advance(minute * 61)
        assert (await claim("another")).status is None
        clock.advance(minute * 61)
        async with catalog.begin() as session:
            assert await purge_answers(session) == 1
