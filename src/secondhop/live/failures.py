"""What kubectl's complaints mean."""

from __future__ import annotations

import re

from ..errors import ClusterError

_STATUS = re.compile(r"^Error from server \((\w+)\): (.*)", re.M | re.S)
_PASSING = re.compile(
    r"connection reset|\bEOF\b|TLS handshake timeout|http2: |connection lost|i/o timeout"
    r"|currently unable to handle|Client\.Timeout|request timed out",
)
PASSING = "Passing"
"""The reason of what is gone the next moment, on the way to the server."""
BUSY = ("TooManyRequests", "InternalError", "ServiceUnavailable", "ServerTimeout", "Timeout")
_LOGIN = re.compile(
    r"\bUnauthorized\b|must be logged in|getting credentials|asked for.*credentials"
)
_CONFIG = re.compile(
    r"context \S+ does not exist|cannot locate context|context was not found|no context exists"
    r"|invalid configuration|error loading config file|no configuration has been provided"
    r"|current-context"
    r"|\.kube/config|stat .*: no such file",
)
_KUBELET = re.compile(r"error dialing backend|error sending request|unable to upgrade connection")
_DENIED = re.compile(
    r'cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?'
)
_SECRET = re.compile(
    r"(?i)((?:bearer|basic)\s+|(?:token|password|secret|key)[\"']?\s*[=:]\s*|\b(?=eyJ))\S+"
)
_USER = re.compile(r"//[^/\s@]*@")


def hidden(text: str) -> str:
    """A text without what looks like a secret: tokens, passwords, whom a URL names."""
    return _USER.sub("//", _SECRET.sub(r"\1…", text))


def failure(said: str, doing: str, context: str | None, seconds: float) -> ClusterError:
    """What kubectl's complaint means."""
    said = hidden(said)
    where = f" (context {context})" if context else ""
    status = _STATUS.search(said)
    reason, text = (status[1], status[2]) if status else ("", said.removeprefix("error: "))
    text = " ".join(text.split()) or "kubectl said nothing"
    if reason == "Forbidden":
        missing = dict.fromkeys(_right(doing, *found) for found in _DENIED.findall(text))
        return ClusterError(
            "\n".join(f"not allowed{where}: {right}" for right in missing or [doing]),
            f"The server: {text}. Ask for that right; docs/examples/rbac.yaml has them all.",
            reason,
        )
    if _KUBELET.search(said):
        return ClusterError(
            f"could not {doing}{where}: {text}",
            "The API server does not get through to that node's kubelet: `kubectl exec` into a pod"
            " there must work first.",
            "Kubelet",
        )
    if reason == "Unauthorized" or _LOGIN.search(said):
        return ClusterError(
            f"the cluster does not accept the credentials{where}: {text}",
            "Log in again as you do for kubectl, and try `kubectl get nodes`.",
            "Unauthorized",
        )
    if reason:
        return ClusterError(
            f"could not {doing}{where}: {reason}: {text}",
            "Try again; if it stays so, ask who runs the cluster.",
            reason,
        )
    if "current-context" in said and not context:
        return ClusterError(
            "kubectl has no current context, so no cluster is meant",
            "Name one with --context: `kubectl config get-contexts` lists them.",
            "Config",
        )
    if _CONFIG.search(said):
        return ClusterError(
            f"the kubeconfig does not lead to a cluster{where}: {text}",
            "`kubectl config get-contexts` lists what --context can be.",
            "Config",
        )
    if "Client.Timeout" in said or "context deadline exceeded" in said:
        return late(doing, seconds)
    return ClusterError(
        f"the cluster cannot be reached{where}: {text}",
        "Is the address right, and is a VPN needed? `kubectl get nodes` must work first.",
        PASSING if _PASSING.search(said) else "Unreachable",
    )


def _right(doing: str, verb: str, resource: str, group: str, namespace: str) -> str:
    """The right that the server misses, where it is another than what was asked for: kubectl reads
    before it writes."""
    if doing.startswith(f"{verb} {resource}"):
        return doing
    where = f"in namespace {namespace}" if namespace else "at the cluster scope"
    return f"{verb} {resource}{'.' if group else ''}{group} {where} (to {doing})"


def late(doing: str, seconds: float) -> ClusterError:
    """A deadline that has passed. seconds: how long it was."""
    return ClusterError(
        f"no answer within {seconds:g} s to: {doing}",
        "Is the API server overloaded, or the way to it? Try again, or with -n for one namespace.",
        "Deadline",
    )
