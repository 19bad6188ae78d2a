"""Whatever is done to them, in whatever order, our stores and the store in memory tell the same story."""

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from mamkit.storage import LocalStore, MemoryStore, ObjectStore, PrefixStore
from mamkit.storage.s3 import S3Store
from mamkit.testing.storage_histories import StorageHistories
from tests.s3_servers import emptied, store_on


class LocalHistories(StorageHistories):
    folder: ClassVar[Path]

    def open_store(self) -> ObjectStore:
        self.root = Path(tempfile.mkdtemp(dir=self.folder))
        return LocalStore(self.root, durable=False)

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule()
    def reopen(self) -> None:
        self.store = LocalStore(self.root, durable=False)

    @invariant()
    def nothing_is_left_over(self) -> None:
        """There is one sidecar an object, no scratch file, and no empty folder."""
        files = [path for path in self.root.rglob("*") if path.is_file() and path.name != ".lock"]
        sidecars = [path for path in files if self.root / ".facts" in path.parents]
        assert len(files) == 2 * len(sidecars) == 2 * len(list(self.memory.list()))
        folders = [path for path in self.root.rglob("*") if path.is_dir() and not path.name.startswith(".")]
        assert all(any(folder.iterdir()) for folder in folders)


class PrefixHistories(StorageHistories):
    def open_store(self) -> ObjectStore:
        return PrefixStore(MemoryStore(), "deep/er/")


class CephHistories(StorageHistories):
    """On a server that takes no empty folder for an object; SeaweedFS does."""

    records_sha256 = False
    lists_facts = False
    bucket: ClassVar[S3Store]

    def open_store(self) -> ObjectStore:
        return emptied(self.bucket)


def test_a_local_store_tells_the_same_story(tmp_path: Path) -> None:
    class Here(LocalHistories):
        folder = tmp_path

    run_state_machine_as_test(Here, settings=settings(max_examples=60, stateful_step_count=30))


def test_a_part_of_a_store_tells_the_same_story() -> None:
    run_state_machine_as_test(PrefixHistories, settings=settings(max_examples=30, stateful_step_count=30))


def test_a_store_on_s3_tells_the_same_story(ceph: str) -> None:
    with store_on(ceph, "histories") as store:

        class Here(CephHistories):
            bucket = store

        run_state_machine_as_test(Here, settings=settings(max_examples=6, stateful_step_count=20))
