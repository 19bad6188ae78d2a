"""Keys: what may be one, and those of the zones."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from mamkit.storage import InvalidKeyError, check_key, master_key, metadata_key, preview_prefix, staging_key
from mamkit.storage.keys import check_prefix
from mamkit.testing.storage import BAD_KEYS, GOOD_KEYS

USER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ASSET = UUID("01890a5d-ac96-774b-bcce-b302099a8058")


def test_a_good_key_comes_back() -> None:
    assert [check_key(key) for key in GOOD_KEYS] == list(GOOD_KEYS)


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_bad_key_is_evidence(key: str) -> None:
    with pytest.raises(InvalidKeyError) as raised:
        check_key(key)
    assert raised.value.key == key
    assert raised.value.reason in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_every_start_of_a_key_is_a_prefix(key: str) -> None:
    for end in range(min(len(key), 40) + 1):
        assert check_prefix(key[:end]) == key[:end]


@pytest.mark.parametrize("prefix", ["/", "//", "a//", "a//b", "./", "../", "a/../", "a/./b", "\\", "a\0", "x" * 1025])
def test_what_starts_no_key_is_no_prefix(prefix: str) -> None:
    with pytest.raises(InvalidKeyError):
        check_prefix(prefix)


def test_the_keys_of_the_zones() -> None:
    assert staging_key(USER, ASSET, "MP4") == f"uploads/{USER}/{ASSET}/original.mp4"
    assert master_key(ASSET, 12, "mov") == f"masters/{ASSET}/v12/original.mov"
    assert metadata_key(master_key(ASSET, 1, "mov")) == f"masters/{ASSET}/v1/metadata.json"
    assert preview_prefix(ASSET, USER) == f"previews/{ASSET}/{USER}/"
    assert preview_prefix(ASSET, USER, generation=2) == f"previews/{ASSET}/{USER}.2/"
    assert metadata_key("film.mov") == "metadata.json"


@pytest.mark.parametrize(
    "extension", ["", ".mp4", "mp 4", "mp/4", "..", "m\n", "x" * 17, "é", "\u017f", "\u212a", None, 4.5]
)
def test_an_extension_is_letters_and_digits(extension: Any) -> None:
    with pytest.raises(InvalidKeyError):
        staging_key(USER, ASSET, extension)
    with pytest.raises(InvalidKeyError):
        master_key(ASSET, 1, extension)


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1", None])
def test_a_version_has_a_number(number: Any) -> None:
    with pytest.raises(InvalidKeyError):
        master_key(ASSET, number, "mp4")
    with pytest.raises(InvalidKeyError):
        preview_prefix(ASSET, ASSET, generation=number)


@pytest.mark.parametrize("value", ["../../etc", str(USER), None, 7])
def test_an_identifier_is_a_uuid(value: Any) -> None:
    makes: list[Callable[[], str]] = [
        lambda: staging_key(value, ASSET, "mp4"),
        lambda: staging_key(USER, value, "mp4"),
        lambda: master_key(value, 1, "mp4"),
        lambda: preview_prefix(value, ASSET),
        lambda: preview_prefix(ASSET, value),
    ]
    for make in makes:
        with pytest.raises(InvalidKeyError):
            make()


def test_the_facts_beside_a_master_are_no_master() -> None:
    with pytest.raises(InvalidKeyError):
        metadata_key("masters/a/v1/metadata.json")
