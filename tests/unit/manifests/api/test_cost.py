"""What the rules cost others: nothing at import."""

import subprocess
import sys


def test_importing_manifests_loads_no_rules() -> None:
    """They are loaded when a Service is judged, so that other commands start without them."""
    code = "import sys, secondhop.manifests; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "secondhop.manifests.api.service" not in loaded
    assert "yaml" not in loaded
