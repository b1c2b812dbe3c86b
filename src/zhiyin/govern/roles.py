"""Who may do what: permissions are `noun:verb`, roles are sets of them, the default is no."""

from __future__ import annotations

from zhiyin.core.errors import InvalidParameter, PermissionDenied

PERMISSIONS: dict[str, str] = {
    "report:read": "read reports and results",
    "table:read": "read tables without personal data",
    "job:read": "see turns and jobs",
    "job:run": "ask for a turn",
    "data:load": "load files",
    "people:read": "look up one customer's profile, scores and decisions",
    "people:read_personal": "see personal data",
    "people:erase": "erase a customer",
    "identity:read": "see which records are one person, what a merge would join, conflicts",
    "identity:write": "merge two customers, or undo a merge",
    "plan:read": "see tracking plans and events that are not in one",
    "plan:write": "set and remove tracking plans",
    "audience:read": "see audiences and their rules",
    "audience:write": "add and change audiences",
    "model:read": "see models, their cards and which of them speaks",
    "model:promote": "promote a model or roll it back (under approval: two persons)",
    "tag:read": "see tags, how many have them, what they are made from",
    "tag:write": "add, change and retire tags",
    "tag:give": "give manual tags to customers, or take them",
    "consent:read": "see to what a customer agreed, and what was asked",
    "consent:ask": "ask a customer for a consent, which a link in an e-mail confirms",
    "consent:write": "record or withdraw a consent for a customer",
    "authorisation:grant": "keep that a customer allowed a mini-programme a message",
    "campaign:read": "see campaigns, what they would send and how far they are",
    "campaign:write": "plan, start, pause and cancel campaigns",
    "campaign:approve": "approve a campaign (never one's own)",
    "list:export": "take campaigns as files, which hold personal data",
    "task:read": "see lists of calls for shop staff, without names and numbers",
    "task:call": "take calls of a list, with name and number, and say what came of them",
    "journey:read": "see journeys, who is where in them and who is stuck",
    "journey:write": "keep drafts of journeys, pause and resume them, let customers enter",
    "journey:publish": "publish and end a journey (never publish one's own draft)",
    "event:write": "send events",
    "decision:ask": "ask for a decision or a recommendation, and report what came of it",
    "decision:read": "see decision points and their policies",
    "decision:write": "define decision points, pause and resume them, try policies and judge them",
    "decision:approve": "let a policy that passed the gate take over (never one's own)",
    "decision:stop": "stop decision points: only their default action from now on",
    "experiment:read": "see experiments and what they say",
    "experiment:write": "keep drafts of experiments, start and stop them",
    "experiment:decide": "decide experiments: which arm everybody gets",
    "review:read": "see decisions that wait for a person, with what was known of the customer",
    "review:answer": "take decisions that wait for a person, and decide them",
    "key:manage": "make and revoke API keys",
    "audit:read": "read the audit log",
}

_READ = {"report:read", "table:read", "job:read"}

ROLES: dict[str, frozenset[str]] = {
    "admin": frozenset(PERMISSIONS),
    "marketer": frozenset(
        _READ
        | {"people:read", "identity:read", "plan:read", "job:run", "data:load"}
        | {"campaign:read", "campaign:write", "task:read"}
        | {"audience:read", "audience:write", "tag:read", "tag:write", "tag:give", "model:read"}
        | {"consent:read", "consent:ask", "journey:read", "journey:write"}
        | {"authorisation:grant", "decision:read", "decision:write", "decision:stop"}
        | {"review:read", "review:answer"}
        | {"experiment:read", "experiment:write", "experiment:decide"}
    ),
    "approver": frozenset(
        _READ
        | {"people:read", "audience:read", "tag:read", "campaign:read", "campaign:approve"}
        | {"model:read", "model:promote", "journey:read", "journey:publish"}
        | {"decision:read", "decision:approve", "decision:stop"}
        | {"review:read", "review:answer", "experiment:read", "experiment:decide"}
    ),
    "analyst": frozenset(
        _READ
        | {"people:read", "identity:read", "plan:read", "plan:write", "job:run"}
        | {"audience:read", "audience:write", "tag:read", "tag:write"}
        | {"model:read", "model:promote", "campaign:read", "journey:read"}
        | {"decision:read", "decision:write", "decision:stop"}
        | {"experiment:read", "experiment:write"}
    ),
    "viewer": frozenset({"report:read", "job:read"}),
    "staff": frozenset({"task:read", "task:call"}),
    "collector": frozenset({"event:write"}),
    "service": frozenset({"decision:ask", "event:write", "consent:ask", "authorisation:grant"}),
}


def allows(role: str, permission: str) -> bool:
    """Whether the role holds the permission; an unknown role holds none.

    Raises
    ------
    InvalidParameter
        If there is no such permission (a programming error that must not pass as "no").
    """
    if permission not in PERMISSIONS:
        raise InvalidParameter(f"there is no permission {permission!r}")
    return permission in ROLES.get(role, frozenset())


def require(role: str, permission: str) -> None:
    """Raise `PermissionDenied` unless the role holds the permission."""
    if not allows(role, permission):
        raise PermissionDenied(
            f"the role {role} may not {PERMISSIONS[permission]}",
            hint=f"it needs the permission {permission}",
        )
