"""Documents to a World: the Cluster that an API server, its controllers and a scheduler would make
of these objects, and the Lab around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import ManifestError, Problem
from ..model.cluster import Cluster, Pod, ProxyMode
from ..model.inference import Inference
from ..model.policy import NetworkPolicy
from ..model.version import NEWEST, Feature, KubeVersion
from ..model.workload import Workload
from .allocate import allocated
from .collector import uncollected
from .endpoints import SERVICE_NAME, Selection, derived, sliced
from .lab import Lab, client_aside, read_lab
from .labelled import Labelled
from .nodes import machines, nodes_of_pods, read_node
from .notes import assumed, in_doubt, nodes_known, unselected
from .objects import Objects, sort_out
from .placement import Places
from .pods import WORKLOADS, Wanted, read_pods
from .policies import read_policies
from .problems import Problems
from .ranges import SERVICE_RANGES, bounds, probable
from .read import Document
from .resource import Resource
from .scheduling import Ground
from .services import Declared, Unsound, read_service
from .workloads import behind, read_workloads, units


@dataclass(frozen=True, slots=True)
class World:
    """What `build` makes of the input.

    skipped: kinds that say nothing about traffic, and how many of each there were. notes: what was
    assumed. selections: the Services whose endpoints follow from the pods. sources: the files, in
    their order, that hold anything else than a Lab. policies: the input's NetworkPolicies, which
    no prediction applies. nodes_known: whether the input tells of nodes at all; if not, the
    cluster's are the reference Lab's. inferences: what was found beside the objects of a real
    cluster; of files, what they leave open.
    """

    cluster: Cluster
    lab: Lab
    skipped: Mapping[str, int]
    notes: tuple[str, ...]
    selections: tuple[Selection, ...]
    sources: tuple[str, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    nodes_known: bool = True
    inferences: tuple[Inference, ...] = ()


def build(
    documents: Sequence[Document],
    *,
    namespace: str = "default",
    proxy_mode: ProxyMode | None = None,
    kube_version: KubeVersion = NEWEST,
) -> World:
    """The World of the input; ManifestError with every problem in it. See `examine`."""
    examined = examine(
        documents, namespace=namespace, proxy_mode=proxy_mode, kube_version=kube_version
    )
    if examined.problems:
        raise ManifestError(examined.problems)
    return examined.world


class Examined(NamedTuple):
    """The World that sound input makes, and what is wrong with the rest.

    problems: in the order of the input's lines. resources: the objects of known kinds that are
    whole, with misplaced fields at home. services: those of the World, in its order. left_out: how
    many Services of the input are not.
    """

    world: World
    problems: tuple[Problem, ...]
    resources: tuple[Resource, ...]
    services: tuple[Declared, ...]
    left_out: int = 0


@uncollected
def examine(
    documents: Sequence[Document],
    *,
    namespace: str = "default",
    proxy_mode: ProxyMode | None = None,
    kube_version: KubeVersion = NEWEST,
) -> Examined:
    """What the input makes, although some of it may be wrong: an object with misplaced fields is
    taken as mended, a Service that the API server would refuse is left out.

    namespace: of objects that name none. proxy_mode: in place of the Lab's. kube_version: of the
    controllers that derive endpoints, and of the kube-proxies. Raises ManifestError if the Lab
    itself is wrong: its nodes may not be the ones that are meant.
    """
    problems = Problems()
    objects = sort_out(documents, namespace, problems)
    services = [read_service(resource) for resource in objects.of("Service")]
    declared = [one for one in services if isinstance(one, Declared)]
    unsound = [one for one in services if isinstance(one, Unsound)]
    endpoints = sliced(objects.of("EndpointSlice"))
    policies = tuple(read_policies(objects.of("NetworkPolicy")))
    wanted = list(read_pods(objects.of("Pod", *WORKLOADS)))
    lab = _with_service_ranges(_lab(objects, wanted), objects, declared)
    if proxy_mode is not None:
        lab = replace(lab, proxy=replace(lab.proxy, mode=proxy_mode))
    stated = _states_services(objects)
    ranges = lab.cni.service_cidrs or SERVICE_RANGES[:1]  # nodes without addresses tell of none
    complete = allocated(declared, unsound, ranges, stated=stated)
    if problems.about("Lab"):
        problems.settle()
    selections = tuple(_selections(complete, objects.of("EndpointSlice"), kube_version))
    known = nodes_known(objects, lab)
    there = machines(lab.nodes, objects.of("Node"))
    ground, places = Ground(there, stand_in=not known), Places(there, lab.placement)
    pods, workloads = _placed(wanted, ground, places, selections, stated="placement" in lab.stated)
    if not known:
        workloads = [replace(workload, eligible=None) for workload in workloads]
    world = World(
        cluster=Cluster(
            nodes=lab.nodes,
            client=lab.client,
            pods=pods,
            services=tuple(one.service for one in complete),
            endpoints=endpoints,
            cni=lab.cni,
            proxy=lab.proxy,
            kube_version=kube_version,
            workloads=tuple(workloads),
        ),
        lab=lab,
        skipped=dict(objects.skipped),
        notes=(*assumed(objects, lab, complete, wanted, workloads), *places.notes),
        selections=selections,
        sources=_files(documents),
        policies=policies,
        nodes_known=known,
    )
    world = with_readiness(world, {})
    world = replace(
        world,
        notes=(*world.notes, *unselected(selections, world.cluster)),
        inferences=tuple(in_doubt(selections, objects)),
    )
    left_out = objects.broken["Service"] + len(services) - len(complete)
    return Examined(world, problems.found, objects.resources, tuple(complete), left_out)


def _placed(
    wanted: Sequence[Wanted],
    ground: Ground,
    places: Places,
    selections: Sequence[Selection],
    *,
    stated: bool,
) -> tuple[tuple[Pod, ...], list[Workload]]:
    """All pods, each somewhere where it may be, and the workloads that they are of. stated: the
    Lab's preferences are the user's own."""
    every = units(wanted)
    workloads = read_workloads(every, ground)
    of = {
        id(unit.one.resource.document.object): w for unit, w in zip(every, workloads, strict=True)
    }
    owners = [of[id(one.resource.document.object)] for one in wanted]
    found = places.settle(zip(wanted, owners, strict=True))
    names: dict[int, list[str]] = {}
    for owner, pods in zip(owners, found, strict=True):
        names.setdefault(id(owner), []).extend(pod.name for pod in pods)
    complete = [
        replace(
            workload,
            pods=tuple(names[id(workload)]),
            placed=workload.placed or (stated and places.as_wished(workload)),
            backs=backs,
        )
        for workload, backs in zip(workloads, behind(every, selections), strict=True)
    ]
    return tuple(pod for pods in found for pod in pods), complete


def with_readiness(world: World, ready: Mapping[str, bool]) -> World:
    """The World in which pods (by `namespace/name`) have another Ready condition, and the
    endpoints that follow from it."""
    cluster = world.cluster
    pods = tuple(
        replace(pod, ready=ready[str(pod)]) if ready and str(pod) in ready else pod
        for pod in cluster.pods
    )
    nodes = {node.name: node for node in cluster.nodes}
    labelled = Labelled(pods)
    endpoints = dict(cluster.endpoints)
    for selection in world.selections:
        chosen = labelled.select(selection.service.namespace, selection.selector)
        endpoints |= derived(selection, chosen, nodes)
    return replace(world, cluster=replace(cluster, pods=pods, endpoints=endpoints))


def _files(documents: Sequence[Document]) -> tuple[str, ...]:
    """The files that hold anything else than a Lab, in their order."""
    named = (d.source.name for d in documents if d.object.get("kind") != "Lab")
    return tuple(dict.fromkeys(named))


def _lab(objects: Objects, wanted: Sequence[Wanted]) -> Lab:
    """The Lab, over the nodes of Node objects, or else of what running pods tell of theirs."""
    nodes = [read_node(resource) for resource in objects.of("Node")]
    if not nodes:
        nodes = nodes_of_pods(objects.of("Pod"))
    inside = (ip for one in wanted if not one.pod.host_network for ip in one.pod.addresses)
    return read_lab(objects.lab, objects.stated, nodes, bounds(inside))


def _states_services(objects: Objects) -> bool:
    """Whether the Lab document itself says which Service CIDRs there are."""
    section = objects.lab.get("network") or {}
    named = section.get("serviceCIDR") or section.get("serviceCIDRs")
    return "network" in objects.stated and bool(named)


def _with_service_ranges(lab: Lab, objects: Objects, declared: Sequence[Declared]) -> Lab:
    """The Lab with Service CIDRs that hold the given clusterIPs, unless it states its own."""
    if _states_services(objects):
        return lab
    given = bounds(ip for one in declared for ip in one.service.cluster_ips)
    families = {cidr.version for cidr in (*lab.cni.service_cidrs, *given)}
    taken = [*lab.cni.pod_cidrs, *(i.network for node in lab.nodes for i in node.addresses)]
    ranges = tuple(
        probable([ip for ip in given if ip.version == usual.version], usual, taken)
        for usual in SERVICE_RANGES
        if usual.version in families
    )
    cni = replace(lab.cni, service_cidrs=ranges)
    return replace(lab, cni=cni, client=client_aside(lab, cni))


def _selections(
    declared: Sequence[Declared], slices: Sequence[Resource], version: KubeVersion
) -> Iterator[Selection]:
    """The Services whose endpoints follow from pods: a selector, and no slice in the input."""
    sliced_already = {(r.namespace, r.labels.get(SERVICE_NAME)) for r in slices}
    for one in declared:
        service = one.service
        if (
            one.selector
            and not one.headless
            and (service.namespace, service.name) not in sliced_already
        ):
            yield selection_of(one, version)


def selection_of(one: Declared, version: KubeVersion) -> Selection:
    """What a Service selects, for controllers of that release."""
    return Selection(
        service=one.service,
        selector=one.selector,
        targets=one.targets,
        publish_not_ready=one.publish_not_ready,
        distribution=_distribution(one.distribution, version),
    )


def _distribution(wanted: str, version: KubeVersion) -> str:
    """The trafficDistribution that this release's controllers act on (semantics §15)."""
    needs: Feature = "trafficDistribution" if wanted == "PreferClose" else "node hints"
    return wanted if version.has(needs) else ""
