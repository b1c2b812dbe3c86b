"""Roles: default deny, and nobody but the admin both plans and approves."""

from __future__ import annotations

import pytest

from zhiyin.core.errors import InvalidParameter, PermissionDenied
from zhiyin.govern.roles import PERMISSIONS, ROLES, allows, require


def test_an_unknown_role_may_nothing():
    assert not any(allows("nobody", permission) for permission in PERMISSIONS)


def test_a_misspelt_permission_is_an_error_not_a_no():
    with pytest.raises(InvalidParameter):
        allows("admin", "people:raed")


def test_roles_hold_only_known_permissions():
    assert set().union(*ROLES.values()) <= set(PERMISSIONS)


def test_planning_and_approving_are_different_people():
    both = {role for role in ROLES if allows(role, "campaign:write")} & {
        role for role in ROLES if allows(role, "campaign:approve")
    }
    assert both == {"admin"}


def test_a_denied_action_says_which_permission_it_needs():
    with pytest.raises(PermissionDenied) as caught:
        require("viewer", "people:erase")
    assert "people:erase" in caught.value.hint
