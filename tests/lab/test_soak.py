"""The long campaigns: `make soak`."""

import json
import os
import subprocess
import sys

import pytest
from conftest import Unprivileged

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
RUN = [sys.executable, "-c", "import sys; from secondhop.cli import main; sys.exit(main())", "run"]
ROWS = [
    ("Cluster", "xjp1", "delivered", {"10.42.1.1": 12}, {"1": 12}),
    ("Cluster", "gz1", "delivered", {"10.42.0.0": 12}, {"2": 12}),
    ("Local", "xjp1", "delivered", {"192.168.22.2": 12}, {"1": 12}),
    ("Local", "gz1", "dropped", {}, {}),
]


def rows(printed: str) -> list[tuple[str, str, str, dict[str, int], dict[str, int]]]:
    return [
        (
            trial["policy"],
            trial["destination"]["node"],
            trial["observed"]["fate"],
            trial["observed"]["sourceIPs"],
            trial["observed"]["hops"],
        )
        for trial in json.loads(printed)["trials"]
    ]


def test_five_hundred_runs_in_a_row_unprivileged(unprivileged: Unprivileged) -> None:
    for _ in range(500):
        done = unprivileged.run("run", "-o", "json", timeout=10)
        assert done.returncode == 0, done.stderr
        assert rows(done.stdout) == ROWS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as root")
def test_fifty_runs_as_root() -> None:
    for _ in range(50):
        done = subprocess.run(
            [*RUN, "-o", "json"], capture_output=True, text=True, timeout=10, check=True
        )
        assert rows(done.stdout) == ROWS
