"""JSON patches and merge patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.patch import merge, patched
from secondhop.errors import ApiError

from .helpers import a_server, config_map, create, refusal

MAPS = KINDS["ConfigMap"]


@pytest.mark.parametrize(
    ("value", "patch", "done"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"b": None}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [{"b": 1}]}, {"a": [{"c": None}]}, {"a": [{"c": None}]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": "x"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": 1}, [2], [2]),
        ([1], {"a": 1}, {"a": 1}),
    ],
)
def test_merge(value: Any, patch: Any, done: Any) -> None:
    assert merge(value, patch) == done


VALUES = st.recursive(
    st.integers(0, 3) | st.booleans() | st.sampled_from("xy"),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner) | st.lists(inner, max_size=2),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES)


def difference(old: Any, new: Any) -> Any:
    """The merge patch from one value without nulls to another."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    gone = dict.fromkeys(old.keys() - new.keys())
    changed = {key: difference(old.get(key), new[key]) for key in new if old.get(key) != new[key]}
    return {**gone, **changed}


@given(OBJECTS, OBJECTS)
def test_the_difference_as_a_merge_patch_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert merge(old, difference(old, new)) == new
    assert old == before


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once(value: Any, patch: Any) -> None:
    once = merge(value, patch)
    assert merge(once, patch) == once


def test_a_json_patch() -> None:
    server = a_server()
    first = create(server, "ConfigMap", config_map(a="1", b="2"))
    patch = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "9"},
        {"op": "remove", "path": "/data/b"},
        {"op": "add", "path": "/metadata/labels", "value": {"x.io/y": "z"}},
        {"op": "remove", "path": "/metadata/labels/x.io~1y"},
    ]
    done = server.patch(MAPS, "one", patch, "default", "json").object
    assert done["data"] == {"a": "9"}
    assert "labels" not in done["metadata"]
    assert first["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ([{"op": "test", "path": "/data/a", "value": "other"}], 422),
        ([{"op": "remove", "path": "/data/none"}], 422),
        ([{"op": "replace", "path": "/no/where", "value": 1}], 422),
        ([{"op": "add", "path": "/data/a/b", "value": 1}], 422),
        ([{"op": "jump", "path": "/data"}], 400),
        ([{"op": "add", "path": "/data"}], 400),
        ([{"path": "/data"}], 400),
        ([1], 400),
        ({"op": "add"}, 400),
        ("x", 400),
        (None, 400),
    ],
)
def test_json_patches_that_fail(patch: object, code: int) -> None:
    server = a_server()
    create(server, "ConfigMap", config_map())
    with pytest.raises(ApiError) as error:
        server.patch(MAPS, "one", patch, "default", "json")
    assert error.value.code == code


@pytest.mark.parametrize("form", ["merge", "strategic"])
@pytest.mark.parametrize("patch", [[], "x", 1, None])
def test_a_patch_that_is_no_object(form: Any, patch: object) -> None:
    with pytest.raises(ApiError) as error:
        patched(MAPS.definition, {}, patch, form)
    assert error.value.code == 400


def test_a_patch_that_makes_the_object_invalid() -> None:
    server = a_server()
    create(server, "ConfigMap", config_map())
    with pytest.raises(ApiError) as error:
        server.patch(MAPS, "one", {"data": {"a b": "1"}}, "default", "merge")
    assert refusal(error)[:2] == (422, "Invalid")
    with pytest.raises(ApiError) as error:
        server.patch(MAPS, "one", {"data": {"a": 1}}, "default", "merge")
    assert refusal(error) == (
        422,
        "Invalid",
        ' "" is invalid: patch: Invalid value: {"data":{"a":1}}: json: cannot unmarshal number '
        "into Go struct field ConfigMap.data of type string",
    )
