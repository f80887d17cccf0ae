"""Sets of fields: as FieldsV1 tell them, and what a write changes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.fields import decode, difference, encode, fields_of, path
from secondhop.apiserver.kinds import KINDS

SERVICE, POD = KINDS["Service"].definition, KINDS["Pod"].definition
PORT = 'k:{"port":80,"protocol":"TCP"}'


@pytest.mark.parametrize(
    ("value", "tree"),
    [
        # the entries of a map are fields of their own
        ({"metadata": {"labels": {"a": "b"}}}, {"f:metadata": {"f:labels": {"f:a": {}}}}),
        # an atomic map is one field, and so is an atomic list
        ({"spec": {"selector": {"a": "b"}}}, {"f:spec": {"f:selector": {}}}),
        ({"spec": {"externalIPs": ["192.0.2.1"]}}, {"f:spec": {"f:externalIPs": {}}}),
        # a list by keys; a key that is left out has its default
        (
            {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}},
            {"f:spec": {"f:ports": {PORT: {".": {}, "f:port": {}, "f:nodePort": {}}}}},
        ),
        # a list that is a set
        ({"metadata": {"finalizers": ["x/y"]}}, {"f:metadata": {"f:finalizers": {'v:"x/y"': {}}}}),
        # what is empty is a field
        ({"spec": {}}, {"f:spec": {}}),
    ],
)
def test_what_an_applied_object_speaks_of(value: dict[str, Any], tree: dict[str, Any]) -> None:
    fields = fields_of(SERVICE, value)
    assert encode(fields) == tree
    assert decode(tree) == fields


@pytest.mark.parametrize(
    ("old", "new", "written", "removed"),
    [
        ({"a": 1}, {"a": 1}, [], []),
        ({"type": "NodePort"}, {"type": "ClusterIP"}, [".spec.type"], []),
        ({"type": "NodePort"}, {}, [], [".spec.type"]),
        (
            {},
            {"ports": [{"port": 80, "protocol": "TCP"}]},
            [
                ".spec.ports",
                '.spec.ports[port=80,protocol="TCP"]',
                '.spec.ports[port=80,protocol="TCP"].port',
                '.spec.ports[port=80,protocol="TCP"].protocol',
            ],
            [],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 1}, {"port": 81}]},
            {"ports": [{"port": 80, "nodePort": 2}]},
            ['.spec.ports[port=80,protocol="TCP"].nodePort'],
            [
                '.spec.ports[port=81,protocol="TCP"]',
                '.spec.ports[port=81,protocol="TCP"].port',
            ],
        ),
        ({"selector": {"a": "b"}}, {"selector": {"a": "c"}}, [".spec.selector"], []),
    ],
)
def test_the_difference_of_two_states(
    old: dict[str, Any], new: dict[str, Any], written: list[str], removed: list[str]
) -> None:
    found = difference(SERVICE, {"spec": old}, {"spec": new})
    assert [sorted(map(path, each)) for each in found] == [sorted(written), sorted(removed)]


@pytest.mark.parametrize("tree", [[], {"f:a": []}, {"f:a": {"f:b": "x"}}, "x"])
def test_what_are_no_fields(tree: Any) -> None:
    with pytest.raises(ValueError, match="objects in each other"):
        decode(tree)


names = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])


@given(st.frozensets(st.lists(names, min_size=1, max_size=4).map(tuple)))
def test_fields_survive_their_writing(fields: frozenset[tuple[str, ...]]) -> None:
    assert decode(encode(fields)) == fields


containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={"image": st.sampled_from("xyz"), "args": st.lists(st.sampled_from("pq"))},
    ),
    unique_by=lambda each: str(each["name"]),
)


@given(containers, containers)
def test_a_difference_is_nothing_only_between_equals_and_turns_around(
    one: list[Any], two: list[Any]
) -> None:
    old, new = ({"spec": {"containers": each}} for each in (one, two))
    there, back = difference(POD, old, new), difference(POD, new, old)
    order = sorted(one, key=str) == sorted(two, key=str)
    assert (not there.written and not there.removed) == order
    assert there.removed <= back.written
    assert back.removed <= there.written
    assert not there.written & there.removed
