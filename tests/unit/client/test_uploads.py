"""Uploads in parts over lines and stores that take their time, driven by hand."""

from pathlib import Path
from typing import Any
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

    def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        status, found = 200, self._answer(call)
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


def upload(api: Api, film: Path) -> None:
    steps = uploads.upload(
        Credentials("https://api.example", "t"), film, title="", asset_id=None, state=None, progress=None
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
