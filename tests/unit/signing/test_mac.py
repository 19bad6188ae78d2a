"""The MAC with its key prepared is HMAC-SHA256."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from mamkit.signing._mac import Mac


@given(st.binary(max_size=200), st.binary(max_size=500))
def test_it_is_what_the_standard_library_computes(secret: bytes, message: bytes) -> None:
    mac = Mac(secret)
    assert mac.digest(message) == mac.digest(message) == hmac.digest(secret, message, "sha256")


def test_it_keeps_its_key_to_itself() -> None:
    assert "secret" not in repr(Mac(b"secret" * 9))
