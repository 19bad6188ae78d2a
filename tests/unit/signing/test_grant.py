"""Grants: what may be granted, and the one text of each."""

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network
from typing import Any

import pytest

from mamkit.signing import Grant, InvalidGrantError, is_plain_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def grant(**fields: Any) -> Grant:
    return Grant(**{"scope": "previews/a/", "expires_at": NOON, **fields})


def test_a_grant_has_one_text() -> None:
    full = grant(
        scope="uploads/a b/é.mp4",
        methods=frozenset({"PUT", "DELETE"}),
        address=ip_network("2001:DB8::/32"),
        conditions={"type": "video/mp4; a=b", "length": "5"},
    )
    lines = ["1772366400", "uploads/a b/é.mp4", "DELETE,PUT", "2001:db8::/32", "length=5", "type=video/mp4; a=b"]
    assert full.text() == "\n".join(lines)
    assert grant().text() == "1772366400\npreviews/a/\nGET,HEAD\n*"
    for one in (full, grant()):
        assert Grant.parse(one.text()) == one


def test_the_expiry_is_kept_in_utc_and_rounded_down() -> None:
    """A token never outlives what was asked for."""
    east = timezone(timedelta(hours=2))
    asked = datetime(2026, 3, 1, 14, 0, 0, 999_999, tzinfo=east)
    assert grant(expires_at=asked).expires_at == NOON
    assert grant(expires_at=asked).expires_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scope", ""),
        ("scope", "/"),
        ("scope", "/a"),
        ("scope", "a//"),
        ("scope", "../"),
        ("scope", "a/./b"),
        ("scope", "a%2fb"),
        ("scope", "a\nb"),
        ("scope", "a\\b"),
        ("scope", "x" * 1025),
        ("expires_at", datetime(2026, 3, 1)),  # noqa: DTZ001 - the mistake
        ("expires_at", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("methods", frozenset()),
        ("methods", "GET"),
        ("methods", {"get"}),
        ("methods", {"GET,PUT"}),
        ("methods", {"GET\n"}),
        ("address", "192.0.2.7"),
        ("conditions", {"": "x"}),
        ("conditions", {"Type": "x"}),
        ("conditions", {"a=b": "x"}),
        ("conditions", {"1a": "x"}),
        ("conditions", {"a": ""}),
        ("conditions", {"a": "x\ny"}),
        ("conditions", {"a": "\ud800"}),
        ("conditions", {"a": "x" * 2000, "b": "y" * 100}),
    ],
)
def test_what_cannot_be_granted_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidGrantError):
        grant(**{field: value})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "1772366400\npreviews/a/\nGET,HEAD",
        "01772366400\npreviews/a/\nGET,HEAD\n*",
        "+1772366400\npreviews/a/\nGET,HEAD\n*",
        "-1\npreviews/a/\nGET,HEAD\n*",
        "1e9\npreviews/a/\nGET,HEAD\n*",
        "999999999999\npreviews/a/\nGET,HEAD\n*",
        "\u0661\npreviews/a/\nGET,HEAD\n*",
        "1772366400\npreviews/a/\nHEAD,GET\n*",
        "1772366400\npreviews/a/\nGET,GET\n*",
        "1772366400\npreviews/a/\nGET,HEAD\n10.0.0.1",
        "1772366400\npreviews/a/\nGET,HEAD\n10.0.0.1/8",
        "1772366400\npreviews/a/\nGET,HEAD\n2001:DB8::/32",
        "1772366400\npreviews/a/\nGET,HEAD\n",
        "1772366400\npreviews/a/\nGET,HEAD\n*\n",
        "1772366400\npreviews/a/\nGET,HEAD\n*\na",
        "1772366400\npreviews/a/\nGET,HEAD\n*\nb=1\na=1",
        "1772366400\npreviews/a/\nGET,HEAD\n*\na=1\na=1",
        "1772366400\r\npreviews/a/\nGET,HEAD\n*",
        "1772366400\n../\nGET,HEAD\n*",
    ],
)
def test_another_text_is_no_grant(text: str) -> None:
    with pytest.raises(InvalidGrantError):
        Grant.parse(text)


def test_a_prefix_covers_what_is_below_it() -> None:
    below = grant(scope="previews/a/")
    assert below.covers("previews/a/b")
    assert below.covers("previews/a/b/c.m4s")
    for key in ("previews/a/", "previews/a", "previews/ab", "previews/b/a", "previews/A/b", "xpreviews/a/b", ""):
        assert not below.covers(key)


def test_a_key_covers_itself_alone() -> None:
    exact = grant(scope="previews/a")
    assert exact.covers("previews/a")
    for key in ("previews/a/", "previews/a/b", "previews/ab", "previews", "previews/A"):
        assert not exact.covers(key)


@pytest.mark.parametrize(
    "key",
    [
        "previews/a/../b/secret",
        "previews/a/./x",
        "previews/a//x",
        "previews/a/x/",
        "/previews/a/x",
        "previews/a/%2e%2e/b",
        "previews/a/%2E%2E/b",
        "previews/a/x%00",
        "previews/a/%252e",
        "previews/a/..\\b",
        "previews/a/x\0.jpg",
        "previews/a/x\r\n",
        "previews/a/\x85",
        "previews/a/\udc80",
        "previews/a/" + "x" * 1024,
        None,
        b"previews/a/x",
        5,
    ],
)
def test_a_key_that_somebody_might_read_otherwise_is_covered_by_nothing(key: Any) -> None:
    assert not is_plain_key(key)
    assert not grant(scope="previews/a/").covers(key)


@pytest.mark.parametrize(
    "key", ["a", "a b+c", "100%", "%zz", "é/日本語/🎬.mp4", "...", "a..b", "~", "'\"<>?#&;:@!$*()"]
)
def test_a_key_that_everybody_reads_alike_is_plain(key: str) -> None:
    assert is_plain_key(key)


def test_letters_that_look_alike_are_not_the_same_key() -> None:
    """Keys are bytes: composed and decomposed accents differ."""
    assert not grant(scope="caf\u00e9/").covers("cafe\u0301/a")


@pytest.mark.parametrize(
    ("network", "address", "admitted"),
    [
        ("192.0.2.1/32", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.77", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.1/32", "::ffff:192.0.2.1", True),
        ("192.0.2.1/32", "::192.0.2.1", False),
        ("2001:db8::/64", "2001:db8::5", True),
        ("2001:db8::/64", "2001:db8:0:1::5", False),
        ("2001:db8::/64", "192.0.2.1", False),
        ("0.0.0.0/0", "2001:db8::5", False),
        ("192.0.2.1/32", None, False),
        ("192.0.2.1/32", "", False),
        ("192.0.2.1/32", "testclient", False),
        ("192.0.2.1/32", "192.0.2.1:80", False),
        ("192.0.2.1/32", "192.0.2.01", False),
        ("192.0.2.1/32", "192.0.2.1, 10.0.0.1", False),
    ],
)
def test_a_bound_address_is_the_only_one(network: str, address: str | None, admitted: bool) -> None:
    assert grant(address=ip_network(network)).admits(address) is admitted
    assert grant().admits(address) is True
