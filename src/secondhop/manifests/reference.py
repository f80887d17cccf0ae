"""The reference experiment (product.md): its objects and its Lab, read like any file.

Kept as JSON so that running it does not import a YAML parser.
"""

from __future__ import annotations

from .read import Document, read_text

LAB = """\
{
  "apiVersion": "secondhop/v1",
  "kind": "Lab",
  "client": {"address": "192.168.22.2"},
  "nodes": [
    {"name": "gz1", "address": "192.168.8.1", "podCIDR": "10.42.0.0/24", "zone": "zone-a"},
    {"name": "xjp1", "address": "172.17.26.70", "podCIDR": "10.42.1.0/24", "zone": "zone-b"}
  ],
  "network": {"backend": "vxlan", "podCIDR": "10.42.0.0/16", "serviceCIDR": "10.43.0.0/16"},
  "proxy": {"mode": "iptables"},
  "placement": {"traffic-test": "xjp1"},
  "nodeGraceSeconds": 50
}
"""
WORKLOAD = """\
{
  "apiVersion": "apps/v1",
  "kind": "Deployment",
  "metadata": {"name": "traffic-test"},
  "spec": {
    "replicas": 1,
    "selector": {"matchLabels": {"app": "traffic-test"}},
    "template": {
      "metadata": {"labels": {"app": "traffic-test"}},
      "spec": {
        "containers": [
          {"name": "whoami", "image": "traefik/whoami", "ports": [{"containerPort": 80}]}
        ]
      }
    }
  }
}
---
{
  "apiVersion": "v1",
  "kind": "Service",
  "metadata": {"name": "traffic-test"},
  "spec": {
    "type": "NodePort",
    "externalTrafficPolicy": "Cluster",
    "selector": {"app": "traffic-test"},
    "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": 30316}]
  }
}
"""


def reference_lab() -> Document:
    """The Lab of the reference experiment: the default of every missing section."""
    return read_text(LAB, "(reference lab)")[0]


def reference_documents() -> list[Document]:
    """The Deployment, the Service and the Lab of the reference experiment."""
    return [*read_text(WORKLOAD, "traffic-test.yaml"), reference_lab()]
