"""`secondhop check` as the console script would run it."""

import io
import json
import os
import sys
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import deployment, lab, service

from secondhop.manifests import read_text
from secondhop.report.schema import schema

from .conftest import NODES, RANGES, Secondhop, write

REFERENCE = Path(__file__).parents[2] / "fixtures" / "reference"
PASTED = ("-f", str(REFERENCE / "pasted-service.yaml"))
LOCAL = {"externalTrafficPolicy": "Local"}


@pytest.fixture
def local(tmp_path: Path) -> str:
    """A Service under Local with one pod on five nodes."""
    given = service(type="LoadBalancer", externalTrafficPolicy="Local")
    return write(tmp_path / "local.json", given, deployment(), lab(NODES, network=RANGES))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--require", "valid"], 0),
        (["--require", "client-ip"], 0),
        (["--require", "no-blackhole"], 1),
        (["--require", "no-blackhole", "--balancer", "healthy-nodes"], 0),
        (["--require", "client-ip,max-share=0.1"], 1),
        (["--require", "no-blackhole", "-o", "json"], 1),
        (["--require", "no-blackhole", "-o", "junit"], 1),
        (["--require", "no-blackhole", "-o", "sarif"], 1),
    ],
)
def test_only_a_requirement_that_does_not_hold_exits_1(
    secondhop: Secondhop, local: str, arguments: list[str], code: int
) -> None:
    done = secondhop("check", "-f", local, *arguments)
    assert (done.code, done.err) == (code, "")
    assert done.out


def test_invalid_manifests_are_findings_and_exit_0(secondhop: Secondhop) -> None:
    done = secondhop("check", *PASTED)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("1 Service: 4 errors, 1 note (k8s 1.36)\n")
    assert secondhop("check", *PASTED, "--require", "valid").code == 1


TYPO = service("typo", type="Nodeport")
TAKEN = service("taken")
REFUSED = service("refused", node_port=80)
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("given", "heading", "end"),
    [
        ([TYPO], "1 Service not judged: 1 error (", "More about each"),
        ([TYPO, REFUSED], "2 Services not judged: 2 errors (", "More about each"),
        (
            [service(), TAKEN],
            "1 Service judged, 1 not: 1 error, ",
            "  Service default/web: the input",
        ),
        (
            [service(), service()],
            "1 Service judged, 1 not: 1 error, ",
            "  Service default/web: the input",
        ),
        ([OTHER], "0 Services: nothing found (", "Skipped, not looked at: 1 ConfigMap."),
    ],
    ids=["a typo", "two", "one of two", "given twice", "no Service"],
)
def test_what_is_not_judged_is_told(
    secondhop: Secondhop, tmp_path: Path, given: list[dict[str, Any]], heading: str, end: str
) -> None:
    done = secondhop("check", "-f", write(tmp_path / "x.json", *given))
    assert done.out.startswith(heading)
    assert done.out.splitlines()[-1].startswith(end)
    assert ("Predicted, not tried" in done.out) == ("1 Service judged" in heading)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-f", "missing.yaml"], "cannot be read"),
        (["--require", "speed"], "there is no requirement 'speed'"),
        (["--require", "valid"], "Name manifests with -f."),
        (["--balancer", "metalb-bgp"], "Did you mean metallb-bgp?"),
        (["--kube-version", "1.99"], "is not known yet"),
        (["--proxy-mode", "ipvs"], "no verdict for ipvs"),
        (["svc/x"], "there is no Service default/x"),
        (["--fix"], "there is no file to mend"),
        (["--write", "-f", "-"], "--write cannot write to stdin"),
        (["--fix", "--write", "-f", "x"], "neither does anything else"),
        (["--fix", "--require", "valid", "-f", "x"], "neither does anything else"),
    ],
)
def test_what_cannot_be_done_exits_2(secondhop: Secondhop, arguments: list[str], says: str) -> None:
    done = secondhop("check", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


@pytest.mark.parametrize("verb", ["check", "explain", "diff", "run"])
@pytest.mark.parametrize("text", ["", "# nothing\n---\n", '{"kind": "List", "items": []}'])
def test_input_without_an_object_exits_2(
    secondhop: Secondhop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str, text: str
) -> None:
    more = ["svc/web", "--set", "type=NodePort"] if verb == "diff" else []
    empty = tmp_path / "empty.yaml"
    empty.write_text(text)
    for file in str(empty), "-", str(tmp_path):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        done = secondhop(verb, *more, "-f", file)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"secondhop: {file}: input: holds no object\n")


def test_one_file_of_several_may_be_empty(secondhop: Secondhop, tmp_path: Path, local: str) -> None:
    (tmp_path / "empty.yaml").write_text("# later\n")
    assert secondhop("check", "-f", str(tmp_path), "--require", "valid").code == 0


def test_the_json(secondhop: Secondhop, local: str) -> None:
    done = secondhop("check", "-f", local, "--require", "no-blackhole", "-o", "json")
    document = json.loads(done.out)
    assert list(Draft202012Validator(schema("Check")).iter_errors(document)) == []
    assert (document["kind"], document["met"], document["services"]) == ("Check", False, 1)
    (told,) = document["findings"]
    assert (told["id"], told["file"], told["line"]) == ("local-drops", local, 1)


def test_a_service_may_be_named_though_it_is_not_valid(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    file = write(tmp_path / "x.json", service(type="ClusterIP", externalTrafficPolicy="Local"))
    done = secondhop("check", "svc/web", "-f", file, "--require", "valid")
    assert done.code == 1
    assert "refused-by-api" in done.out
    assert secondhop("check", "svc/wbe", "-f", file).code == 2


def test_some_services_of_the_input(secondhop: Secondhop, tmp_path: Path) -> None:
    a, b = service("a"), service("b", node_port=30081)
    a["metadata"]["namespace"] = "default"
    b["metadata"] |= {"namespace": "other", "labels": {"tier": "web"}}
    file = write(tmp_path / "two.json", a, b)

    def subjects(*arguments: str) -> set[str]:
        done = secondhop("check", "-f", file, "-o", "json", *arguments)
        return {finding["subject"] for finding in json.loads(done.out)["findings"]}

    assert subjects() == {"Service default/a", "Service other/b"}
    assert subjects("-n", "other") == {"Service other/b"}
    assert subjects("svc/a") == {"Service default/a"}
    assert subjects("-l", "tier=web") == {"Service other/b"}


def meaning(text: str) -> list[dict[str, Any]]:
    return [document.object for document in read_text(text, "x")]


def test_fix_prints_the_mended_files_and_nothing_else(secondhop: Secondhop) -> None:
    deployment_too = ("-f", str(REFERENCE / "pasted-deployment.yaml"))
    done = secondhop("check", "--fix", *deployment_too, *PASTED)
    assert (done.code, done.err) == (0, "mended 7 fields; no error is left\n")
    deployment, service = meaning((REFERENCE / "good.yaml").read_text())
    del service["spec"]["ports"][0]["nodePort"]  # the pasted one asks for none
    assert meaning(done.out) == [deployment, service]


def test_fix_mends_stdin(secondhop: Secondhop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(BAD))
    told = "mended 1 field; no error is left\n"
    assert secondhop("check", "--fix", "-f", "-") == (0, GOOD, told)


@pytest.mark.parametrize("flag", ["--fix", "--write"])
def test_mending_tells_what_it_leaves(secondhop: Secondhop, tmp_path: Path, flag: str) -> None:
    file, other = tmp_path / "a typo.yaml", tmp_path / "b.yaml"
    file.write_text(BAD + "    type: Nodeport\n")
    other.write_text(GOOD.replace("web", "other") + "  selectr: {}\n")
    done = secondhop("check", flag, "-f", str(file), "-f", str(other))
    left = f"2 errors are left: secondhop check -f '{file}' -f {other}"
    assert (done.code, done.err.splitlines()[-1]) == (0, f"mended 1 field; {left}")
    other.unlink()
    file.write_text(GOOD + "  type: Nodeport\n")
    done = secondhop("check", flag, "-f", str(file))
    assert done.err == f"mended 0 fields; 1 error is left: secondhop check -f '{file}'\n"


BAD = """apiVersion: v1
kind: Service
metadata:
  name: web
  spec:  # kept
    ports: [{port: 80}]
"""
GOOD = """apiVersion: v1
kind: Service
metadata:
  name: web
spec:  # kept
  ports: [{port: 80}]
"""


@pytest.mark.parametrize(("mark", "end"), [(b"", "\n"), (BOM_UTF8, "\r\n")])
def test_write_mends_in_place(secondhop: Secondhop, tmp_path: Path, mark: bytes, end: str) -> None:
    bad, good, link = tmp_path / "bad.yaml", tmp_path / "good.yaml", tmp_path / "link.yaml"
    bad.write_bytes(mark + BAD.replace("\n", end).encode())
    bad.chmod(0o640)
    good.write_text(GOOD.replace("web", "other"))
    before = good.stat()
    link.symlink_to(bad)
    assert secondhop("check", "--write", "-f", str(link), "-f", str(good)) == (
        0,
        "",
        f"mended {link}\nmended 1 field; no error is left\n",
    )
    assert bad.read_bytes() == mark + GOOD.replace("\n", end).encode()
    assert bad.stat().st_mode & 0o7777 == 0o640
    assert link.is_symlink()
    assert good.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(os.listdir(tmp_path)) == ["bad.yaml", "good.yaml", "link.yaml"]


def test_write_touches_nothing_if_one_file_cannot_be_read(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    bad, broken, worse = (tmp_path / name for name in ("bad.yaml", "broken.yaml", "worse.yaml"))
    bad.write_text(BAD)
    broken.write_text("a: [")
    worse.write_text("{")
    done = secondhop("check", "--write", "-f", str(tmp_path))
    assert (done.code, bad.read_text()) == (2, BAD)
    assert str(broken) in done.err
    assert str(worse) in done.err
