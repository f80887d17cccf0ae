"""The recipes of docs/ci.md, line by line."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml
from support import deployment, lab, service

from .conftest import NODES, RANGES, write

DOCUMENT = Path(__file__).parents[3] / "docs" / "ci.md"
BLOCKS = re.findall(r"^```(sh|yaml)\n(.*?)```", DOCUMENT.read_text(), re.M | re.S)


def lines(value: Any) -> list[str]:
    """The lines for a shell of a pipeline, whoever's: what stands under `run` or `script`."""
    if isinstance(value, list):
        return [line for item in value for line in lines(item)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for key, item in value.items():
        if key in ("run", "script"):
            found += [item] if isinstance(item, str) else item
        else:
            found += lines(item)
    return found


RECIPES = [
    [text.strip()] if language == "sh" else lines(yaml.safe_load(text)) for language, text in BLOCKS
]


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs a line in a folder with manifests that meet every requirement, or with others."""
    script = tmp_path / "bin" / "secondhop"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom secondhop.cli import main\nmain()\n")
    script.chmod(0o755)
    environment = os.environ | {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    for folder in "deploy", "ci":
        (tmp_path / folder).mkdir()

    def run(line: str, replicas: int) -> int:
        web = service(externalTrafficPolicy="Local")
        places = {"web": [node["name"] for node in NODES]}
        there = lab(NODES, network=RANGES, placement=places)
        write(tmp_path / "deploy" / "web.json", web, deployment(replicas=replicas))
        write(tmp_path / "ci" / "nodes.yaml", there)
        asked = ["sh", "-ec", line]
        return subprocess.run(asked, cwd=tmp_path, env=environment, timeout=60).returncode

    return run


def test_there_are_three_recipes() -> None:
    assert [len(recipe) for recipe in RECIPES] == [1, 2, 2]
    assert all(recipe[:-1] in ([], ['pip install "$SECONDHOP"']) for recipe in RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=["shell", "github", "gitlab"])
def test_a_recipe_passes_and_fails(recipe: list[str], shell: Any, tmp_path: Path) -> None:
    assert shell(recipe[-1], replicas=len(NODES)) == 0
    assert shell(recipe[-1], replicas=1) == 1
    if "junit" in recipe[-1]:
        report = JUnitXml.fromfile(str(tmp_path / "secondhop.xml"))
        assert report.failures == 1
    if "sarif" in recipe[-1]:
        assert '"uri": "deploy/web.json"' in (tmp_path / "secondhop.sarif").read_text()
