"""Whatever is done to a store, in whatever order, it tells the same story as the store in memory.

from hypothesis.stateful import run_state_machine_as_test

class Histories(StorageHistories):
def open_store(self):
return MyStore(...)

def test_my_store_tells_the_same_story():
run_state_machine_as_test(Histories)
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from mamkit.errors import MissingExtraError
from mamkit.storage import ByteRange, Expected, MemoryStore, ObjectInfo, ObjectStore, StorageError

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, rule
except ImportError as error:
    raise MissingExtraError("testing", package="hypothesis") from error

__all__ = ["StorageHistories"]

_LONG = "z" * 197
# Keys that are near each other: as neighbours in the order, as folders of one another, as names on a disk.
_KEYS = st.one_of(
    st.sampled_from(
        ["a", "a/b", "a/b/c", "a-b", "a.b", "a0", "A", "a%2eb", ".facts", _LONG, _LONG + "z", _LONG + "zz"]
    ),
    st.lists(st.sampled_from(["a", "b", ".", "-", "0", "é", "%", _LONG]), min_size=1, max_size=3).map(
        lambda names: "/".join(f"{name}x" if name == "." else name for name in names)
    ),
)
_PREFIXES = st.one_of(_KEYS, st.sampled_from(["", "a/", "a/b/", f"{_LONG}/", "z", "."]))
_DATA = st.one_of(st.binary(max_size=20), st.binary(min_size=1, max_size=3).map(lambda block: block * 100_000))


class StorageHistories(RuleBasedStateMachine):
    """Random calls to a store and to one in memory, which must return the same or raise the same.

    Attributes:
        records_sha256: As for `StorageContract`.
        lists_facts: As for `StorageContract`.
    """

    records_sha256: ClassVar[bool] = True
    lists_facts: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open_store()
        self.memory: ObjectStore = MemoryStore()

    @abstractmethod
    def open_store(self) -> ObjectStore:
        """Return an empty store; to be overridden."""

    def same(self, call: Callable[[ObjectStore], Any]) -> None:
        """Call both stores and compare what comes of it."""
        assert _outcome(call, self.store) == _outcome(call, self.memory)

    @rule(key=_KEYS, data=_DATA, kind=st.sampled_from(["text/plain", "video/mp4"]), if_absent=st.booleans())
    def put(self, key: str, data: bytes, kind: str, if_absent: bool) -> None:
        """Write an object, whether or not there is one."""
        self.same(
            lambda store: self._facts(store.put(key, data, content_type=kind, metadata={"x": "1"}, if_absent=if_absent))
        )

    @rule(key=_KEYS, data=_DATA, size=st.integers(0, 20), right=st.booleans())
    def put_expected(self, key: str, data: bytes, size: int, right: bool) -> None:
        """Write an object that may not be what was announced."""
        expected = Expected(size=size, sha256=hashlib.sha256(data if right else b"other").hexdigest())
        self.same(lambda store: self._facts(store.put(key, data, expected=expected)))

    @rule(key=_KEYS, source=_KEYS, if_absent=st.booleans())
    def copy(self, key: str, source: str, if_absent: bool) -> None:
        """Copy an object, or none."""
        self.same(lambda store: self._facts(store.copy(source, key, if_absent=if_absent)))

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        """Remove an object, or none."""
        self.same(lambda store: store.delete(key))

    @rule(key=_KEYS, start=st.integers(0, 25), length=st.one_of(st.none(), st.integers(1, 25)))
    def read(self, key: str, start: int, length: int | None) -> None:
        """Read a range, or none."""
        asked = ByteRange(start, None if length is None else start + length)

        def call(store: ObjectStore) -> Any:
            with store.get(key, asked) as body:
                return self._facts(body.info), body.range, body.read()

        self.same(call)

    @rule(prefix=_PREFIXES, after=st.one_of(st.just(""), _KEYS, st.text(max_size=3)))
    def list(self, prefix: str, after: str) -> None:
        """List all that starts so and sorts after that."""
        facts = self._facts if self.lists_facts else _key_and_size
        self.same(lambda store: [facts(info) for info in store.list(prefix, after=after)])

    def _facts(self, info: ObjectInfo) -> tuple[Any, ...]:
        """Return what two stores must agree on."""
        sha256 = info.sha256 if self.records_sha256 else None
        return info.key, info.size, info.content_type, sha256, dict(info.metadata)


def _key_and_size(info: ObjectInfo) -> tuple[Any, ...]:
    return info.key, info.size


def _outcome(call: Callable[[ObjectStore], Any], store: ObjectStore) -> Any:
    """Return what comes of a call: its value, or which error it raises."""
    try:
        return call(store)
    except StorageError as error:
        return type(error)
