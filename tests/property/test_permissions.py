"""Taking a permission away never lets anybody do more."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mamkit.auth import ACTIONS, Principal, Resource, decide

PERMISSIONS = sorted(ACTIONS | {f"{action}:own" for action in ACTIONS})
USERS = [UUID(int=1), UUID(int=2)]

roles_of_all = st.dictionaries(st.sampled_from("abc"), st.frozensets(st.sampled_from(PERMISSIONS)), min_size=1)
principals = st.builds(Principal, user_id=st.sampled_from(USERS), roles=st.frozensets(st.sampled_from("abcd")))
resources = st.none() | st.builds(
    Resource,
    kind=st.sampled_from(["asset", "comment", "user"]),
    owner_id=st.none() | st.sampled_from(USERS),
)


@given(roles_of_all, principals, st.sampled_from(sorted(ACTIONS)), resources, st.data())
def test_no_role_gains_by_losing_a_permission(
    roles: dict[str, frozenset[str]], principal: Principal, action: str, resource: Resource | None, data: st.DataObject
) -> None:
    loser = data.draw(st.sampled_from(sorted(roles)))
    lost = data.draw(st.frozensets(st.sampled_from(PERMISSIONS)))
    fewer = {**roles, loser: roles[loser] - lost}
    if decide(principal, action, resource, roles=fewer):
        assert decide(principal, action, resource, roles=roles)


@given(roles_of_all, principals, st.text(), resources)
def test_what_is_allowed_stands_in_a_role_of_the_principal(
    roles: dict[str, frozenset[str]], principal: Principal, action: str, resource: Resource | None
) -> None:
    """For any text at all as the action."""
    held = frozenset().union(*(roles.get(role, frozenset()) for role in principal.roles))
    if decide(principal, action, resource, roles=roles):
        assert {action, f"{action}:own"} & held
