"""Settings: what is wrong is said in one line that names the variable, and no secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings, SettingsError
from mamkit_apps.worker.settings import WorkerSettings

SERVICES = (ApiSettings, EdgeSettings, WorkerSettings)
WRONG = ("nonsense-and-no-more", "", "-1", "9" * 5000, "\x01\n")
LONGEST = 250  # characters: what is said of a value of any length


def every() -> Iterator[tuple[type[ServiceSettings], str]]:
    for service in SERVICES:
        for name in service.model_fields:
            if service is ApiSettings or name not in ApiSettings.model_fields:
                yield service, name


@pytest.mark.parametrize(("service", "name"), list(every()), ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_a_setting_is_given_what_is_said_is_one_line_that_names_it(
    service: type[ServiceSettings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is refused at all: some take any text."""
    for value in WRONG:
        monkeypatch.setenv(name.upper(), value)
        said = refusal(service)
        if said is not None:
            assert name.upper() in said
            assert len(said.splitlines()) == 1
            assert len(said) < LONGEST
            assert "nonsense" not in said or "Secret" not in str(service.model_fields[name])


def refusal(service: type[ServiceSettings]) -> str | None:
    try:
        service.load()
    except SettingsError as error:
        return str(error)
    return None


def test_a_value_that_is_refused_is_shown_unless_it_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, said in (
        ("EVENT_DAYS", "soon", "EVENT_DAYS: 'soon' should be a valid integer"),
        ("REGISTRATION", "maybe", "REGISTRATION: 'maybe' should be 'open', 'invitation' or 'closed'"),
        ("TRASH_DAYS", "", "TRASH_DAYS: is empty; give it a value, or do not set it"),
        ("WEBHOOK_NETWORKS", "10.0.0.1/8", "WEBHOOK_NETWORKS: must be networks with commas"),
        ("WATCH_PREFIX", "/films", "WATCH_PREFIX: must end with a slash"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            with pytest.raises(SettingsError) as caught:
                ApiSettings.load()
        assert str(caught.value).startswith(said)
        assert caught.value.names == (name,)


def test_the_api_knows_where_it_is_and_links_lead_to_it_unless_there_are_pages() -> None:
    for given, api, pages in (
        ({}, "http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ({"port": 4000}, "http://127.0.0.1:4000", "http://127.0.0.1:4000"),
        ({"api_url": "https://api.example/"}, "https://api.example", "https://api.example"),
        ({"public_url": "https://video.example"}, "http://127.0.0.1:3000", "https://video.example"),
    ):
        settings = ApiSettings.load(**given)
        assert (settings.api_url, settings.public_url) == (api, pages)


def test_one_wrong_value_is_one_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not one more for each setting that is made of it."""
    monkeypatch.setenv("PORT", "three thousand")
    with pytest.raises(SettingsError) as caught:
        ApiSettings.load(data_dir=tmp_path)
    assert caught.value.names == ("PORT",)
