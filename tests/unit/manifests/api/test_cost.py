"""What the rules cost: nothing at import, little for many Services."""

import subprocess
import sys
import time

from secondhop.manifests.api.service import validate_service

from .objects import port, service


def test_ten_thousand_services_take_a_moment() -> None:
    value = service(
        type="LoadBalancer",
        selector={"app.kubernetes.io/name": "web"},
        ports=[port(n) for n in (80, 443, 8080)],
        externalIPs=["192.0.2.1"],
        loadBalancerSourceRanges=["10.0.0.0/8", "fd00::/8"],
    )
    start = time.process_time()
    assert not any(validate_service(value) for _ in range(10_000))
    assert time.process_time() - start < 2


def test_importing_manifests_loads_no_rules() -> None:
    """They are loaded when a Service is judged, so that other commands start without them."""
    code = "import sys, secondhop.manifests; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "secondhop.manifests.api.service" not in loaded
    assert "yaml" not in loaded
