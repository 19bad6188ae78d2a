"""No secret has a repr: whatever is logged, printed or shown by a debugger keeps it to itself."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from tests.architecture.sources import classes

SECRET = re.compile(r"(^|_)(secret|token|password|passphrase|credential|cookie|signature|(signing|private|api)_key)s?$")
KEY_BYTES = re.compile(r"(^|_)keys?$")
"""A key of an object is text; bytes under the same name are cryptographic."""


def shown(owner: type) -> Iterator[str]:
    """Yield the names of the secret fields that the repr of a dataclass or model shows."""
    fields: dict[str, tuple[Any, bool]] = {}
    if issubclass(owner, BaseModel):
        fields = {name: (field.annotation, field.repr) for name, field in owner.model_fields.items()}
    elif dataclasses.is_dataclass(owner) and owner.__dataclass_params__.repr:  # type: ignore[attr-defined]
        fields = {field.name: (field.type, field.repr) for field in dataclasses.fields(owner)}
    for name, (annotation, in_repr) in fields.items():
        kinds = str(annotation)
        secret = SECRET.search(name) or ("bytes" in kinds and KEY_BYTES.search(name))
        if secret and in_repr and "Secret" not in kinds and ("str" in kinds or "bytes" in kinds):
            yield name


@pytest.mark.parametrize("owner", sorted(classes(), key=str), ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_no_secret_has_a_repr(owner: type) -> None:
    assert list(shown(owner)) == []


def test_the_look_for_secrets_finds_them() -> None:
    @dataclasses.dataclass
    class Grant:
        refresh_token: str
        key: bytes
        object_key: str
        hidden_token: str = dataclasses.field(repr=False)

    class Settings(BaseModel):
        jwt_secret: str | None
        cookie_secret: SecretStr
        other_secret: SecretBytes | None
        password: str = Field(repr=False)
        password_hash: str

    assert list(shown(Grant)) == ["refresh_token", "key"]
    assert list(shown(Settings)) == ["jwt_secret"]
