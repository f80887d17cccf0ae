"""Text to documents: YAML's traps, JSON without YAML, Lists, lines."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from secondhop.errors import ManifestError
from secondhop.manifests import build, read_files, read_text
from secondhop.manifests.yamltext import DEPTH, OddInt, plain

from .helpers import REFERENCE, complaints

THIS_LINE = "Look at this line and the one above it: indentation, colons, quotes."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("y", "y"),
        ("10.42.0.1", "10.42.0.1"),
        ("2001-01-01", "2001-01-01"),
        ("12:30:45", "12:30:45"),
        ("-3", -3),
        ("0", 0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("08", "08"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("<<", "<<"),
        (".inf", float("inf")),
        ("9" * 60, "9" * 60),
    ],
)
def test_scalars_mean_what_they_mean_to_kubectl(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("017", 15), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("-010", -8)],
)
def test_numbers_in_other_dress_are_odd(text: str, value: int) -> None:
    number = plain(text)
    assert isinstance(number, OddInt)
    assert (number, number.written) == (value, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n",
            "5: key 'c' occurs twice in one mapping, at lines 3 and 5",
        ),
        ('{"a": 1,\n"a": 2}', "2: key 'a' occurs twice in one mapping, at lines 1 and 2"),
        ("a:\n\t- b", "2: while scanning for the next token: found character that cannot"),
        ("a: [1, 2", "1: while parsing a flow sequence: did not find expected"),
        ("a: *b", "1: alias *b has no anchor before it, or stands inside it"),
        ("a: &b [*b]", "1: alias *b has no anchor before it, or stands inside it"),
        ("a: !secret b", "1: tag !secret is not known to Kubernetes"),
        ("? [a]\n: b", "1: a key is a collection"),
        ("a: {<<: 3}", "1: << merges something that is not a mapping"),
        ("- a", "1: must be a mapping with apiVersion and kind, is a list"),
        ("a: 1\n---\nhello", "3: must be a mapping with apiVersion and kind, is plain text"),
        ("a: \x01", "1: control characters are not allowed"),
        ("[" * (DEPTH + 1), f"1: nested more than {DEPTH} levels deep"),
        ('{"a": ' * 100_000, f"1: nested more than {DEPTH} levels deep"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, complaint: str) -> None:
    (only,) = complaints(text)
    assert complaint in only
    assert only.split(":")[0] == complaint.split(":")[0]


def test_what_a_pipe_brings_is_told_by_what_came_before_it() -> None:
    with pytest.raises(ManifestError, match=r"add `-o yaml` to that command"):
        read_files(["-"], io.StringIO("NAME  TYPE\nweb  NodePort\n"))
    with pytest.raises(ManifestError, match="look at what the command before the pipe says"):
        read_files(["-"], io.StringIO(""))
    with pytest.raises(ManifestError, match="curl -L https://example"):
        read_files(["https://example.com/web.yaml"])


def test_a_template_is_named() -> None:
    with pytest.raises(ManifestError, match=r"a template with `{{ }}` must be rendered first"):
        read_text("replicas: {{ .Values.replicas }}", "f")


def test_a_tab_is_named() -> None:
    with pytest.raises(ManifestError, match="This line holds a tab: indent with spaces"):
        read_text("a:\n\tb: 1", "f")


def test_text_that_has_no_bytes() -> None:
    with pytest.raises(ManifestError, match="surrogates not allowed"):
        read_text("a: b\nc: \udcff", "f")


def test_aliases_and_merges_work_and_bombs_do_not() -> None:
    (document,) = read_text("a: &x {p: 1}\nb: *x\nc: {<<: *x, q: 2}\nd: {<<: [*x], p: 3}", "f")
    assert document.object == {
        "a": {"p": 1},
        "b": {"p": 1},
        "c": {"p": 1, "q": 2},
        "d": {"p": 3},
    }
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    assert "aliases expand to more than" in complaints(bomb)[0]


def test_a_problem_ends_its_file_but_not_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yml").write_bytes(b"\xff\xfea\x00")
    (tmp_path / "c.txt").write_text("not read")
    (tmp_path / "d.json").write_text('{"kind": "x", "apiVersion": "v1"}')
    with pytest.raises(ManifestError) as caught:
        read_files([str(tmp_path), str(tmp_path / "none.yaml"), "-"])
    found = [(Path(p.where).name, p.message) for p in caught.value.problems]
    assert [where for where, _ in found] == ["a.yaml:1", "b.yml", "none.yaml", "-"]
    assert [message for _, message in found][1:] == [
        "is not UTF-8 text (byte 0)",
        "cannot be read: No such file or directory",
        "is not connected",
    ]


def test_directories_and_stdin(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("kind: B\n---\n---\n# nothing\n---\nkind: C\n")
    (tmp_path / "a.json").write_text('\ufeff{"kind": "A"}\n---\n{"kind": "AA"} {"kind": "AAA"}')
    stdin = io.StringIO("kind: D\n")
    documents = read_files([str(tmp_path), "-"], stdin)
    assert [d.object["kind"] for d in documents] == ["A", "AA", "AAA", "B", "C", "D"]
    assert [d.start for d in documents] == [1, 3, 3, 1, 6, 1]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ManifestError, match=r"holds no \*.yaml, \*.yml or \*.json file"):
        read_files([str(empty)])


def test_lists_are_flattened_and_lines_point_into_them() -> None:
    text = (
        "kind: List\nitems:\n- kind: A\n- kind: PodList\n  items:\n  - kind: B\n    spec: 1\n- 3\n"
    )
    with pytest.raises(ManifestError, match="f:8: document: must be a mapping"):
        read_text(text, "f")
    documents = read_text(text.removesuffix("- 3\n"), "f")
    assert [d.object["kind"] for d in documents] == ["A", "B"]
    assert [d.line() for d in documents] == [3, 6]
    assert documents[1].line(("spec",)) == 7
    assert documents[1].line(("spec", "none", 3)) == 7


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 21),
        (("spec",), 25),
        (("spec", "ports", 0, "nodePort"), 34),
        (("spec", "ports", 0, "missing"), 31),
        (("spec", "ports", 7), 30),
    ],
)
def test_the_line_of_a_field(path: tuple[str | int, ...], line: int) -> None:
    _, service = read_files([str(REFERENCE / "good.yaml")])
    assert service.line(path) == line


def test_lines_in_json() -> None:
    text = '{"kind": "A"}\n---\n{\n  "kind": "B",\n  "spec": {\n    "x": [1,\n 2]}}'
    documents = read_text(text, "f")
    assert [documents[1].line(path) for path in [(), ("spec",), ("spec", "x", 1)]] == [3, 5, 7]


def test_json_never_imports_a_yaml_parser() -> None:
    code = (
        "import sys; from secondhop.manifests import build, read_text, reference_documents as r\n"
        "build(r()); read_text('{\"kind\": \"x\"}\\n---\\n[{}]'[:14], 'f')\n"
        "print('yaml' in sys.modules, 'difflib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_the_slow_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = read_files([str(REFERENCE / "good.yaml")])
    monkeypatch.setattr("yaml.__with_libyaml__", False)
    slow = read_files([str(REFERENCE / "good.yaml")])
    assert [d.object for d in slow] == [d.object for d in fast]
    assert slow[1].line(("spec", "type")) == fast[1].line(("spec", "type"))
    assert build(slow) == build(fast)
