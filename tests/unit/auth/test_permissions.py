"""Permissions: what nothing allows is denied."""

from uuid import uuid4

import pytest

from mamkit.auth import ACTIONS, ROLES, PermissionDeniedError, Principal, Resource, decide

ME, SOMEBODY = uuid4(), uuid4()
MINE = Resource(kind="asset", owner_id=ME)
THEIRS = Resource(kind="asset", owner_id=SOMEBODY)


def me(*roles: str) -> Principal:
    return Principal(user_id=ME, roles=frozenset(roles))


@pytest.mark.parametrize(
    ("role", "action", "mine", "theirs"),
    [
        ("viewer", "asset.read", True, True),
        ("viewer", "asset.update", False, False),
        ("viewer", "asset.create", False, False),
        ("reviewer", "asset.update", False, False),
        ("editor", "asset.create", True, True),
        ("editor", "asset.update", True, False),
        ("editor", "asset.delete", True, False),
        ("admin", "asset.delete", True, True),
    ],
)
def test_the_roles_of_mamkit(role: str, action: str, mine: bool, theirs: bool) -> None:
    assert decide(me(role), action, MINE).allowed is mine
    assert decide(me(role), action, THEIRS).allowed is theirs


def test_the_roles_allow_only_what_can_be_asked_for() -> None:
    for permissions in ROLES.values():
        assert {permission.removesuffix(":own") for permission in permissions} <= ACTIONS


def test_the_admin_may_do_everything() -> None:
    assert all(decide(me("admin"), action) for action in ACTIONS)


def test_without_a_role_nothing_is_allowed() -> None:
    for principal in (me(), me("root"), me("ADMIN"), me("")):
        for action in ACTIONS:
            assert not decide(principal, action, Resource(kind=action.partition(".")[0], owner_id=ME))


@pytest.mark.parametrize(
    "action", ["", "asset", "asset.", "asset.fly", "ASSET.READ", "asset.read:own", "asset.update:own", "*"]
)
def test_what_cannot_be_asked_for_is_denied_to_everybody(action: str) -> None:
    assert decide(me("admin", "editor"), action, MINE).reason == "unknown action"


def test_an_action_on_a_thing_of_another_kind_is_denied() -> None:
    assert decide(me("admin"), "comment.delete", MINE).reason == "wrong kind of resource"


def test_nobody_owns_a_thing_without_an_owner() -> None:
    assert not decide(me("editor"), "asset.update", Resource(kind="asset"))
    assert not decide(me("editor"), "asset.update")


def test_a_decision_says_why() -> None:
    assert decide(me("viewer", "editor"), "asset.update", MINE).reason == "granted by editor"
    assert decide(me("editor"), "asset.update", THEIRS).reason == "not the owner"
    assert decide(me("viewer"), "asset.update", MINE).reason == "no role allows it"


def test_a_denial_can_be_raised() -> None:
    decide(me("editor"), "asset.update", MINE).require()
    with pytest.raises(PermissionDeniedError) as caught:
        decide(me("editor"), "asset.update", THEIRS).require()
    assert (caught.value.action, caught.value.reason) == ("asset.update", "not the owner")


def test_the_roles_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ROLES["viewer"] = ACTIONS  # type: ignore[index]
