"""Makes `data/` from the recordings: `python tests/conformance/compact.py FOLDER`.

FOLDER holds `truth` and `truth6` (`scenarios.jsonl`, `probes.jsonl`: what a real cluster did) and
`conformance` (`packetflow.jsonl`, `categorize.jsonl`, `apicases.jsonl`: the cases of Kubernetes'
own unit tests).
Their READMEs tell how they came to be. The output says the same in the shape that `cases.py`
reads, without what no prediction can be held against: times, HTTP headers, slice and test names.

recorded.jsonl.gz    one line a scenario, its probes inside
packetflow.jsonl.gz  one line for each distinct situation of a node, its flows inside
categorize.jsonl.gz  one line a case
apicases.jsonl.gz    one line a case of the API server: objects in JSON form, what to expect
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

Row = dict[str, Any]


def rows(path: Path) -> Iterator[Row]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)


def canonical(address: str) -> str:
    """Without blanks and the leading zeros that Kubernetes forgives in IPv4 (its TestBadIPs)."""
    return re.sub(r"\b0+(?=\d)", "", address.strip()) if ":" not in address else address.strip()


def service(spec: Row, ingress: list[Row]) -> Row:
    """The fields of a Service that predictions look at."""
    ips = spec.get("clusterIPs") or [spec["clusterIP"]]
    affinity = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds")
    return {
        "type": spec.get("type") or "ClusterIP",
        "clusterIPs": [canonical(ip) for ip in ips],
        "ports": [
            [p.get("name", ""), p.get("protocol") or "TCP", p["port"], p.get("nodePort", 0)]
            for p in spec["ports"]
        ],
        "externalTrafficPolicy": spec.get("externalTrafficPolicy") or "Cluster",
        "internalTrafficPolicy": spec.get("internalTrafficPolicy") or "Cluster",
        "externalIPs": [canonical(ip) for ip in spec.get("externalIPs", [])],
        "ingress": [[canonical(i["ip"]), i.get("ipMode") or "VIP"] for i in ingress],
        "ranges": [canonical(r) for r in spec.get("loadBalancerSourceRanges", [])],
        "affinity": spec.get("sessionAffinityTimeout", affinity),
        "health": spec.get("healthCheckNodePort", 0),
    }


def conditions(endpoint: Row) -> str:
    """`rst` for ready, serving, terminating; absent means ready and serving (semantics §1.2)."""
    defaults = (("ready", True), ("serving", True), ("terminating", False))
    return "".join(name[0] for name, default in defaults if endpoint.get(name, default))


def hints(endpoint: Row, kind: str) -> list[str]:
    return [hint["name"] for hint in endpoint.get("hints", {}).get(kind, [])]


def recorded(folder: Path) -> Iterator[Row]:
    """The scenarios of one recording; a probe joins the one of its name, mode and family."""
    probes: dict[tuple[str, ...], list[Row]] = {}
    for probe in rows(folder / "probes.jsonl"):
        probes.setdefault(identity(probe), []).append(probe)
    for scenario in rows(folder / "scenarios.jsonl"):
        spec = scenario["service"]
        variant = re.match(r"nodeport-addresses=(.*)", scenario["variant"])
        yield {
            "recording": folder.name,
            "scenario": scenario["scenario"],
            "title": scenario["title"],
            "mode": scenario["mode"],
            "nodePortAddresses": [variant[1]] if variant else [],
            "service": service(spec, spec.get("status.loadBalancer.ingress", [])),
            "endpoints": [
                [
                    e["ip"],
                    e["pod"],
                    e["node"],
                    conditions(e),
                    hints(e, "forZones"),
                    hints(e, "forNodes"),
                ]
                for e in scenario["endpoints"]
            ],
            "targetPort": spec["ports"][0]["targetPort"],
            "probes": [compact_probe(p) for p in probes[identity(scenario)]],
        }


def identity(row: Row) -> tuple[str, ...]:
    return row["scenario"], row["mode"], row.get("family", "")


def compact_probe(probe: Row) -> list[Any]:
    """Sender, dialled address, via, attempts, and what came of it."""
    seen: list[Any] = [probe.get("backends", {}), probe.get("sources", {})]
    if probe["fate"] == "http":
        seen = [probe["http"]["http_status"], json.loads(probe["http"]["body"])["localEndpoints"]]
    return [
        probe["source"],
        [probe["addr"], probe["port"], probe["proto"]],
        probe.get("via_node"),
        probe["attempts"],
        probe["fate"],
        *seen,
    ]


def packetflow(path: Path) -> Iterator[Row]:
    """Flows grouped by the node, mode and objects they meet."""
    situations: dict[str, Row] = {}
    for row in rows(path):
        situation = {"mode": row["mode"], "node": compact_node(row), **objects(row["scenario"])}
        key = json.dumps(situation, sort_keys=True)
        flows = situations.setdefault(key, situation | {"flows": []})["flows"]
        dialled = [row["destIP"], row["destPort"], row["protocol"]]
        flows.append([row["id"], row["sourceIP"], dialled, row["expectOutput"], row["expectMasq"]])
    yield from situations.values()


def compact_node(row: Row) -> Row:
    """The node under test. An empty nodePortAddresses means every address inside these tests: the
    nftables default is filled in before, where kube-proxy reads its configuration (§1.4)."""
    node = row["node"]
    everywhere = ["0.0.0.0/0", "::/0"] if row["mode"] == "nftables" else []
    addresses = [a for a in node["interfaceAddrs"] if a not in ("127.0.0.1/8", "::1/128")]
    return {
        "name": node["nodeName"],
        "addresses": addresses,
        "detectLocal": node["detectLocalClusterCIDR"],
        "masqueradeAll": node["masqueradeAll"],
        "nodePortAddresses": node["nodePortAddresses"] or everywhere,
        "localhostNodePorts": node.get("localhostNodePorts", True),
        "serviceCIDR": node.get("serviceCIDRs"),
    }


def objects(scenario: Row) -> Row:
    """Services, and endpoints joined to their ports by name and protocol."""
    services = [
        {"namespace": s["ns"], "name": s["name"]} | service(s, s.get("lbIngress", []))
        for s in scenario["services"]
    ]
    endpoints = [
        [
            [part["ns"], part["service"], port.get("name", ""), port.get("protocol") or "TCP"],
            canonical(e["addresses"][0]),
            port["port"],
            e.get("node"),
            conditions(e),
        ]
        for part in scenario["endpointSlices"]
        for port in part["ports"]
        for e in part["endpoints"]
    ]
    return {"services": services, "endpoints": endpoints}


def categorize(path: Path) -> Iterator[Row]:
    """Endpoint selection: who is listed, on which node, and which lists come out."""
    for row in rows(path):
        yield {
            "id": row["id"],
            "node": row["nodeName"],
            "zone": row["nodeLabels"].get("topology.kubernetes.io/zone"),
            "service": row["service"],
            "endpoints": [
                [
                    e["endpoint"],
                    e["isLocal"],
                    conditions(e),
                    e.get("zoneHints", []),
                    hinted_nodes(row, e),
                ]
                for e in row["endpoints"]
            ],
            "expect": [row["expectCluster"], row["expectLocal"], row["expectHasAny"]],
        }


def hinted_nodes(case: Row, endpoint: Row) -> list[str]:
    """Node hints, which a kube-proxy without PreferSameTrafficDistribution does not read (§15)."""
    return endpoint.get("nodeHints", []) if case["preferSameTrafficDistribution"] else []


ODD_NAMES = {
    "ObjectMeta": "metadata",
    "ClusterIP": "clusterIP",
    "ClusterIPs": "clusterIPs",
    "IPFamilies": "ipFamilies",
    "IPFamilyPolicy": "ipFamilyPolicy",
    "IP": "ip",
    "IPMode": "ipMode",
    "ClientIP": "clientIP",
}
"""JSON names that are not Go's with a small first letter."""
EMPTY_ANNOTATION = {71, 76}
"""Cases that are about an empty annotation; the recording leaves empty values out."""
GATES = {"legacyIPs": "loose", "relaxedServiceNames": "relaxed", "newTrafficDist": "zones"}
"""What a case switches, against the defaults of its test: strict addresses, nothing else."""


def api_object(value: Any) -> Any:
    """A Go value in JSON's names; `core.Something()` stands for a value that does not exist."""
    if isinstance(value, list):
        return [api_object(item) for item in value]
    if isinstance(value, str):
        return "Nonsense" if value.startswith("core.") else value
    if not isinstance(value, dict):
        return value
    made = {
        ODD_NAMES.get(name, name[0].lower() + name[1:]): (
            inner if name in ("Selector", "Labels", "Annotations") else api_object(inner)
        )
        for name, inner in value.items()
    }
    if "generateName" in made:
        made["metadata"]["generateName"] = made.pop("generateName")
    return made


def balancer(row: Row, status: str) -> Row | None:
    """The Service of a status case, which its test makes itself."""
    if status not in row:
        return None
    spec = {"type": "LoadBalancer"} | api_object(row.get("tweakSvcSpec", {}))
    metadata = {"name": "x", "namespace": "x", "resourceVersion": "1"}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"loadBalancer": api_object(row[status])},
    }


def api_step(step: Row) -> list[Any]:
    """One write of a walk and what the stored Service has then: (i)P, (h)eadless, (n)ode ports,
    health (c)heck; null when it is refused."""
    names = ("i", "ClusterIPs"), ("h", "Headless"), ("n", "NodePorts"), ("c", "HealthCheckNodePort")
    seen = "".join(letter for letter, name in names if step.get(f"expect{name}"))
    return [api_object(step["svc"]), None if step["expectError"] else seen]


def apicases(path: Path) -> Iterator[Row]:
    """Each case by what it asks: rules, policy or status (a number of errors), clear (the object
    afterwards), keep (which of three fields stay), ports and walk (writes)."""
    for row in rows(path):
        case: Row = {"id": row["id"], "gates": [g for name, g in GATES.items() if row.get(name)]}
        new, old = (row.get(name) for name in ("service", "old"))
        if row["test"].startswith("TestValidateLoad"):
            new, old = (balancer(row, f"tweak{age}LBStatus") for age in ("", "Old"))
            yield case | {"asks": "status", "new": new, "old": old, "expect": row["numErrs"]}
        elif "numErrs" in row:
            new = api_object(new)
            if row["id"] in EMPTY_ANNOTATION:
                name = "service.beta.kubernetes.io/load-balancer-source-ranges"
                new["metadata"]["annotations"] = {name: ""}
            asks = "policy" if row["test"].endswith("ExternalTrafficPolicy") else "rules"
            yield case | {
                "asks": asks,
                "new": new,
                "old": api_object(old),
                "expect": row["numErrs"],
            }
        elif "expect" in row:
            new, old = row.get("patched", row["before"]), row["before"]
            pair = {"new": api_object(new), "old": api_object(old)}
            yield case | {"asks": "clear", **pair, "expect": api_object(row["expect"])}
        elif "before" in row:
            kept = [row[f"expectSame{name}"] for name in ("ClusterIPs", "NodePort", "HCNP")]
            pair = {"new": api_object(row["update"]), "old": api_object(row["before"])}
            yield case | {"asks": "keep", **pair, "expect": kept}
        elif "svc" in row:
            yield case | {"asks": "ports", "steps": [api_step(row)]}
        else:
            steps = [api_step(row[name]) for name in ("create", "update") if name in row]
            yield case | {"asks": "walk", "steps": steps}


def write(name: str, lines: Iterable[Row]) -> None:
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    # No time stamp: the same recordings make the same bytes.
    (DATA / name).write_bytes(gzip.compress(text.encode(), mtime=0))


def main(folder: Path) -> None:
    write("recorded.jsonl.gz", [*recorded(folder / "truth"), *recorded(folder / "truth6")])
    write("packetflow.jsonl.gz", packetflow(folder / "conformance" / "packetflow.jsonl"))
    write("categorize.jsonl.gz", categorize(folder / "conformance" / "categorize.jsonl"))
    write("apicases.jsonl.gz", apicases(folder / "conformance" / "apicases.jsonl"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
