"""Uploads in parts over lines and stores that take their time, driven by hand."""

import hashlib
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from mamkit.client import uploads
from mamkit.client.errors import ApiError
from mamkit.client.steps import Answer, Call, Credentials, Run
from mamkit.client.synchronous import CONNECT, TIMEOUT, patience

PART = 1 << 20
COUNT = 45


class Api:
    """Answers as the API and a store do of which what was signed is good for some uploads only."""

    def __init__(self, good_for: int) -> None:
        self.good_for = good_for
        self.signed: list[list[int]] = []
        self.taken: list[str] = []
        self.calls: list[Call] = []
        self._left = 0
        self.refused: dict[str, int] = {}

    def asked(self) -> list[str]:
        """The last words of the paths that were asked for."""
        return [call.url.rpartition("/")[2] for call in self.calls]

    def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        status, found = self.refused.get(self.asked()[-1], 200), self._answer(call)
        if call.method == "PUT":
            self._left -= 1
            if self._left < 0:
                status, found = 403, {"detail": "the token has expired"}
            else:
                self.taken.append(call.url)
        return Answer(status=status, headers={}, document=found)

    def _answer(self, call: Call) -> Any:
        json: Any = call.json
        match call.url.removeprefix("https://api.example"):
            case "/api/uploads/parts":
                return {"upload": "u", "asset_id": str(uuid4()), "part_size": PART}
            case "/api/uploads/parts/sign":
                self.signed.append(json["numbers"])
                self._left = self.good_for
                parts = [{"number": n, "method": "PUT", "url": f"https://s/{n}"} for n in json["numbers"]]
                return {"parts": [{**part, "headers": {}} for part in parts]}
            case "/api/uploads/parts/list":
                return {"numbers": [1, 2, 3], "part_size": PART}
            case "/api/promote":
                made = {"id": str(uuid4()), "asset_id": json["asset_id"], "number": 1, "size": 1, "sha256": "0"}
                return {**made, "created_at": "2026-01-01T00:00:00+00:00"}
        return {}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mov"
    with path.open("wb") as file:
        file.truncate(COUNT * PART - 1)  # sparse
    return path


def upload(api: Api, film: Path, state: Path | None = None) -> None:
    steps = uploads.upload(
        Credentials("https://api.example", "t"), film, title="", asset_id=None, state=state, progress=None
    )
    found: Any = None
    try:
        while True:
            step = steps.send(found)
            assert isinstance(step, Call | Run)
            found = step.do() if isinstance(step, Run) else api(step)
    except StopIteration:
        return


def test_parts_whose_signature_has_expired_meanwhile_are_signed_anew(film: Path) -> None:
    api = Api(good_for=7)
    upload(api, film)
    assert api.taken == [f"https://s/{number}" for number in range(1, COUNT + 1)]
    assert [numbers[0] for numbers in api.signed] == [1, 8, 15, 22, 29, 36, 43]


def test_what_was_just_signed_and_is_refused_is_not_tried_for_ever(film: Path) -> None:
    api = Api(good_for=0)
    with pytest.raises(ApiError) as caught:
        upload(api, film)
    assert caught.value.status == 403
    assert len(api.signed) == 1


def test_a_large_upload_has_time_to_be_joined_and_copied(film: Path) -> None:
    """Else each minute of a slow disk is taken for a lost answer, and the work is begun once more beside itself."""
    upload(api := Api(good_for=COUNT), film)
    waits = {call.url.rpartition("/")[2]: patience(TIMEOUT, call) for call in api.calls}
    most = COUNT * PART / (16 << 20)
    assert waits["complete"].read == waits["promote"].read == pytest.approx(TIMEOUT + most, abs=0.1)
    assert waits["sign"].read == TIMEOUT
    assert {wait.connect for wait in waits.values()} == {CONNECT}


@pytest.fixture
def state(film: Path) -> Path:
    """What is kept of an upload that was broken off."""
    kept = uploads.UploadState(
        upload="u", asset_id=str(uuid4()), sha256=hashlib.sha256(film.read_bytes()).hexdigest(), size=COUNT * PART - 1
    )
    kept.save(film.with_name("state"))
    return film.with_name("state")


def test_what_is_there_is_not_sent_again(film: Path, state: Path) -> None:
    upload(api := Api(good_for=COUNT), film, state)
    assert api.taken == [f"https://s/{number}" for number in range(4, COUNT + 1)]
    assert not state.exists()


@pytest.mark.parametrize(
    ("known_no_more", "asked"),
    [
        (["list"], ["list", "complete", "assets", "promote"]),
        (["list", "complete"], ["list", "complete", "promote", "assets", "promote"]),
    ],
    ids=["killed before the promotion", "killed after it"],
)
def test_an_upload_that_broke_off_after_its_last_part_sends_nothing_again(
    film: Path, state: Path, known_no_more: list[str], asked: list[str]
) -> None:
    api = Api(good_for=COUNT)
    api.refused = dict.fromkeys(known_no_more, 404)
    upload(api, film, state)
    assert api.asked() == asked
    assert not state.exists()


def test_an_upload_that_is_known_no_more_begins_anew(film: Path, state: Path) -> None:
    class Forgetful(Api):
        def __call__(self, call: Call) -> Answer:
            known = "https://api.example/api/uploads/parts" in self.asked_urls
            self.asked_urls.append(call.url)
            self.refused = {} if known else {"list": 404, "complete": 404, "promote": 409}
            return super().__call__(call)

        asked_urls: ClassVar[list[str]] = []

    upload(api := Forgetful(good_for=COUNT), film, state)
    assert len(api.taken) == COUNT


def test_an_api_that_fails_is_no_reason_to_send_everything_again(film: Path, state: Path) -> None:
    api = Api(good_for=COUNT)
    api.refused = {"list": 500}
    with pytest.raises(ApiError):
        upload(api, film, state)
    assert api.asked() == ["list"]
    assert state.exists()
