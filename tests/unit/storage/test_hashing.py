"""A digest that is computed beside the writing is that of the bytes, whatever becomes of the buffers."""

import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest

from mamkit.storage import LocalStore, MemoryStore, UploadRejectedError
from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import buffer_of, fill
from mamkit.storage._hashing import _ALONE, Sha256
from mamkit.storage.models import Expected

LARGE = _ALONE + 5 * BLOCK_SIZE  # bytes; so that a thread hashes the last of them


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mamkit-sha256"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


def test_buffers_are_used_again_only_when_they_are_hashed() -> None:
    """Each block has bytes of its own, so a buffer that were filled too soon would change the digest."""
    wanted = hashlib.sha256()
    with Sha256() as digest:
        for number in range(LARGE // BLOCK_SIZE + 100):
            block = bytes([number % 251]) * BLOCK_SIZE
            wanted.update(block)
            buffer = digest.buffer()
            buffer[:] = block
            digest.update(buffer)
        assert threads() == ["mamkit-sha256"]
        assert digest.hexdigest() == wanted.hexdigest()
        digest.update(b"more")
        wanted.update(b"more")
        assert digest.hexdigest() == wanted.hexdigest()
        digest.close()
        digest.close()


def test_little_is_hashed_without_a_thread() -> None:
    with Sha256() as digest:
        digest.update(b"bytes")
        assert threads() == []
        assert digest.hexdigest() == hashlib.sha256(b"bytes").hexdigest()


@pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))])
def test_a_caller_may_use_its_buffer_again(kind: Callable[[bytes], bytearray | memoryview], store: LocalStore) -> None:
    """As soon as `write` returns: what is stored and what is hashed are what was in it then."""
    wanted, buffer = hashlib.sha256(), kind(bytes(1_000_000))
    with store.upload("a") as upload:
        for number in range(LARGE // 1_000_000 + 10):
            buffer[:] = bytes([number]) * 1_000_000
            wanted.update(buffer)
            upload.write(buffer)  # type: ignore[arg-type]  # any buffer is taken
        info = upload.commit()
    assert info.sha256 == wanted.hexdigest()
    stored = hashlib.sha256()
    with store.get("a") as body:
        for block in body:
            stored.update(block)
    assert stored.hexdigest() == wanted.hexdigest()


@pytest.fixture
def store(tmp_path: object) -> LocalStore:
    return LocalStore(str(tmp_path), durable=False)


def test_no_thread_outlives_an_upload(store: LocalStore) -> None:
    """Whether it is left, refused, or fails in the middle."""
    data = bytes(LARGE)
    with store.upload("left") as upload:
        upload.write(data)
        assert threads() != []
    assert threads() == []
    with pytest.raises(UploadRejectedError):
        store.put("refused", data, expected=Expected(size=LARGE, sha256="0" * 64))
    assert threads() == []

    def blocks() -> Iterator[bytes]:
        yield data
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put("failed", blocks())
    assert list(store.list()) == []


def test_a_body_is_read_into_a_buffer() -> None:
    """As far as it goes; and not past the range that was asked for."""
    store = MemoryStore()
    store.put("a", b"0123456789")
    buffer = buffer_of(7)
    with store.get("a") as body:
        assert fill(body, buffer[:7]) == 7
        assert bytes(buffer[:7]) == b"0123456"
        assert fill(body, buffer[:7]) == 3
        assert bytes(buffer[:7]) == b"7893456"
        assert fill(body, buffer[:7]) == 0
