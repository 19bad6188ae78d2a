"""Whatever is done to them, in whatever order, a local store and the store in memory tell the same story."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mamkit.storage import ByteRange, Expected, LocalStore, MemoryStore, ObjectInfo, ObjectStore, StorageError

LONG = "z" * 197
# Keys that are near each other: as neighbours in the order, as folders of one another, as names on the disk.
KEYS = st.one_of(
    st.sampled_from(["a", "a/b", "a/b/c", "a-b", "a.b", "a0", "A", "a%2eb", ".facts", LONG, LONG + "z", LONG + "zz"]),
    st.lists(st.sampled_from(["a", "b", ".", "-", "0", "é", "%", LONG]), min_size=1, max_size=3).map(
        lambda names: "/".join(f"{name}x" if name == "." else name for name in names)
    ),
)
PREFIXES = st.one_of(KEYS, st.sampled_from(["", "a/", "a/b/", LONG + "/", "z", "."]))
DATA = st.one_of(st.binary(max_size=20), st.binary(min_size=1, max_size=3).map(lambda block: block * 100_000))


def facts(info: ObjectInfo) -> tuple[Any, ...]:
    """What two stores must agree on."""
    return info.key, info.size, info.content_type, info.sha256, dict(info.metadata)


def outcome(call: Callable[[], Any]) -> Any:
    """What comes of a call: its value, or which error it raises."""
    try:
        return call()
    except StorageError as error:
        return type(error)


class Histories(RuleBasedStateMachine):
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=self.folder))
        self.local: ObjectStore = LocalStore(self.root, durable=False)
        self.memory: ObjectStore = MemoryStore()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def same(self, call: Callable[[ObjectStore], Any]) -> None:
        assert outcome(lambda: call(self.local)) == outcome(lambda: call(self.memory))

    @rule(key=KEYS, data=DATA, kind=st.sampled_from(["text/plain", "video/mp4"]), if_absent=st.booleans())
    def put(self, key: str, data: bytes, kind: str, if_absent: bool) -> None:
        def call(store: ObjectStore) -> Any:
            return facts(store.put(key, data, content_type=kind, metadata={"x": "1"}, if_absent=if_absent))

        self.same(call)

    @rule(key=KEYS, data=DATA, size=st.integers(0, 20), right=st.booleans())
    def put_expected(self, key: str, data: bytes, size: int, right: bool) -> None:
        expected = Expected(size=size, sha256=hashlib.sha256(data if right else b"other").hexdigest())
        self.same(lambda store: facts(store.put(key, data, expected=expected)))

    @rule(key=KEYS, source=KEYS, if_absent=st.booleans())
    def copy(self, key: str, source: str, if_absent: bool) -> None:
        self.same(lambda store: facts(store.copy(source, key, if_absent=if_absent)))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.same(lambda store: store.delete(key))

    @rule(key=KEYS, start=st.integers(0, 25), length=st.one_of(st.none(), st.integers(1, 25)))
    def read(self, key: str, start: int, length: int | None) -> None:
        asked = ByteRange(start, None if length is None else start + length)

        def call(store: ObjectStore) -> Any:
            with store.get(key, asked) as body:
                return facts(body.info), body.range, body.read()

        self.same(call)

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS, st.text(max_size=3)))
    def list(self, prefix: str, after: str) -> None:
        self.same(lambda store: [facts(info) for info in store.list(prefix, after=after)])

    @rule()
    def reopen(self) -> None:
        self.local = LocalStore(self.root, durable=False)

    @invariant()
    def nothing_is_left_over(self) -> None:
        """There is one sidecar an object, no scratch file, and no empty folder."""
        files = [path for path in self.root.rglob("*") if path.is_file() and path.name != ".lock"]
        sidecars = [path for path in files if self.root / ".facts" in path.parents]
        assert len(files) == 2 * len(sidecars) == 2 * len(list(self.memory.list()))
        folders = [path for path in self.root.rglob("*") if path.is_dir() and not path.name.startswith(".")]
        assert all(any(folder.iterdir()) for folder in folders)


def test_the_stores_tell_the_same_story(tmp_path: Path) -> None:
    class Here(Histories):
        folder = tmp_path

    run_state_machine_as_test(Here, settings=settings(max_examples=60, stateful_step_count=30))
