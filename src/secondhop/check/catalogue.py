"""Every kind of finding. docs/findings has a page for each, with a manifest that fails and one
that passes."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.finding import Kind

_KINDS = (
    # The objects themselves.
    Kind(
        "misplaced-field",
        "A field stands at the wrong place",
        "error",
        "The API server refuses the object, or drops the field without a word.",
    ),
    Kind(
        "unknown-field",
        "A field that Kubernetes does not have",
        "error",
        "The API server refuses the object, or drops the field without a word.",
    ),
    Kind("missing-field", "A required field is missing", "error", "The API server refuses it."),
    Kind("invalid-value", "A value cannot be what it is", "error", "The API server refuses it."),
    Kind(
        "duplicate-object",
        "One object is given twice",
        "error",
        "Which of the two is in force hangs on the order of applying.",
    ),
    Kind(
        "refused-by-api",
        "The API server would refuse the Service",
        "error",
        "Nothing is created; the message is the API server's own.",
    ),
    # Endpoints.
    Kind(
        "selector-matches-nothing",
        "No pod has the labels of the selector",
        "error",
        "The Service has no endpoints: every connection is refused.",
    ),
    Kind(
        "target-port-unknown",
        "No container port has the name of targetPort",
        "error",
        "The port has no endpoints: every connection to it is refused.",
    ),
    Kind(
        "no-ready-endpoint",
        "No endpoint can be used",
        "error",
        "Every connection is refused, from anywhere.",
    ),
    Kind(
        "family-without-endpoints",
        "One IP family has no endpoints",
        "warning",
        "Clients of that family are refused, while the others are served.",
    ),
    # Policies.
    Kind(
        "local-drops",
        "Local: nodes without a ready pod drop",
        "warning",
        "Clients that enter through such a node wait until they time out.",
    ),
    Kind(
        "no-local-endpoint",
        "Local: no endpoint is on any node",
        "error",
        "Every node takes every endpoint for another's: all of them drop.",
    ),
    Kind(
        "internal-policy-drops",
        "internalTrafficPolicy Local: callers on some nodes are dropped",
        "warning",
        "Pods on a node without an endpoint time out at the cluster IP.",
    ),
    Kind(
        "policy-without-effect",
        "A traffic policy that changes nothing",
        "note",
        "What its author wanted does not happen.",
    ),
    Kind(
        "client-ip-lost",
        "Pods do not see the client's address",
        "note",
        "Logs, rate limits and allow lists see a node or a balancer in the client's place.",
    ),
    # Shares.
    Kind(
        "uneven-share",
        "Some pods get far more connections than others",
        "warning",
        "The busiest pods fill up first, although the Deployment looks large enough.",
    ),
    Kind(
        "affinity-behind-proxy",
        "Session affinity cannot tell clients apart",
        "warning",
        "All clients share the balancer's addresses, and stick to few pods together.",
    ),
    # Nodes that are lost, rollouts.
    Kind(
        "node-loss",
        "One node may have all pods",
        "note",
        "When that node is lost, no replica is left, however many there were.",
    ),
    Kind(
        "rollout-gap",
        "Local: pods end before the balancer leaves their node",
        "warning",
        "Each rollout loses what the balancer still sends to nodes whose last pod has ended.",
    ),
    # Source ranges.
    Kind(
        "ranges-cut-off-pods",
        "Source ranges also bar pods",
        "warning",
        "Callers inside the cluster time out at the load balancer IP.",
    ),
    Kind(
        "ranges-unguarded",
        "Source ranges leave another way in open",
        "warning",
        "Node ports and external IPs take what the load balancer IP would not.",
    ),
    Kind(
        "ranges-one-family-open",
        "Source ranges leave one IP family open",
        "warning",
        "Ranges of one family do not restrict the other: everybody may enter by it.",
    ),
    Kind(
        "ranges-lifted",
        "A range of everything lifts all others",
        "warning",
        "A zero-length prefix in the list makes kube-proxy ignore the whole list.",
    ),
    Kind(
        "ranges-annotation-ignored",
        "kube-proxy does not read the source range annotation",
        "warning",
        "Nothing is filtered on the nodes; only some cloud controllers heed it.",
    ),
    # Health checks, hints, entries.
    Kind(
        "health-check-503",
        "The health check says 503 while traffic is served",
        "note",
        "Balancers leave a node out that still serves, by a terminating pod.",
    ),
    Kind(
        "hints-off",
        "One endpoint without a zone switches zone hints off",
        "warning",
        "Traffic crosses zones although the Service asks to keep it in one.",
    ),
    Kind(
        "distribution-unknown",
        "trafficDistribution is not known to this Kubernetes version",
        "warning",
        "Endpoints get no hints: traffic goes to every zone.",
    ),
    Kind(
        "claimed-twice",
        "Two Services claim one address and port",
        "warning",
        "Kubernetes leaves open which of them is served.",
    ),
    Kind(
        "node-port-not-served",
        "Node ports are not served on a node's address",
        "warning",
        "kube-proxy's nodePortAddresses leave the address out: clients are refused.",
    ),
)

CATALOGUE: Mapping[str, Kind] = {kind.id: kind for kind in _KINDS}
