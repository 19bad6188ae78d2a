"""Forged requests are refused, and no browser is sent to a stranger's site."""

import pytest

from mamkit.auth import CsrfError, CsrfTokens, RedirectRefusedError, WeakSecretError, check_origin, check_return_path

OURS = {"https://video.example.org"}


@pytest.fixture
def tokens() -> CsrfTokens:
    return CsrfTokens(b"s" * 32)


def test_a_token_is_good_for_its_session(tokens: CsrfTokens) -> None:
    token = tokens.issue("session-1")
    tokens.check(token, "session-1")
    assert token != tokens.issue("session-1")


@pytest.mark.parametrize("token", [None, "", "x", "x" * 65, "ü" * 65, "\ud800", "x" * 1_000_000])
def test_attack_no_token_or_a_guessed_one(tokens: CsrfTokens, token: str | None) -> None:
    with pytest.raises(CsrfError):
        tokens.check(token, "session-1")


def test_attack_token_of_another_session(tokens: CsrfTokens) -> None:
    """The attacker has a session of their own, and a token that is good for it."""
    with pytest.raises(CsrfError):
        tokens.check(tokens.issue("session-2"), "session-1")


def test_attack_token_of_another_secret(tokens: CsrfTokens) -> None:
    with pytest.raises(CsrfError):
        tokens.check(CsrfTokens(b"t" * 32).issue("session-1"), "session-1")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(WeakSecretError):
        CsrfTokens(b"s" * 31)


@pytest.mark.parametrize("origin", [None, "https://video.example.org"])
def test_our_pages_and_programs_may_ask(origin: str | None) -> None:
    check_origin(origin, OURS)


@pytest.mark.parametrize(
    "origin",
    ["null", "", "https://evil.example", "http://video.example.org", "https://video.example.org.evil.example"],
)
def test_attack_page_of_another_site(origin: str) -> None:
    with pytest.raises(CsrfError):
        check_origin(origin, OURS)


@pytest.mark.parametrize("path", ["/", "/assets", "/assets/1?tab=comments&next=https://x/#top", "/a%20b"])
def test_paths_of_this_site_are_taken(path: str) -> None:
    assert check_return_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "assets",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "/a//../..//evil.example",
        "/" + "a" * 5000,
        "/\ud800",
        "https:evil.example",
    ],
)
def test_attack_open_redirect(path: str) -> None:
    with pytest.raises(RedirectRefusedError) as caught:
        check_return_path(path)
    assert "evil" not in str(caught.value)
