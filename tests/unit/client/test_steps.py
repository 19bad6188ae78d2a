"""What the client does when things go wrong, without any I/O: the steps are driven by hand."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from mamkit.client.errors import ApiError, ApiUnavailableError, NotUnderstoodError
from mamkit.client.operations import assets_page, wait
from mamkit.client.steps import Answer, Call, Credentials, Lost, Pause, Steps, api, store
from mamkit.client.synchronous import document

URL = "https://api.example"


def answer(status: int, document: Any = None, **headers: str) -> Answer:
    return Answer(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, document=document)


def drive(steps: Steps[Any], *found: Answer | Lost) -> tuple[list[Call], list[float], Any]:
    """Return the requests that were sent, the pauses between them, and the result."""
    calls: list[Call] = []
    pauses: list[float] = []
    left = iter(found)
    sent: Any = None
    while True:
        try:
            step = steps.send(sent)
        except StopIteration as end:
            assert next(left, None) is None
            return calls, pauses, end.value
        if isinstance(step, Pause):
            pauses.append(step.seconds)
            sent = None
        else:
            assert isinstance(step, Call)
            calls.append(step)
            sent = next(left)


def ask(credentials: Credentials | None = None) -> Steps[Any]:
    return api(credentials or Credentials(URL, "mka1_x"), "POST", "/api/presign", {"size": 1}, key="k")


def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    calls, pauses, result = drive(ask(), Lost(reason=OSError()), answer(503), answer(200, {"a": 1}))
    assert result == {"a": 1}
    assert {call.headers["idempotency-key"] for call in calls} == {'"k"'}
    assert pauses == [0.5, 1.0]


def test_a_server_that_says_when_is_obeyed_unless_it_asks_for_too_much() -> None:
    _, pauses, _ = drive(ask(), answer(429, retry_after="7"), answer(200, {}))
    assert pauses == [7.0]
    with pytest.raises(ApiError) as caught:
        drive(ask(), answer(429, {"detail": "later", "code": "apps.limit_reached"}, retry_after="3600"))
    assert (caught.value.status, caught.value.problem) == (429, "apps.limit_reached")
    for nonsense in ("Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan", "inf"):
        assert drive(ask(), answer(503, retry_after=nonsense), answer(200, {}))[1] == [0.5]


def test_after_some_tries_it_gives_up_and_says_why() -> None:
    reason = OSError("no route")
    with pytest.raises(ApiUnavailableError) as caught:
        drive(ask(), *[Lost(reason=reason)] * 6)
    assert caught.value.__cause__ is reason
    assert caught.value.tries == 6
    assert str(caught.value).endswith(": no route")


def test_a_refusal_is_not_asked_again() -> None:
    with pytest.raises(ApiError, match="no such thing"):
        drive(ask(), answer(404, {"detail": "no such thing"}))


def test_an_expired_access_token_is_renewed_once() -> None:
    credentials = Credentials(URL)
    credentials.take({"access_token": "old", "refresh_token": "r1"})
    fresh = {"access_token": "new", "refresh_token": "r2"}
    calls, _, _ = drive(ask(credentials), answer(401), answer(200, fresh), answer(200, {}))
    assert [call.url.removeprefix(URL) for call in calls] == ["/api/presign", "/auth/refresh", "/api/presign"]
    assert calls[-1].headers["authorization"] == "Bearer new"
    with pytest.raises(ApiError):
        drive(ask(credentials), answer(401), answer(401))
    with pytest.raises(ApiError):
        drive(ask(credentials), answer(401))


def test_no_error_and_no_repr_shows_a_signed_url_or_a_token() -> None:
    call = Call(method="PUT", url=f"{URL}/s/secret-token/key?signature=secret", headers={"x": "secret"})
    credentials = Credentials(URL, "secret")
    with pytest.raises(ApiUnavailableError) as lost:
        drive(store(call), *[Lost(reason=OSError())] * 6)
    with pytest.raises(ApiError) as refused:
        drive(store(call), answer(403))
    for shown in (repr(call), repr(credentials), str(lost.value), str(refused.value)):
        assert "secret" not in shown


@pytest.mark.parametrize("content", [b"<html>welcome</html>", b"", b"null"])
def test_an_answer_of_something_else_than_an_api_is_told_as_such(content: bytes) -> None:
    steps = assets_page(Credentials(URL, "mka1_x"), None, mine=False, limit=1)
    with pytest.raises(NotUnderstoodError, match=f"{URL} answers GET /api/assets with no JSON"):
        drive(steps, document(httpx.Response(200, content=content)))


def test_an_answer_without_a_member_that_is_needed_names_it() -> None:
    """As of an API of another version, or of another service."""
    found = httpx.Response(200, json={"items": [{"id": str(uuid4())}], "next": None})
    with pytest.raises(NotUnderstoodError, match="'user_id'"):
        drive(assets_page(Credentials(URL), None, mine=False, limit=1), document(found))


def test_a_refusal_names_the_member_at_fault_and_a_failure_the_request() -> None:
    faults = [{"message": "should be greater than 0", "key": "size"}]
    with pytest.raises(ApiError, match=r"no such size; size: should be greater than 0$"):
        drive(ask(), answer(400, {"detail": "no such size", "errors": faults, "request_id": "01a1"}))
    with pytest.raises(ApiError, match=r"no reason given \(request 01a1 in its log\)"):
        drive(ask(), answer(500, {"request_id": "01a1", "errors": 5}))


def test_what_takes_long_is_looked_at_less_often() -> None:
    version = uuid4()
    told: list[float] = []
    looks = 200
    found = [
        {"version_id": str(version), "status": "building", "progress": look / looks, "failure": None}
        for look in range(looks)
    ]
    last = {**found[-1], "status": "ready", "progress": 1.0}
    steps = wait(Credentials(URL), version, lambda preview: told.append(preview.progress))
    _, pauses, result = drive(steps, *[answer(200, each) for each in [*found, last]])
    assert (result.status, told[0], told[-1], len(told)) == ("ready", 0.0, 1.0, looks + 1)
    assert (pauses[0], pauses[-1], sum(pauses) > 600) == (1.0, 5.0, True)
