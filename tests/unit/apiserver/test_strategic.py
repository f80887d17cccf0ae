"""Strategic merge patches, as `kubectl patch --local` applies them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.patch import merge
from secondhop.apiserver.strategic import merge_strategic
from secondhop.errors import ApiError

POD = KINDS["Pod"].definition


def pod(spec: Any = None, metadata: Any = None) -> dict[str, Any]:
    return {key: part for key, part in (("spec", spec), ("metadata", metadata)) if part is not None}


def containers(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]


def applied(value: Any, patch: Any) -> Any:
    before = copy.deepcopy((value, patch))
    done = merge_strategic(POD, value, patch)
    assert before == (value, patch)
    return done


@pytest.mark.parametrize(
    ("value", "patch", "done"),
    [
        # by key: changed in place, added in front
        ([{"name": "a", "image": "1"}, {"name": "b"}], [{"name": "b", "image": "2"}],
         [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]),
        (containers("a", "b"), [{"name": "c"}], containers("c", "a", "b")),
        (None, [{"name": "c", "image": None}], containers("c")),
        ([], [{"name": "c"}], containers("c")),
        # elements that go, a list that is replaced
        (containers("a", "b"), [{"name": "a", "$patch": "delete"}], containers("b")),
        (containers("a", "b"), [{"name": "x", "$patch": "delete"}], containers("a", "b")),
        (containers("a", "b"), [{"name": "b", "$patch": "delete"}, {"name": "c"}],
         containers("c", "a")),
        (containers("a", "b"), [{"$patch": "replace"}, {"name": "c"}], containers("c")),
        (containers("a", "b"), [{"name": "c"}, {"$patch": "replace"}], containers("c")),
        # lists inside of elements
        ([{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}],
         [{"name": "a", "env": [{"name": "Y", "value": "3"}]}],
         [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}]}]),
        ([{"name": "a", "args": ["1", "2"]}], [{"name": "a", "args": ["3"]}],
         [{"name": "a", "args": ["3"]}]),
        ([{"name": "a", "ports": [{"containerPort": 1}]}],
         [{"name": "a", "ports": [{"containerPort": 1, "name": "p"}]}],
         [{"name": "a", "ports": [{"containerPort": 1, "name": "p"}]}]),
        ([{"name": "a", "image": "x"}], [{"name": "a", "image": None}], containers("a")),
    ],
)  # fmt: skip
def test_lists_that_are_maps(value: Any, patch: Any, done: Any) -> None:
    start = pod({}) if value is None else pod({"containers": value})
    assert applied(start, pod({"containers": patch})) == pod({"containers": done})


@pytest.mark.parametrize(
    ("value", "patch", "order", "done"),
    [
        ("abc", None, "cab", "cab"),
        ("abc", "d", "abcd", "abcd"),
        ("abc", "d", "dabc", "dabc"),
        ("abc", "d", "adbc", "adbc"),
        # what the order does not name stays before what it stood before
        ("abc", "d", "cd", "abcd"),
        ("abc", "d", "da", "dabc"),
        ("abc", None, "ca", "bca"),
        ("abc", None, "xyz", "abc"),
        ("", "ab", "ba", "ba"),
    ],
)
def test_the_order_of_elements(value: str, patch: str | None, order: str, done: str) -> None:
    spec: dict[str, Any] = {"$setElementOrder/containers": containers(*order)}
    if patch is not None:
        spec["containers"] = containers(*patch)
    found = applied(pod({"containers": containers(*value)}), pod(spec))
    assert found == pod({"containers": containers(*done)})


@pytest.mark.parametrize(
    ("value", "patch", "done"),
    [
        (["a"], {"finalizers": ["b"]}, ["b", "a"]),
        (["a", "b"], {"finalizers": ["b"]}, ["a", "b"]),
        (["a", "b"], {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}, ["b"]),
        (["a", "b"], {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"],
                      "$setElementOrder/finalizers": ["b", "c"]}, ["b", "c"]),
        (["a", "b"], {"$setElementOrder/finalizers": ["b", "a"]}, ["b", "a"]),
        (["a"], {"finalizers": None}, None),
        (None, {"finalizers": ["a"]}, ["a"]),
        (None, {"$deleteFromPrimitiveList/finalizers": ["a"]}, None),
    ],
)  # fmt: skip
def test_lists_of_plain_values(value: Any, patch: Any, done: Any) -> None:
    start, end = ({} if one is None else {"finalizers": one} for one in (value, done))
    assert applied(pod(metadata=start), pod(metadata=patch)) == pod(metadata=end)


@pytest.mark.parametrize(
    ("value", "patch", "done"),
    [
        ({"a": "1", "b": "2"}, {"a": None, "c": "3"}, {"b": "2", "c": "3"}),
        ({"a": "1", "b": "2"}, {"$patch": "replace", "c": "3"}, {"c": "3"}),
        ({"a": "1", "b": "2"}, {"$patch": "delete"}, {}),
        ({"a": "1", "b": "2"}, {"$retainKeys": ["b", "c"], "c": "3"}, {"b": "2", "c": "3"}),
        ({"a": "1"}, None, None),
        (None, {"a": "1", "b": None}, {"a": "1"}),
        (None, {"$retainKeys": ["a"], "a": "1"}, {"a": "1"}),
        (None, {"$patch": "replace", "a": "1"}, None),
    ],
)
def test_maps(value: Any, patch: Any, done: Any) -> None:
    start, end = ({} if one is None else {"labels": one} for one in (value, done))
    assert applied(pod(metadata=start), pod(metadata={"labels": patch})) == pod(metadata=end)


def test_a_volume_changes_its_kind() -> None:
    """What `kubectl apply` sends when a volume's source is another one."""
    start = pod({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]})
    patch = [{"$retainKeys": ["name", "emptyDir"], "name": "v", "emptyDir": {}}]
    done = applied(start, pod({"volumes": patch}))
    assert done == pod({"volumes": [{"name": "v", "emptyDir": {}}]})


def test_a_strategy_changes_its_type() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    done = merge_strategic(
        KINDS["Deployment"].definition, {"spec": {"strategy": rolling}}, {"spec": patch}
    )
    assert done == {"spec": {"strategy": {"type": "Recreate"}}}


def test_ports_of_a_service_merge_by_their_number_alone() -> None:
    """So a patch cannot tell TCP from UDP (semantics §10.2)."""
    ports = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    patch = {"spec": {"ports": [{"port": 53, "name": "dns"}]}}
    done = merge_strategic(KINDS["Service"].definition, {"spec": {"ports": ports}}, patch)
    assert done["spec"]["ports"] == [{**ports[0], "name": "dns"}, ports[1]]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"spec": {"containers": [{"image": "x"}]}}, "does not contain declared merge key: name"),
        ({"spec": {"containers": ["x"]}}, "in a list of objects"),
        ({"spec": {"containers": [{"name": "a", "$patch": "merge"}]}}, "unknown patch type"),
        ({"spec": {"$patch": "x"}}, "unknown patch type"),
        ({"spec": {"$retainKeys": ["a"], "hostNetwork": True}}, "hostNetwork"),
        ({"spec": {"$retainKeys": "a"}}, "no list"),
        ({"spec": {"$setElementOrder/containers": {}}}, "no list"),
        ({"metadata": {"finalizers": [{}]}}, "plain values"),
    ],
)
def test_patches_that_cannot_be_meant(patch: Any, words: str) -> None:
    with pytest.raises(ApiError) as error:
        merge_strategic(POD, pod({"containers": containers("a")}, {"finalizers": ["x"]}), patch)
    assert error.value.code == 400
    assert words in error.value.message


NAMES = st.lists(st.sampled_from("abcde"), unique=True)
MAPS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12") | st.none())
IMAGES = st.sampled_from(("x", "y"))


@st.composite
def lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [{"name": name, "image": draw(IMAGES)} for name in draw(NAMES)]


@given(lists(), lists())
def test_after_a_merge_the_patch_is_in_and_the_rest_is_as_it_was(old: Any, patch: Any) -> None:
    start = pod({"containers": old})
    done = applied(start, pod({"containers": patch}))["spec"]["containers"]
    by_name = {each["name"]: each for each in (*old, *patch)}
    assert {each["name"]: each for each in done} == by_name
    assert len(done) == len(by_name)
    named, rest = ({each["name"] for each in one} for one in (patch, old))
    assert [e["name"] for e in done if e["name"] in named] == [e["name"] for e in patch]
    left = rest - named
    assert [e["name"] for e in done if e["name"] in left] == [
        e["name"] for e in old if e["name"] in left
    ]


@given(lists(), lists(), NAMES)
def test_merging_twice_is_merging_once(old: Any, patch: Any, order: list[str]) -> None:
    names = [each["name"] for each in patch]
    spec = {
        "containers": patch,
        "$setElementOrder/containers": containers(*names, *(set(order) - set(names))),
    }
    once = applied(pod({"containers": old}), pod(spec))
    again = applied(once, pod(spec))
    assert again == once


@given(lists(), lists())
def test_what_apply_sends_leads_from_one_list_to_the_other(old: Any, new: Any) -> None:
    """Deletions, changes and the order: the three together say it all."""
    there, wanted = ({each["name"]: each for each in one} for one in (old, new))
    patch = [{"name": name, "$patch": "delete"} for name in there if name not in wanted]
    patch += [each for each in new if there.get(each["name"]) != each]
    order = containers(*wanted)
    spec = {"containers": patch, "$setElementOrder/containers": order}
    assert applied(pod({"containers": old}), pod(spec))["spec"]["containers"] == new


@given(MAPS, MAPS)
def test_without_lists_it_is_a_merge_patch(old: Any, patch: Any) -> None:
    start = pod(metadata={"labels": {key: each for key, each in old.items() if each}})
    change = pod(metadata={"labels": patch})
    assert applied(start, change) == merge(start, change)
