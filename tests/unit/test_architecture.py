"""The directions of dependency that docs/architecture.md draws, read from the imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import secondhop

PACKAGE = Path(secondhop.__file__).parent

MAY_IMPORT = {
    "": set(),  # secondhop/__init__.py: the public names, loaded by every import
    "__main__": {"cli"},
    "errors": set(),
    "model": set(),
    "manifests": set(),
    "evidence": set(),
    "predict": set(),
    "check": {"manifests", "predict"},
    "dataplane": set(),
    "client": set(),
    "apiserver": {"client", "manifests"},
    "controllers": {"client", "manifests"},
    "lab": {"client", "dataplane", "controllers", "apiserver", "manifests"},
    "live": {"manifests"},
    "experiment": {"evidence", "predict", "lab", "live", "manifests"},
    "report": set(),
    "cli": {"check", "experiment", "predict", "manifests", "report", "lab", "live"},
}
"""Rooms each room may import, besides itself and the two that every room but the roots may."""

EVERYONE = {"errors", "model"}
THIRD_PARTY = {
    "click": {"cli"},
    "yaml": {"client", "manifests"},
    "jsonpatch": {"apiserver"},
    "cryptography": {"apiserver"},
    "httpx": {"client"},
    "starlette": {"apiserver"},
    "uvicorn": {"apiserver"},
}
"""Packages from outside the standard library, and the rooms that know them."""

LAZY = {"jsonpatch"}
"""Third-party packages to be imported inside the function that needs them, never at the top."""

OBSERVERS = {"evidence", "lab", "live"}
"""Rooms whose evidence must owe nothing to the prediction."""


class Import(NamedTuple):
    """One imported module: absolute name, where it stands, and whether a function holds it."""

    module: str
    place: str
    lazy: bool


def imports_of(path: Path, package: Path = PACKAGE) -> Iterator[Import]:
    """Every import of a file, relative ones made absolute; `from a import b` also yields `a.b`."""
    tree = ast.parse(path.read_text())
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    here = ("secondhop", *path.relative_to(package).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif not isinstance(node, ast.ImportFrom):
            continue
        else:
            origin = ".".join((*(here[: -node.level] if node.level else ()), node.module or ""))
            names = [f"{origin.strip('.')}.{alias.name}" for alias in node.names]
        for name in names:
            yield Import(name, f"{path.relative_to(package)}:{node.lineno}", node in inside)


def room(module: str) -> str:
    """The room of a module of ours: `secondhop.lab.netns` is in lab."""
    second = module.split(".")[1:2]
    return second[0] if second and second[0] in MAY_IMPORT else ""


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py") if first != "__init__.py" else ""


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_is_drawn() -> None:
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT)


def test_rooms_import_only_what_the_drawing_allows() -> None:
    wrong = []
    for path in FILES:
        mine = room_of(path)
        allowed = MAY_IMPORT[mine] | {mine, ""} | (EVERYONE if mine != "errors" else set())
        wrong += [
            f"{each.place} ({mine}) imports {each.module}"
            for each in imports_of(path)
            if each.module.split(".")[0] == "secondhop" and room(each.module) not in allowed
        ]
    assert not wrong, "\n".join(wrong)


def test_the_two_readings_of_the_rules_are_independent() -> None:
    """Said once more on its own: if these shared code, their agreement would prove nothing."""
    for name, other in ("predict", "dataplane"), ("dataplane", "predict"):
        assert MAY_IMPORT[name] == set(), other
    assert all(room(each.module) != "predict" for each in imports_of_room("dataplane"))
    assert all(room(each.module) != "dataplane" for each in imports_of_room("predict"))


def imports_of_room(name: str) -> Iterator[Import]:
    for path in FILES:
        if room_of(path) == name:
            yield from imports_of(path)


def test_observers_never_import_predict() -> None:
    watched = [each for name in OBSERVERS for each in imports_of_room(name)]
    wrong = [each.place for each in watched if room(each.module) == "predict"]
    assert not wrong, wrong


def test_third_party_packages_stay_in_their_rooms() -> None:
    wrong = []
    for path in FILES:
        for each in imports_of(path):
            top = each.module.split(".")[0]
            if top == "secondhop" or top in sys.stdlib_module_names:
                continue
            if room_of(path) not in THIRD_PARTY.get(top, set()) or (top in LAZY and not each.lazy):
                wrong.append(f"{each.place} imports {each.module}")
    assert not wrong, "\n".join(wrong)


HEAVY = {"asyncio", "socket", "ssl", "http", "urllib.request", "ctypes", "subprocess", "pickle"}


@pytest.mark.parametrize("module", ["secondhop.predict", "secondhop.manifests", "secondhop.check"])
def test_prediction_loads_no_network_and_no_process_module(module: str) -> None:
    """So it works on any OS and starts fast; every file of the room, in a fresh interpreter."""
    names = [
        ".".join(("secondhop", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in FILES
        if room_of(path) == module.split(".")[1]
    ]
    code = f"import sys, importlib\nfor name in {names}: importlib.import_module(name)\n"
    code += "print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = set(done.stdout.split())
    rooms = {room(name) for name in loaded if name.startswith("secondhop")}
    assert not HEAVY & loaded
    mine = module.split(".")[1]
    assert rooms <= {"", mine} | EVERYONE | MAY_IMPORT[mine]


def test_the_api_in_the_process_loads_no_http() -> None:
    """So `run` pays for none of it."""
    code = (
        "import sys, secondhop.apiserver.local, secondhop.client.informer; "
        "import secondhop.apiserver.server; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert not THIRD_PARTY.keys() & set(done.stdout.split())


def test_an_experiment_loads_nothing_of_what_it_does_not_use() -> None:
    """Each module costs a run some of its half second."""
    unused = {
        f"secondhop.{name}"
        for name in (
            "apiserver.pod_rules", "apiserver.workload_rules", "apiserver.ownership",
            "controllers.loop", "controllers.cache", "controllers.balancer",
            "dataplane.nftables.layout", "lab.nftables", "lab.stockproxy", "lab.controlplane",
            "lab.loadbalancer", "lab.faults", "lab.process", "lab.execution", "lab.conntrack",
            "lab.datagrams", "lab.recorder",
        )
    }  # fmt: skip
    code = "import sys, secondhop.lab.supervisor; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert not unused & set(done.stdout.split())
    assert unused <= {
        ".".join(("secondhop", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in FILES
    }, "there is no such module"


@pytest.mark.parametrize(
    ("source", "module", "lazy"),
    [
        ("import secondhop.lab.netns", "secondhop.lab.netns", False),
        ("from ..predict import verdict", "secondhop.predict.verdict", False),
        ("from .. import predict", "secondhop.predict", False),
        ("from . import probe", "secondhop.lab.probe", False),
        ("def f():\n    import rich.table", "rich.table", True),
        ("if TYPE_CHECKING:\n    from ..predict.path import f", "secondhop.predict.path.f", False),
    ],
)
def test_the_reader_of_imports_sees_every_form(
    tmp_path: Path, source: str, module: str, lazy: bool
) -> None:
    path = tmp_path / "lab" / "file.py"
    path.parent.mkdir()
    path.write_text(source)
    assert [(each.module, each.lazy) for each in imports_of(path, tmp_path)] == [(module, lazy)]
