"""The text of a manifest with its fields at home: meaning, comments, and every byte that stays."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from secondhop.errors import ManifestError
from secondhop.manifests import build, mend, read_text
from secondhop.manifests.mending import mended_text
from secondhop.manifests.resource import dig

from .helpers import (
    REFERENCE,
    Object,
    container,
    deployment,
    fields,
    lab,
    moved,
    node,
    parents,
    pod,
    service,
    slice_of,
)

GOOD = (REFERENCE / "good.yaml").read_text()
PASTED = [(REFERENCE / f"pasted-{kind}.yaml").read_text() for kind in ("deployment", "service")]


def mended(text: str) -> str:
    """The mended text; to mend it again changes nothing."""
    done = mended_text(text, "web.yaml")
    assert mended_text(done, "web.yaml") == done
    return done


def refused(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        mended_text(text, "web.yaml")
    return [str(problem) for problem in caught.value.problems]


def commented(text: str, name: str) -> tuple[str, list[str]]:
    """A text with a blank line and a comment above, and a comment in every line; and those."""
    lines, marks = [], []
    for n, line in enumerate(text.splitlines()):
        room = " " * (len(line) - len(line.lstrip(" ")))
        marks += [f"# above {name} {n};", f"# behind {name} {n};"]
        lines += ["", f"{room}{marks[-2]}", f"{line}  {marks[-1]}"]
    return "\n".join([*lines, ""]), marks


def test_the_pasted_pair_mends_to_the_meaning_of_the_good_one() -> None:
    wanted = list(yaml.safe_load_all(GOOD))
    del wanted[1]["spec"]["ports"][0]["nodePort"]  # the paste has none
    assert list(yaml.safe_load_all(mended("---\n".join(PASTED)))) == wanted
    (one, marks), (other, others) = commented(PASTED[0], "a"), commented(PASTED[1], "b")
    done = mended(f"{one}---\n{other}")
    assert list(yaml.safe_load_all(done)) == wanted
    assert [done.count(mark) for mark in marks + others] == [1] * len(marks + others)


def test_the_pasted_service_line_by_line() -> None:
    assert (
        mended(PASTED[1])
        == """\
apiVersion: v1
kind: Service
metadata:
  name: traffic-test
spec:
  selector:
    app: traffic-test
  ports:
    - protocol: TCP
      port: 80
      targetPort: 80
  type: NodePort
  externalTrafficPolicy: Cluster
"""
    )


HEAD = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (  # trailing comments stay, those above and behind travel, blank lines with them
            "spec:\n  ports:\n  # one\n  - port: 80 # two\n\n    # three\n"
            "    type: NodePort # four\n    # five\n  # six\n# seven\n",
            "spec:\n  ports:\n  # one\n  - port: 80 # two\n    # five\n\n  # three\n"
            "  type: NodePort # four\n  # six\n# seven\n",
        ),
        (  # the first field of an item leaves its dash to the next
            "spec:\n  ports:\n  - type: NodePort # one\n    port: 80\n",
            "spec:\n  ports:\n  - port: 80\n  type: NodePort # one\n",
        ),
        (
            "spec:\n  ports:\n  -   type: NodePort\n      # two\n      port: 80\n",
            "spec:\n  ports:\n  -\n      # two\n      port: 80\n  type: NodePort\n",
        ),
        (  # the only one leaves nothing
            "spec:\n  selector: # one\n    type: NodePort\n  ports: [{port: 80}]\n",
            "spec:\n  selector: {} # one\n  ports: [{port: 80}]\n  type: NodePort\n",
        ),
        (  # scalars of every style
            "spec:\n  ports:\n  - port: 80\n    externalName: |-\n      a\n\n        b\n"
            "    clusterIP: 'No''ne'\n    loadBalancerIP: \"a\\tb\n      c\"\n"
            "    loadBalancerClass: >\n     x\n     y\n",
            "spec:\n  ports:\n  - port: 80\n  externalName: |-\n    a\n\n      b\n"
            "  clusterIP: 'No''ne'\n  loadBalancerIP: \"a\\tb\n    c\"\n"
            "  loadBalancerClass: >\n   x\n   y\n",
        ),
        (  # brackets are opened where something goes out or in, and nowhere else
            "spec: {selector: {app: 'web', type: NodePort}, ports: [{port: 80}]} # one\n",
            "spec:  # one\n  selector:\n    app: 'web'\n  ports: [{port: 80}]\n  type: NodePort\n",
        ),
        (
            "spec: { # one\n  ports: [{port: 80, # two\n   # three\n   type: NodePort}, # four\n"
            "  {port: 81}], # five\n  selector: {app: web} }\n# six\n",
            "spec:\n  # one\n  ports:  # five\n  - port: 80  # two\n    # four\n  - {port: 81}\n"
            "  selector: {app: web}\n  # three\n  type: NodePort\n# six\n",
        ),
        (  # what is empty at home gives way, not its comments
            "spec:\n  # one\n  type: ~ # two\n  ports:\n  - port: 80\n    type: NodePort # three\n",
            "spec:\n  # one\n  # two\n  type: NodePort # three\n  ports:\n  - port: 80\n",
        ),
        (
            "spec: # one\nports: # two\n- port: 80\n",
            "spec: # one\n  ports: # two\n  - port: 80\n",
        ),
        (  # levels on the way are made
            "nodePort: 30080\nspec: {type: NodePort}\n",
            "spec:\n  type: NodePort\n  ports:\n  - nodePort: 30080\n",
        ),
        (  # two mappings are united, their comments too
            "spec:\n  # one\n  metadata: # two\n    # three\n    labels: {a: b}\n    # four\n"
            "  type: NodePort\n",
            "  # three\n  labels: {a: b}\nspec:\n  type: NodePort\n  # one\n  # two\n    # four\n",
        ),
        (
            "spec:\n  selector:\n    matchLabels: # one\n      app: web # two\n",
            "spec:\n  selector:\n    app: web # two\n    # one\n",
        ),
        (
            "spec:\n  selector:\n    matchLabels: {app: web, type: NodePort}\n  ports: []\n",
            "spec:\n  selector:\n    app: web\n  ports: []\n  type: NodePort\n",
        ),
        (  # comments at any depth
            "#  namespace: x\n  spec:\n#   one\n    ports:\n#    two\n    - port: 80\n",
            "#  namespace: x\nspec:\n#   one\n  ports:\n#    two\n  - port: 80\n",
        ),
        (  # anchors and aliases
            "spec:\n  ports:\n  - port: &p 80\n    targetPort: *p\n    type: &t NodePort\n"
            "  externalName: *t\n",
            None,
        ),
        (
            "spec:\n  ports:\n  - port: &p 80\n    healthCheckNodePort: *p\n",
            "spec:\n  ports:\n  - port: &p 80\n  healthCheckNodePort: *p\n",
        ),
        (  # a merge stays, what is beside it moves
            "spec:\n  ports:\n  - &a {port: 80}\n  - <<: *a\n    type: NodePort\n    name: b\n",
            "spec:\n  ports:\n  - &a {port: 80}\n  - <<: *a\n    name: b\n  type: NodePort\n",
        ),
    ],
)
def test_what_moves_and_what_stays(body: str, wanted: str | None) -> None:
    if wanted is None:
        (problem,) = refused(HEAD + body)
        assert "alias *t has no anchor before it" in problem
    else:
        assert mended(HEAD + body) == HEAD + wanted
    windows = (HEAD + body).replace("\n", "\r\n")
    if wanted is not None:
        assert mended(windows) == (HEAD + wanted).replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.rstrip("\n"),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        "",
        "# nothing\n",
        "---\n---\n# empty\n...\n%YAML 1.1\n---\n" + GOOD,
        "kind: ConfigMap\napiVersion: v1\nspec: {metadata: {name: x}}\n",
        "kind: Service\napiVersion: serving.knative.dev/v1\nmetadata: {spec: {ports: []}}\n",
        f"{HEAD}spec:\n  colour: red\n  type: 3\n  externalTraficPolicy: Local\n",
        f"{HEAD}spec: {{selecter: {{app: web}}}}\nmetdata: {{labels: {{a: b}}}}\n",
        f"{HEAD}type: NodePort\nspec: {{type: ClusterIP}}\n",
        f"{HEAD}spec: {{metadata: {{name: other}}, ports: [{{port: 80, name:   a}}]}}\n",
        f"{HEAD}spec: {{ports: {{port: 80}}, nodePort: 3}}\n",
        json.dumps(service(metadata={"name": "other"})).replace(" ", "  "),
        json.dumps(service(), indent=3) + "\n\n",
        "{}",
        '{"apiVersion":"v1","kind":"List","items":[]}',
    ],
)
def test_where_nothing_can_be_moved_every_byte_stays(text: str) -> None:
    assert mended(text) == text


def test_a_comment_where_a_value_should_be() -> None:
    done = mended(HEAD + "spec: {ports: [{port: # one\n  , type: NodePort}]}\n")
    assert yaml.safe_load(done)["spec"] == {"ports": [{"port": None}], "type": "NodePort"}
    assert done.count("# one") == 1


def test_the_head_of_a_file_stays_there() -> None:
    text = f"# licence\n\n# why\ntype: NodePort\n{HEAD}spec:\n  ports:\n"
    assert mended(text) == f"# licence\n\n{HEAD}spec:\n  ports:\n  # why\n  type: NodePort\n"


BROKEN = HEAD + "  spec: {ports: [{port: 80}]}\n"
WHOLE = HEAD + "spec: {ports: [{port: 80}]}\n"


@pytest.mark.parametrize(
    "frame",
    [
        "%s",
        "---\n%s...\n",
        "--- # one\n%s# two\n---\n",
        "# one\n%%YAML 1.1\n---\n%s",
        "a:   1 # ConfigMap or so\n---\n\n\n%s---\n{b:   'é\U0001f600', c: ~} \n",
        "---\n...\n---\n%s...\n# end",
        "\ufeff# one\n%s",
        "a: 1\n...\n# two\n---\n%s",
    ],
)
def test_of_a_stream_only_the_document_that_changes_changes(frame: str) -> None:
    assert mended(frame % BROKEN) == frame % WHOLE
    assert mended((frame % BROKEN).rstrip("\n")) == (frame % WHOLE).rstrip("\n")


def test_the_items_of_a_list() -> None:
    items = "".join("- " + text.replace("\n", "\n  ")[:-2] for text in (BROKEN, WHOLE, BROKEN))
    text = f"kind: List\napiVersion: v1\nitems:\n{items}# end\n"
    whole = "- " + WHOLE.replace("\n", "\n  ")[:-2]
    assert mended(text) == f"kind: List\napiVersion: v1\nitems:\n{whole * 3}# end\n"


@pytest.mark.parametrize("indent", [None, 1, 4, "\t"])
def test_json(indent: Any) -> None:
    broken, whole = ([*yaml.safe_load_all(text)] * 2 for text in (BROKEN, WHOLE))
    for one in (broken[0], whole[0]):
        one["metadata"]["annotations"] = {"a": 'é"\\/\U0001f600', "b": "\ud83d"[:0]}
    texts = ["\n---\n".join(json.dumps(one, indent=indent) for one in o) for o in (broken, whole)]
    assert mended(texts[0] + "\n") == texts[1] + "\n"
    assert mended(texts[0].replace("\n", "\r\n")) == texts[1].replace("\n", "\r\n")
    raw = json.dumps(broken[0], ensure_ascii=False, separators=(",", ":"))
    assert mended(raw) == json.dumps(whole[0], ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n\tb: 2\n", "indent with spaces"),
        (f"{HEAD}type: NodePort\ntype: NodePort\n", "key 'type' occurs twice"),
        ("- 1\n", "must be a mapping with apiVersion and kind"),
        (f"x: &a {{ports: [{{port: 80, type: NodePort}}]}}\n{HEAD}spec: *a\n", "alias or a merge"),
        (f"{HEAD}x: &a {{type: NodePort}}\nspec:\n  ports:\n  - <<: *a\n", "alias or a merge"),
        (f"{HEAD}? type\n: NodePort\n", "not written as `key: value`"),
        (f"{HEAD}type: &t NodePort\nspec: &s\n  type: ~\nstatus: *s\n", "something else"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    problems = refused(text)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith("web.yaml:") for problem in problems)


SOUND: list[Object] = [
    *yaml.safe_load_all(GOOD),
    service(type="LoadBalancer", externalTrafficPolicy="Local", externalIPs=["1.2.3.4", "::1"]),
    slice_of("web", {"addresses": ["10.42.0.9"], "hints": {"forZones": [{"name": "z"}]}}),
    pod(
        spec={
            "containers": [
                container(
                    ports=[{"name": "http", "containerPort": 80}],
                    readinessProbe={"httpGet": {"port": "http"}},
                    env=[{"name": "a", "value": "line\nline\n"}],
                ),
                container(command=["a", "b"], args=[]),
            ],
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {},
        },
    ),
    deployment("api", replicas=2, nodeSelector={"kubernetes.io/hostname": "n1"}),
    node("n1", "10.0.0.1", podCIDRs=["10.42.7.0/24"], unschedulable=None),
    lab(client={"addresses": ["10.9.0.1", "fd00::1"]}, placement={"web": ["n1"]}),
]


class Style:
    """Writes YAML in a style drawn at random, with comments above and behind every key.

    keys: number of a comment -> (its key, whether the comment above is its own)."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.step = self.draw(st.integers(1, 4))
        self.numbers = count()
        self.keys: dict[int, tuple[str, bool]] = {}

    def value(self, value: Any, column: int) -> Iterator[str]:
        """What follows a colon: the rest of the line, then lines."""
        if isinstance(value, str) and value.endswith("\n"):
            yield " |"
            yield from (" " * (column + self.step) + line for line in value.splitlines())
        elif not isinstance(value, (dict, list)) or not value or self.draw(st.integers(0, 5)) == 0:
            plain = isinstance(value, str) and re.fullmatch(r"[a-z]+", value)
            yield f" {value if plain else json.dumps(value)}"
        elif isinstance(value, dict):
            yield ""
            yield from self.fields(value, column + self.step)
        else:
            yield ""
            column += self.draw(st.sampled_from([0, self.step]))
            for item in value:
                yield from self.item(item, column)

    def item(self, item: Any, column: int) -> Iterator[str]:
        room = " " * column
        if isinstance(item, dict) and item:
            first, *others = self.fields(item, column + 2, owned=False)
            yield f"{room}{first.strip()}"
            second, *others = others
            yield f"{room}- {second.strip()}"
            yield from others
        else:
            yield f"{room}- {json.dumps(item)}"

    def fields(self, value: Object, column: int, owned: bool = True) -> Iterator[str]:
        room = " " * column
        for key, item in value.items():
            number = next(self.numbers)
            self.keys[number] = key, owned
            owned = True
            yield f"{room}# above {number};"
            first, *others = self.value(item, column)
            yield f"{room}{key}:{first}  # behind {number};"
            yield from others
        if self.draw(st.booleans()):
            number = next(self.numbers)
            self.keys[number] = "", False
            yield f"{room}# above {number}; # behind {number};"


def full(value: Any) -> Any:
    """A value without what is empty in it; None if that is all."""
    if isinstance(value, dict):
        return {key: item for key, one in value.items() if (item := full(one)) is not None} or None
    if isinstance(value, list):
        return [item for one in value if (item := full(one)) is not None] or None
    return value


def leaves(value: Any) -> Counter[str]:
    if isinstance(value, (dict, list)):
        items = value.values() if isinstance(value, dict) else value
        return sum(map(leaves, items), Counter())
    return Counter([repr(value)])


def misplaced_at_random(data: st.DataObject) -> Object:
    value: Object = json.loads(json.dumps(data.draw(st.sampled_from(SOUND))))
    for _ in range(data.draw(st.integers(1, 4))):
        field = data.draw(st.sampled_from(list(fields(value))))
        places = [
            place
            for place in parents(value)
            if place[: len(field)] != field
            and isinstance(holder := dig(value, place), dict)
            and field[-1] not in holder
        ]
        if places:
            value = moved(value, field, data.draw(st.sampled_from(places)))
    return value


@given(st.data())
def test_meaning_and_comments_of_anything_misplaced(data: st.DataObject) -> None:
    broken = misplaced_at_random(data)
    style = Style(data)
    text = "".join(f"{line}\n" for line in style.fields(broken, 0))
    assert yaml.safe_load(text) == broken
    done = mended(text)
    whole = mend(broken)
    assert mend(read_text(done, "f")[0].object) == whole
    meant = read_text(done, "f")[0].object
    assert leaves(meant) == leaves(broken)
    if leaves(broken) == leaves(whole):
        assert full(meant) == full(whole)
    assert read_text(mended(json.dumps(broken, indent=2)), "f")[0].object == meant
    lines = done.splitlines()
    for number, (key, owned) in style.keys.items():
        (above,) = (n for n, line in enumerate(lines) if f"# above {number};" in line)
        (behind,) = (n for n, line in enumerate(lines) if f"# behind {number};" in line)
        if key and not lines[behind].strip().startswith("#"):  # a level that was dissolved
            assert lines[behind].lstrip(" -").startswith(f"{key}:")
            assert above == behind - 1 or not owned
    if whole == broken:
        assert done == text


def test_what_is_mended_is_sound() -> None:
    world = build(read_text("---\n".join(map(mended, PASTED)), "f"))
    assert [one.name for one in world.cluster.services] == ["traffic-test"]
