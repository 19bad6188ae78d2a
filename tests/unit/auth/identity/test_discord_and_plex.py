"""Discord and Plex against local servers that answer as their published interfaces do."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mamkit.auth.identity import (
    DiscordProvider,
    Identity,
    IdentityPendingError,
    IdentityRefusedError,
    IdentityUnavailableError,
    PlexProvider,
)
from mamkit_apps.outgoing import HttpTransport
from tests.servers.logins import Discord, Plex, running
from tests.servers.postgres import free_port

CALLBACK = "https://video.example.org/callback"


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport()
    yield transport
    transport.close()


@pytest.fixture
def discord(transport: HttpTransport) -> Iterator[DiscordProvider]:
    # As in "User object" of the developer documentation.
    Discord.user = {
        "id": "80351110224678912", "username": "ada", "discriminator": "0", "global_name": "Ada", "avatar": None,
        "verified": True, "email": "ada@example.org", "flags": 64, "premium_type": 1, "public_flags": 64,
    }  # fmt: skip
    with running(Discord) as url:
        yield DiscordProvider(client_id="client", client_secret="s3cret", transport=transport, site=url)


@pytest.fixture
def plex(transport: HttpTransport) -> Iterator[PlexProvider]:
    Plex.user = {
        "id": 7, "uuid": "6e9a7e3f2b1c4d5e", "username": "ada", "friendlyName": "Ada", "email": "ada@example.org",
        "confirmed": True, "joinedAt": 1577836800, "thumb": "",
    }  # fmt: skip
    with running(Plex) as url:
        yield PlexProvider(client_identifier="installation-1", transport=transport, site=url)


def agree(url: str) -> dict[str, str]:
    answer: dict[str, str] = httpx.get(url).json()
    return answer


def test_a_login_at_discord_says_who_it_was(discord: DiscordProvider) -> None:
    started = discord.begin(redirect_uri=CALLBACK)
    assert discord.finish(started.kept, agree(started.url)) == Identity(
        provider="discord",
        subject="80351110224678912",
        email="ada@example.org",
        email_verified=True,
        name="Ada",
    )


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_discord_did_not_verify_is_not_verified(discord: DiscordProvider, verified: object) -> None:
    Discord.user["verified"] = verified
    started = discord.begin(redirect_uri=CALLBACK)
    assert not discord.finish(started.kept, agree(started.url)).email_verified


def test_attack_another_browser_s_code_at_discord(discord: DiscordProvider) -> None:
    """Login CSRF: the thief's code in the victim's browser. And PKCE: the code alone, with a state that fits."""
    theirs, ours = discord.begin(redirect_uri=CALLBACK), discord.begin(redirect_uri=CALLBACK)
    stolen = agree(theirs.url)
    with pytest.raises(IdentityRefusedError, match="another login"):
        discord.finish(ours.kept, stolen)
    with pytest.raises(IdentityRefusedError, match="invalid_grant"):
        discord.finish(ours.kept, {**stolen, "state": str(ours.kept["state"])})


def test_whoever_declines_at_discord_is_not_logged_in(discord: DiscordProvider) -> None:
    started = discord.begin(redirect_uri=CALLBACK)
    answer = {"state": str(started.kept["state"]), "error": "access_denied"}
    with pytest.raises(IdentityRefusedError, match="access_denied"):
        discord.finish(started.kept, answer)
    with pytest.raises(IdentityRefusedError, match="no authorisation code"):
        discord.finish(started.kept, {"state": str(started.kept["state"])})


def test_what_a_stranger_wrote_into_the_address_is_not_repeated(discord: DiscordProvider) -> None:
    started = discord.begin(redirect_uri=CALLBACK)
    answer = {"state": str(started.kept["state"]), "error": "<script>alert(1)</script>"}
    with pytest.raises(IdentityRefusedError) as caught:
        discord.finish(started.kept, answer)
    assert "script" not in str(caught.value)


def test_a_wrong_secret_at_discord_is_refused(transport: HttpTransport) -> None:
    with running(Discord) as url:
        wrong = DiscordProvider(client_id="client", client_secret="no", transport=transport, site=url)
        started = wrong.begin(redirect_uri=CALLBACK)
        with pytest.raises(IdentityRefusedError, match="invalid_client"):
            wrong.finish(started.kept, agree(started.url))


def test_a_login_at_plex_waits_until_it_is_confirmed_there(plex: PlexProvider) -> None:
    started = plex.begin(redirect_uri=CALLBACK)
    answer = {"state": str(started.kept["state"])}
    with pytest.raises(IdentityPendingError):
        plex.finish(started.kept, answer)
    Plex.confirm()
    assert plex.finish(started.kept, answer) == Identity(
        provider="plex", subject="6e9a7e3f2b1c4d5e", email="ada@example.org", email_verified=True, name="Ada"
    )


def test_the_browser_is_sent_to_plex_with_the_pin_and_the_way_back(plex: PlexProvider) -> None:
    started = plex.begin(redirect_uri=CALLBACK)
    parts = urlsplit(started.url)
    sent = {name: value[0] for name, value in parse_qs(parts.fragment.removeprefix("?")).items()}
    assert (parts.netloc, parts.path) == ("app.plex.tv", "/auth")
    assert sent["clientID"] == "installation-1"
    assert sent["code"] == started.kept["code"]
    assert sent["forwardUrl"] == f"{CALLBACK}?state={started.kept['state']}"


def test_attack_another_browser_finishes_a_login_at_plex(plex: PlexProvider) -> None:
    started = plex.begin(redirect_uri=CALLBACK)
    Plex.confirm()
    for state in ("", "guess", "\ud800"):
        with pytest.raises(IdentityRefusedError, match="another login"):
            plex.finish(started.kept, {"state": state})


def test_a_pin_that_is_not_ours_is_refused(plex: PlexProvider) -> None:
    started = plex.begin(redirect_uri=CALLBACK)
    answer = {"state": str(started.kept["state"])}
    with pytest.raises(IdentityRefusedError, match="404"):
        plex.finish({**started.kept, "code": "x"}, answer)


def test_a_service_that_is_not_there_is_unavailable(transport: HttpTransport) -> None:
    site = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(IdentityUnavailableError):
        PlexProvider(client_identifier="i", transport=transport, site=site).begin(redirect_uri=CALLBACK)


@pytest.mark.parametrize("user", [[], {}, {"id": 5}, {"id": ""}, {"id": "1", "email": 7, "username": []}])
def test_answers_of_another_shape_log_nobody_in(discord: DiscordProvider, user: object) -> None:
    Discord.user = user  # type: ignore[assignment]
    started = discord.begin(redirect_uri=CALLBACK)
    answer = agree(started.url)
    if user == {"id": "1", "email": 7, "username": []}:
        identity = discord.finish(started.kept, answer)
        assert (identity.email, identity.name) == (None, "")
    else:
        with pytest.raises(IdentityUnavailableError):
            discord.finish(started.kept, answer)


def test_no_secret_is_in_a_repr(discord: DiscordProvider) -> None:
    started = discord.begin(redirect_uri=CALLBACK)
    assert all(value not in repr(started) for value in map(str, started.kept.values()))
    assert json.dumps(dict(started.kept))
