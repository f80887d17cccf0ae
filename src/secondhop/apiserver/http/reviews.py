"""Questions of a client about itself, or its token. Who holds the token may do everything, and
nobody else is let in, so the answers are short."""

from __future__ import annotations

from hmac import compare_digest

from ...client import Object
from ..kinds import Kind

USER = {"username": "secondhop-admin", "groups": ["system:masters", "system:authenticated"]}
_ANY = ["*"]
_STATUS = {
    "SelfSubjectAccessReview": {"allowed": True},
    "SelfSubjectRulesReview": {
        "resourceRules": [{"verbs": _ANY, "apiGroups": _ANY, "resources": _ANY}],
        "nonResourceRules": [{"verbs": _ANY, "nonResourceURLs": _ANY}],
        "incomplete": False,
    },
    "SelfSubjectReview": {"userInfo": USER},
}


def _review(kind: str, group: str) -> Kind:
    return Kind(kind, f"{kind.lower()}s", group, namespaced=False, verbs=("create",))


REVIEWS = (
    _review("SelfSubjectAccessReview", "authorization.k8s.io"),
    _review("SelfSubjectRulesReview", "authorization.k8s.io"),
    _review("SelfSubjectReview", "authentication.k8s.io"),
    _review("TokenReview", "authentication.k8s.io"),
)


def answer(kind: Kind, question: Object, authorization: str) -> Object:
    """The review with its status. authorization: the header of who asks, which is let in."""
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    status = _STATUS.get(kind.kind) or _token_status(question.get("spec"), authorization)
    return question | head | {"status": status}


def _token_status(asked: object, authorization: str) -> Object:
    """There is one token only: that of who asks."""
    token = asked.get("token") if isinstance(asked, dict) else None
    known = compare_digest(f"Bearer {token}".encode(), authorization.encode())
    return {"authenticated": True, "user": USER} if known else {"user": {}}
