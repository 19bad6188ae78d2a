"""What a store can beyond reading and writing: declared by Protocols, refused by name where it cannot."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mamkit.clock import utc_now
from mamkit.storage import (
    AnswersOrigins,
    EncryptsObjects,
    Expected,
    ExpiresObjects,
    ExpiryRule,
    LocalStore,
    MemoryStore,
    ObjectNotFoundError,
    ObjectStore,
    OriginRule,
    PartsPlan,
    PrefixStore,
    RetainsObjects,
    SignsDownloads,
    SignsForms,
    SignsParts,
    SignsUploads,
    UnsupportedOperationError,
    WritesParts,
)
from mamkit.storage.backend import StoreWrapper
from mamkit.storage.s3 import S3Store
from tests.s3_servers import store_on

if TYPE_CHECKING:
    # mypy refuses each of these; an ignore that it does not need would be an error of its own.
    forms: SignsForms = MemoryStore()  # type: ignore[assignment]
    requests: SignsDownloads = MemoryStore()  # type: ignore[assignment]
    expiry: ExpiresObjects = LocalStore("")  # type: ignore[assignment]
    encryption: EncryptsObjects = LocalStore("")  # type: ignore[assignment]
    origins: AnswersOrigins = MemoryStore()  # type: ignore[assignment]
    # And it takes these.
    everything: tuple[ExpiresObjects, EncryptsObjects, AnswersOrigins, SignsForms, SignsParts, RetainsObjects]
    everything = (S3Store(""), S3Store(""), S3Store(""), S3Store(""), S3Store(""), S3Store(""))
    local: tuple[SignsUploads, SignsForms, WritesParts, RetainsObjects]
    local = (LocalStore(""), LocalStore(""), LocalStore(""), LocalStore(""))

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["weed", "ceph"])
def store(request: pytest.FixtureRequest) -> Iterator[S3Store]:
    with store_on(request.getfixturevalue(request.param), "able") as bucket:
        yield bucket


def test_expiry_rules_are_kept_by_their_names(store: S3Store) -> None:
    """A second one of a name takes the place of the first; others stay."""
    assert isinstance(store, ExpiresObjects)
    parts = ExpiryRule(name="parts", abort_parts_after=7 * DAY)
    store.set_expiry_rule(parts)
    store.set_expiry_rule(ExpiryRule(name="uploads", prefix="uploads/", expire_after=DAY))
    store.set_expiry_rule(ExpiryRule(name="uploads", prefix="uploads/", expire_after=3 * DAY))
    found = {rule.name: rule for rule in store.expiry_rules()}
    assert found == {"parts": parts, "uploads": ExpiryRule(name="uploads", prefix="uploads/", expire_after=3 * DAY)}


def test_origin_rules_are_those_that_were_put_last(store: S3Store) -> None:
    assert isinstance(store, AnswersOrigins)
    rule = OriginRule(origins=("https://video.example",), methods=("GET", "PUT"), max_age=HOUR)
    store.set_origin_rules([OriginRule(origins=("*",), methods=("GET",))])
    store.set_origin_rules([rule])
    [found] = store.origin_rules()
    assert (set(found.origins), set(found.methods), found.max_age) == (set(rule.origins), {"GET", "PUT"}, HOUR)
    store.set_origin_rules([])
    assert store.origin_rules() == ()


def test_encryption_is_on_or_refused_by_name(store: S3Store, request: pytest.FixtureRequest) -> None:
    """SeaweedFS encrypts; Ceph 16 without a key of its own says that it does not know the setting."""
    assert isinstance(store, EncryptsObjects)
    if "ceph" in request.node.callspec.id:
        with pytest.raises(UnsupportedOperationError, match="encrypts nothing"):
            store.set_encryption("AES256")
    else:
        store.set_encryption("AES256")
        assert store.encryption() == "AES256"


PLAN = PartsPlan(key="a", upload_id="u", size=1, part_size=1, content_type="a/b")
CALLS: dict[str, Callable[[StoreWrapper], object]] = {
    "replace": lambda store: store.replace("a", b"", if_match="b"),
    "remove": lambda store: store.remove("a", if_match="b"),
    "sign_get": lambda store: store.sign_get("a", expires_in=HOUR),
    "sign_put": lambda store: store.sign_put("a", content_type="a/b", expected=Expected(size=1), expires_in=HOUR),
    "sign_form": lambda store: store.sign_form("a", content_type="a/b", expected=Expected(size=1), expires_in=HOUR),
    "begin_parts": lambda store: store.begin_parts("a", content_type="a/b", expected=Expected(size=1)),
    "sign_part": lambda store: store.sign_part(PLAN, 1, expires_in=HOUR),
    "parts_there": lambda store: store.parts_there(PLAN),
    "complete_parts": lambda store: store.complete_parts(PLAN),
    "abort_parts": lambda store: store.abort_parts(PLAN),
    "retain": lambda store: store.retain("a", until=utc_now()),
    "retained_until": lambda store: store.retained_until("a"),
}


class Plain:
    """Reads and writes, and nothing more."""

    def __init__(self) -> None:
        inner = MemoryStore()
        self.head, self.get, self.list = inner.head, inner.get, inner.list
        self.upload, self.put, self.copy, self.delete = inner.upload, inner.put, inner.copy, inner.delete


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrap", [StoreWrapper, lambda store: PrefixStore(store, "in/")])
def test_what_the_store_within_lacks_is_refused_by_name(wrap: Callable[[ObjectStore], StoreWrapper], call: str) -> None:
    """A wrapper has the methods of every capability."""
    store = Plain()
    assert isinstance(store, ObjectStore)
    with pytest.raises(UnsupportedOperationError):
        CALLS[call](wrap(store))


def test_what_the_store_within_can_is_done_under_its_own_keys() -> None:
    """Retention through a prefix is that of the object within; errors name the key that was asked for."""
    inner = MemoryStore()
    store = PrefixStore(inner, "in/")
    store.put("a", b"bytes")
    until = utc_now() + HOUR
    store.retain("a", until=until)
    assert store.retained_until("a") == inner.retained_until("in/a") == until
    with pytest.raises(ObjectNotFoundError) as raised:
        store.retain("b", until=until)
    assert raised.value.key == "b"
