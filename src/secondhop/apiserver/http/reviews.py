"""Questions of a client about itself. Who holds the token may do everything, and nobody else is
let in, so the answers are short."""

from __future__ import annotations

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
)


def answer(kind: Kind, question: Object) -> Object:
    """The review with its status."""
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    return question | head | {"status": _STATUS[kind.kind]}
