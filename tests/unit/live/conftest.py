import os
from pathlib import Path

import pytest
from standin import StandIn


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in for kubectl, first on PATH."""
    found = StandIn(tmp_path / "kubectl")
    monkeypatch.setenv("PATH", f"{found.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("secondhop.live.kubectl._PAUSES", (0.0, 0.0, 0.0))
    return found
