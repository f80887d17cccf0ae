"""Which fields are at home where: our kinds, as of Kubernetes 1.37, and the Lab.

Fields that say nothing about traffic are known by name and not looked into.
"""

from __future__ import annotations

from typing import Any

from .api import values
from .shapes import (
    ANNOTATIONS,
    ANYTHING,
    FLAG,
    INT_OR_NAME,
    INTEGER,
    LABELS,
    NUMBER,
    TEXT,
    TEXTS,
    ListOf,
    MapOf,
    OneOrMany,
    Shape,
    Struct,
    enum,
    of,
    status,
    struct,
)

PROTOCOL = enum(*values.PROTOCOLS)
POLICY = enum(*values.POLICIES)
CONDITIONS = ListOf(status(type=TEXT, status=TEXT))


def _metadata(required: str) -> Struct:
    return struct(
        required,
        labels=LABELS,
        annotations=ANNOTATIONS,
        ownerReferences=ListOf(status(kind=TEXT, name=TEXT)),
        **of(TEXT, "name namespace generateName uid deletionTimestamp"),
        **of(
            ANYTHING,
            "creationTimestamp deletionGracePeriodSeconds finalizers generation managedFields "
            "resourceVersion selfLink",
        ),
    )


METADATA = _metadata("name")

SERVICE_PORT = struct(
    "port",
    name=TEXT,
    protocol=PROTOCOL,
    port=INTEGER,
    targetPort=INT_OR_NAME,
    nodePort=INTEGER,
    appProtocol=TEXT,
)
SERVICE_SPEC = struct(
    type=enum(*values.TYPES),
    ports=ListOf(SERVICE_PORT),
    selector=LABELS,
    externalTrafficPolicy=POLICY,
    internalTrafficPolicy=POLICY,
    ipFamilies=ListOf(enum(*values.FAMILIES)),
    ipFamilyPolicy=enum(*values.FAMILY_POLICIES),
    sessionAffinity=enum(*values.AFFINITIES),
    sessionAffinityConfig=struct(clientIP=struct(timeoutSeconds=INTEGER)),
    trafficDistribution=enum(*values.DISTRIBUTIONS),
    healthCheckNodePort=INTEGER,
    **of(FLAG, "allocateLoadBalancerNodePorts publishNotReadyAddresses"),
    **of(TEXT, "clusterIP externalName loadBalancerClass loadBalancerIP"),
    **of(TEXTS, "clusterIPs externalIPs loadBalancerSourceRanges"),
)
INGRESS = struct(hostname=TEXT, ip=TEXT, ipMode=enum(*values.IP_MODES), ports=ANYTHING)
SERVICE = struct(
    "apiVersion kind metadata spec",
    **of(TEXT, "apiVersion kind"),
    metadata=METADATA,
    spec=SERVICE_SPEC,
    status=struct(loadBalancer=struct(ingress=ListOf(INGRESS)), conditions=ANYTHING),
)

HINTS = ListOf(struct("name", name=TEXT))
ENDPOINT = struct(
    "addresses",
    addresses=TEXTS,
    conditions=struct(**of(FLAG, "ready serving terminating")),
    hints=struct(forZones=HINTS, forNodes=HINTS),
    targetRef=status(kind=TEXT, name=TEXT, namespace=TEXT),
    deprecatedTopology=ANYTHING,
    **of(TEXT, "hostname nodeName zone"),
)
ENDPOINT_SLICE = struct(
    "apiVersion kind metadata addressType",
    **of(TEXT, "apiVersion kind"),
    metadata=METADATA,
    addressType=enum("IPv4", "IPv6", "FQDN"),
    endpoints=ListOf(ENDPOINT),
    ports=ListOf(struct(name=TEXT, port=INTEGER, protocol=PROTOCOL, appProtocol=TEXT)),
)

PROBE = struct(
    httpGet=struct("port", port=INT_OR_NAME, httpHeaders=ANYTHING, **of(TEXT, "path host scheme")),
    tcpSocket=struct("port", port=INT_OR_NAME, host=TEXT),
    **of(ANYTHING, "exec grpc"),
    **of(
        INTEGER,
        "failureThreshold initialDelaySeconds periodSeconds successThreshold "
        "terminationGracePeriodSeconds timeoutSeconds",
    ),
)
CONTAINER_PORT = struct(
    "containerPort",
    protocol=PROTOCOL,
    **of(INTEGER, "containerPort hostPort"),
    **of(TEXT, "name hostIP"),
)
HOOK = status(exec=status(command=TEXTS), sleep=status(seconds=INTEGER))
CONTAINER = struct(
    "name",
    lifecycle=status(preStop=HOOK),
    **of(TEXT, "name image restartPolicy imagePullPolicy workingDir"),
    **of(TEXTS, "args command"),
    env=ListOf(struct("name", name=TEXT, value=TEXT, valueFrom=ANYTHING)),
    ports=ListOf(CONTAINER_PORT),
    **of(PROBE, "readinessProbe livenessProbe startupProbe"),
    **of(
        ANYTHING,
        "envFrom resizePolicy resources restartPolicyRules securityContext stdin "
        "stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts",
    ),
)
LABEL_TESTS = ListOf(status(values=TEXTS, **of(TEXT, "key operator")))
POD_TERM = status(
    topologyKey=TEXT,
    namespaceSelector=status(),
    labelSelector=status(matchLabels=MapOf(TEXT), matchExpressions=LABEL_TESTS),
    **of(TEXTS, "namespaces matchLabelKeys"),
)
NODE_TERMS = ListOf(status(**of(LABEL_TESTS, "matchExpressions matchFields")))
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
AFFINITY = status(
    nodeAffinity=status(**{REQUIRED: status(nodeSelectorTerms=NODE_TERMS)}),
    **of(status(**{REQUIRED: ListOf(POD_TERM)}), "podAffinity podAntiAffinity"),
)
SPREAD = status(
    labelSelector=POD_TERM.fields["labelSelector"],
    matchLabelKeys=TEXTS,
    **of(INTEGER, "maxSkew minDomains"),
    **of(TEXT, "topologyKey whenUnsatisfiable nodeAffinityPolicy nodeTaintsPolicy"),
)
POD_SPEC = struct(
    "containers",
    affinity=AFFINITY,
    topologySpreadConstraints=ListOf(SPREAD),
    terminationGracePeriodSeconds=INTEGER,
    **of(ListOf(CONTAINER), "containers initContainers"),
    nodeSelector=LABELS,
    tolerations=ListOf(struct(**of(TEXT, "key operator value effect"), tolerationSeconds=INTEGER)),
    **of(FLAG, "hostNetwork hostIPC hostPID hostUsers"),
    **of(TEXT, "nodeName restartPolicy schedulerName hostname subdomain dnsPolicy"),
    **of(
        ANYTHING,
        "activeDeadlineSeconds automountServiceAccountToken dnsConfig enableServiceLinks "
        "ephemeralContainers evictionResponders hostAliases hostnameOverride imagePullSecrets os "
        "overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims "
        "resources runtimeClassName schedulingGates schedulingGroup securityContext serviceAccount "
        "serviceAccountName setHostnameAsFQDN shareProcessNamespace volumes",
    ),
)
IPS = ListOf(status(ip=TEXT))
POD = struct(
    "apiVersion kind metadata spec",
    **of(TEXT, "apiVersion kind"),
    metadata=METADATA,
    spec=POD_SPEC,
    status=status(phase=TEXT, conditions=CONDITIONS, podIP=TEXT, podIPs=IPS, hostIP=TEXT),
)

STEPS = status(
    type=TEXT, rollingUpdate=status(**of(INT_OR_NAME, "maxSurge maxUnavailable partition"))
)
SELECTOR = struct(
    matchLabels=LABELS,
    matchExpressions=ListOf(
        struct(
            "key operator",
            key=TEXT,
            operator=enum("In", "NotIn", "Exists", "DoesNotExist"),
            values=TEXTS,
        )
    ),
)
PEERS = ListOf(
    struct(
        ipBlock=struct("cidr", cidr=TEXT, **{"except": TEXTS}),
        **of(SELECTOR, "podSelector namespaceSelector"),
    )
)
POLICY_PORTS = ListOf(struct(protocol=PROTOCOL, port=INT_OR_NAME, endPort=INTEGER))
TEMPLATE = struct("metadata spec", metadata=_metadata("labels"), spec=POD_SPEC)


def _workload(**own: Shape) -> Struct:
    """A kind that makes pods of a template."""
    return struct(
        "apiVersion kind metadata spec",
        **of(TEXT, "apiVersion kind"),
        metadata=METADATA,
        spec=struct(
            "selector template",
            selector=SELECTOR,
            template=TEMPLATE,
            minReadySeconds=INTEGER,
            **own,
        ),
        status=status(),
    )


KINDS = {
    "Service": SERVICE,
    "EndpointSlice": ENDPOINT_SLICE,
    "Pod": POD,
    "Deployment": _workload(
        **of(INTEGER, "replicas revisionHistoryLimit progressDeadlineSeconds"),
        paused=FLAG,
        strategy=STEPS,
    ),
    "ReplicaSet": _workload(replicas=INTEGER),
    "StatefulSet": _workload(
        **of(INTEGER, "replicas revisionHistoryLimit"),
        **of(TEXT, "serviceName podManagementPolicy"),
        updateStrategy=STEPS,
        **of(ANYTHING, "volumeClaimTemplates ordinals persistentVolumeClaimRetentionPolicy"),
    ),
    "DaemonSet": _workload(revisionHistoryLimit=INTEGER, updateStrategy=STEPS),
    "Node": struct(
        "apiVersion kind metadata",
        **of(TEXT, "apiVersion kind"),
        metadata=METADATA,
        spec=struct(
            podCIDR=TEXT,
            podCIDRs=TEXTS,
            unschedulable=FLAG,
            taints=ListOf(struct("key effect", **of(TEXT, "key value effect"), timeAdded=ANYTHING)),
            **of(ANYTHING, "configSource externalID podPreemptionPolicy providerID"),
        ),
        status=status(addresses=ListOf(struct(**of(TEXT, "type address")))),
    ),
    "NetworkPolicy": struct(
        "apiVersion kind metadata",
        **of(TEXT, "apiVersion kind"),
        metadata=METADATA,
        spec=struct(
            podSelector=SELECTOR,
            policyTypes=TEXTS,
            ingress=ListOf(struct(**{"from": PEERS}, ports=POLICY_PORTS)),
            egress=ANYTHING,
        ),
        status=ANYTHING,
    ),
    "Lab": struct(
        "apiVersion kind",
        **of(TEXT, "apiVersion kind"),
        client=struct(address=TEXT, addresses=TEXTS),
        nodes=ListOf(
            struct(
                "name",
                **of(TEXT, "name address podCIDR zone"),
                **of(TEXTS, "addresses podCIDRs"),
            )
        ),
        network=struct(
            backend=enum("vxlan", "host-gw"),
            **of(TEXT, "podCIDR serviceCIDR"),
            **of(TEXTS, "podCIDRs serviceCIDRs"),
        ),
        proxy=struct(mode=enum("iptables", "nftables"), nodePortAddresses=TEXTS, external=TEXT),
        placement=MapOf(OneOrMany()),
        nodeGraceSeconds=NUMBER,
        balancer=struct(
            kind=enum("ecmp", "single-node"), pool=TEXTS, interval=NUMBER, threshold=INTEGER
        ),
    ),
}
API_VERSIONS = {
    "Service": "v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Pod": "v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Node": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Lab": "secondhop/v1",
}


def kind_inside(value: Any, depth: int = 20) -> str | None:
    """The first of our kinds that a `kind` field names anywhere inside an object."""
    if isinstance(value, dict):
        kind = value.get("kind")
        if isinstance(kind, str) and kind in KINDS:
            return kind
        value = list(value.values())
    if not isinstance(value, list) or depth == 0:
        return None
    return next((kind for item in value if (kind := kind_inside(item, depth - 1))), None)
