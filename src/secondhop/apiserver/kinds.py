"""The kinds that the lab's API serves, as data."""

from __future__ import annotations

from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ = ("get", "list", "watch")


def _definition(group: str, version: str, kind: str) -> str:
    return f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{kind}"


@dataclass(frozen=True, slots=True, eq=False)
class Subresource:
    """A part of an object with a path of its own.

    kind, group, version: what is sent there; empty for the kind that it belongs to. stream: it is
    no JSON (logs) or no request-and-answer (exec); the agent answers it.
    """

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = "v1"
    stream: bool = False

    @property
    def api_version(self) -> str:
        """Of what is sent there, as objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def definition(self) -> str:
        """Its schema; empty where there is none of its own."""
        if not self.kind or self.stream:
            return ""
        return _definition(self.group, self.version, self.kind)


_CHANGED = ("get", "patch", "update")
STATUS = Subresource("status", _CHANGED)
SCALE = Subresource("scale", _CHANGED, "Scale", "autoscaling")
EVICTION = Subresource("eviction", ("create",), "Eviction", "policy")
BINDING = Subresource("binding", ("create",), "Binding")
FINALIZE = Subresource("finalize", ("update",))
LOG = Subresource("log", ("get",), stream=True)
EXEC = Subresource("exec", ("create", "get"), "PodExecOptions", stream=True)
SUBRESOURCES = (STATUS, SCALE, EVICTION, BINDING, FINALIZE, LOG, EXEC)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of object, and how the API treats it.

    short, categories: further names kubectl takes. generation: metadata.generation counts the
    changes of what is wanted. unconditional: an update may leave the resourceVersion out.
    warning: what every request is told. form_of: the kind whose objects these are, in another form.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = VERBS
    generation: bool = False
    unconditional: bool = True
    warning: str = ""
    form_of: str = ""

    @property
    def singular(self) -> str:
        """As kubectl also takes it: `deployment`."""
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """As objects say it: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> Kind:
        """The kind that its objects are stored as."""
        return KINDS[self.form_of] if self.form_of else self

    @property
    def resource(self) -> str:
        """As messages say it, and the store: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """The kind as messages say it: `Pod`, `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def definition(self) -> str:
        """The name of its schema."""
        return _definition(self.group, self.version, self.kind)

    def has(self, subresource: str) -> bool:
        """Whether it has a subresource of this name."""
        return any(each.name == subresource for each in self.subresources)


_ALL = ("all",)
_WORKLOAD = (STATUS, SCALE)

KINDS = {
    each.kind: each
    for each in (
        Kind(
            "Namespace",
            "namespaces",
            short=("ns",),
            namespaced=False,
            subresources=(STATUS, FINALIZE),
            verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
        ),
        Kind("Node", "nodes", short=("no",), namespaced=False, subresources=(STATUS,)),
        Kind(
            "Pod",
            "pods",
            short=("po",),
            categories=_ALL,
            subresources=(STATUS, BINDING, EVICTION, LOG, EXEC),
            generation=True,
        ),
        Kind("Service", "services", short=("svc",), categories=_ALL, subresources=(STATUS,)),
        Kind(
            "Endpoints",
            "endpoints",
            short=("ep",),
            warning=("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ),
        Kind("ConfigMap", "configmaps", short=("cm",)),
        Kind("Event", "events", short=("ev",)),
        Kind("ServiceAccount", "serviceaccounts", short=("sa",)),
        Kind(
            "EndpointSlice",
            "endpointslices",
            "discovery.k8s.io",
            generation=True,
            unconditional=False,
        ),
        Kind("Lease", "leases", "coordination.k8s.io", unconditional=False),
        Kind(
            "ServiceCIDR",
            "servicecidrs",
            "networking.k8s.io",
            namespaced=False,
            verbs=READ,  # the lab's are told at its birth
        ),
        Kind(
            "NetworkPolicy",
            "networkpolicies",
            "networking.k8s.io",
            short=("netpol",),
            verbs=READ,  # there are none: the lab's nodes would not heed them
        ),
        Kind(
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            "policy",
            short=("pdb",),
            verbs=READ,  # there are none: an eviction would not ask them
        ),
        Kind(
            "Deployment",
            "deployments",
            "apps",
            short=("deploy",),
            categories=_ALL,
            subresources=_WORKLOAD,
            generation=True,
        ),
        Kind(
            "ReplicaSet",
            "replicasets",
            "apps",
            short=("rs",),
            categories=_ALL,
            subresources=_WORKLOAD,
            generation=True,
        ),
        Kind(
            "DaemonSet",
            "daemonsets",
            "apps",
            short=("ds",),
            categories=_ALL,
            subresources=(STATUS,),
            generation=True,
        ),
    )
}
"""Every kind that is stored, by its name."""
EVENTS = Kind("Event", "events", "events.k8s.io", short=("ev",), form_of="Event")
ALL = (*KINDS.values(), EVENTS)
"""Every kind that has objects."""
