#!/usr/bin/env python3
"""`explain --all` and `diff` on 100 nodes x 100 Services of 3 pods, as ratios to reading the input.

The peer is the least that any tool must do with the same file: Python starts and parses its JSON.
Run it by `make bench`; writes only to a temporary folder.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES, SERVICES, RUNS = 100, 100, 7
SECONDHOP = str(Path(sys.executable).parent / "secondhop")


def objects() -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {
            "apiVersion": "secondhop/v1",
            "kind": "Lab",
            "nodes": [
                {"name": f"n{k}", "address": f"172.16.{k}.1", "podCIDR": f"10.42.{k}.0/24"}
                for k in range(NODES)
            ],
        }
    ]
    for k in range(SERVICES):
        labels = {"app": f"web-{k}"}
        containers = [{"name": "whoami", "image": "traefik/whoami"}]
        found.append(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": f"web-{k}"},
                "spec": {
                    "replicas": 3,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": containers},
                    },
                },
            }
        )
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": f"web-{k}"},
                "spec": {
                    "type": "NodePort",
                    "selector": labels,
                    "externalTrafficPolicy": ("Cluster", "Local")[k % 2],
                    "ports": [{"port": 80, "nodePort": 30000 + k}],
                },
            }
        )
    return found


def whole(*command: str) -> float:
    """Seconds for the whole process, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cluster.json")
        file.write_text("\n---\n".join(map(json.dumps, objects())))
        parse = f"import json; [json.loads(x) for x in open({str(file)!r}).read().split('---')]"
        flip = ["diff", "svc/web-0", "--set", "externalTrafficPolicy=Local"]
        times = [
            (
                whole(sys.executable, "-c", parse),
                whole(SECONDHOP, "explain", "--all", "-f", str(file)),
                whole(SECONDHOP, *flip, "-f", str(file)),
            )
            for _ in range(RUNS)
        ]
    reading, table, diff = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{NODES} nodes x {SERVICES} Services; Python's start and parsing: {reading:.3f} s")
    print(f"explain --all  {table:.2f} s (target: under 2 s), ratio {table / reading:.0f}")
    print(f"diff           {diff:.2f} s (target: under 1 s), ratio {diff / reading:.0f}")


if __name__ == "__main__":
    main()
