"""Label selectors, as objects write them."""

from typing import Any

import pytest

from secondhop.model.labels import in_a_term, selects

Object = dict[str, Any]


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "x"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "b"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_label_selectors(selector: Object, labels: dict[str, str], matches: bool) -> None:
    assert selects(selector, labels) is matches


def test_none_means_nothing_and_an_empty_selector_everything() -> None:
    assert not selects(None, {"app": "web"})
    assert selects({}, {"app": "web"})
    assert selects({}, {})


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        ({}, False),
        ({"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["3"]}]}, True),
        ({"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}, False),
        ({"matchExpressions": [{"key": "cores", "operator": "Lt", "values": ["5"]}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "Lt", "values": ["5"]}]}, False),
        ({"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["many"]}]}, False),
        ({"matchExpressions": [{"key": "cores", "operator": "Gt", "values": []}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gz1"]}]}, True),
        (
            {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["gz1"]}]},
            False,
        ),
    ],
)
def test_node_selector_terms(term: Object, holds: bool) -> None:
    assert in_a_term([term], {"cores": "4"}, {"metadata.name": "gz1"}) is holds
