"""The part of a store's contract that is about listings."""

from dataclasses import replace

from mamkit.storage import ObjectStore
from mamkit.testing.storage._declared import Declared, same

__all__ = ["ListingContract"]


class ListingContract(Declared):
    """Objects come in order, each once."""

    def test_a_listing_is_in_order_of_the_bytes(self, store: ObjectStore) -> None:
        """Not in that of folders: "a-b" < "a/b" < "a0"; and each object comes with its facts."""
        keys = [
            "a",
            "a-b",
            "a.b",
            "a/a/a",
            "a/b",
            "a/b!",
            "a/b-c/d",
            "a/b/c",
            "a/bb",
            "a0",
            "aé",
            "b",
            "é",
            "\uffee",
            "😀",
        ]
        infos = [store.put(key, b"") for key in reversed(keys)]
        listed = list(store.list())
        assert [info.key for info in listed] == keys
        for found, info in zip(listed, infos[::-1], strict=True):
            facts = info if self.lists_facts else replace(info, content_type=found.content_type, sha256=None)
            assert same(found, facts)
        assert [info.key for info in store.list("a/")] == [key for key in keys if key.startswith("a/")]
        assert [info.key for info in store.list("a/b")] == [key for key in keys if key.startswith("a/b")]
        assert [info.key for info in store.list(after="a/b")] == keys[keys.index("a/b") + 1 :]
        assert [info.key for info in store.list("a/", after="a/b-")] == ["a/b-c/d", "a/b/c", "a/bb"]
        assert [info.key for info in store.list("a/b/", after="a")] == ["a/b/c"]
        assert list(store.list("a/b/", after="b")) == []
        assert list(store.list("nothing/")) == []

    def test_a_listing_goes_on_after_any_key(self, store: ObjectStore) -> None:
        """Page by page, every object comes once."""
        keys = [f"{folder}/{number:02}" for folder in ("a", "a-b", "b") for number in range(7)]
        for key in keys:
            store.put(key, b"")
        found: list[str] = []
        while page := [
            info.key for info, _ in zip(store.list(after=found[-1] if found else ""), range(4), strict=False)
        ]:
            found += page
        assert found == sorted(keys)

    def test_a_listing_survives_what_happens_meanwhile(self, store: ObjectStore) -> None:
        """Objects that stay are all listed, though others come and go."""
        for number in range(20):
            store.put(f"stays/{number:02}", b"")
            store.put(f"goes/{number:02}", b"")
        found = []
        for info in store.list():
            found.append(info.key)
            store.put(f"comes/{len(found):02}", b"")
            for number in range(20):
                store.delete(f"goes/{number:02}")
        assert [key for key in found if key.startswith("stays/")] == [f"stays/{number:02}" for number in range(20)]
