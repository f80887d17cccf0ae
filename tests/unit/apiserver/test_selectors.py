"""Selectors as requests write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.selectors import selector
from secondhop.errors import ApiError
from secondhop.model.labels import selects

POD = KINDS["Pod"]
OBJECT = {
    "metadata": {"name": "a", "namespace": "d", "labels": {"app": "web", "n": "5", "x.io/y": ""}},
    "spec": {"nodeName": "n1", "hostNetwork": True},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("app=web", True),
        ("app==web", True),
        (" app = web ", True),
        ("app=other", False),
        ("app=", False),
        ("x.io/y=", True),
        ("app!=web", False),
        ("none!=web", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("! app", False),
        ("app in (a, web)", True),
        ("app in (a,b)", False),
        ("app notin (web)", False),
        ("none notin (web)", True),
        ("none in (web)", False),
        ("app in (web),n=5", True),
        ("n=5,app in (a),app=web", False),
        ("app=web,", True),
        ("n>4,n<6", True),
        ("n>5", False),
        ("app>4", False),
        ("in=web", False),
    ],
)
def test_labels(text: str, selected: bool) -> None:
    test = selector(POD, text, "")
    assert test is not None
    assert test(OBJECT) is selected


@pytest.mark.parametrize(
    "text", ["=web", "app in", "app in (a", "a b", "!a=b", "a=b c", "a>x", "(a)"]
)
def test_labels_that_are_none(text: str) -> None:
    with pytest.raises(ApiError) as error:
        selector(POD, text, "")
    assert (error.value.code, error.value.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("metadata.name=a", True),
        ("metadata.name!=a", False),
        ("metadata.namespace=d,spec.nodeName==n1", True),
        ("spec.nodeName=", False),
        ("status.podIP=", True),
        ("spec.hostNetwork=true", True),
        ("spec.hostNetwork=false", False),
        ("status.phase!=Pending", True),
    ],
)
def test_fields(text: str, selected: bool) -> None:
    test = selector(POD, "", text)
    assert test is not None
    assert test(OBJECT) is selected


def test_a_flag_that_is_absent_is_false() -> None:
    test = selector(KINDS["Node"], "", "spec.unschedulable=false")
    assert test is not None
    assert test({"metadata": {"name": "n"}, "spec": {}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec.x=1", "field label not supported: spec.x"),
        ("name", "invalid selector: 'name'; can't understand 'name'"),
    ],
)
def test_fields_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ApiError) as error:
        selector(POD, "", text)
    assert error.value.message == message


def test_a_kind_that_has_no_fields_of_its_own() -> None:
    with pytest.raises(ApiError) as error:
        selector(KINDS["ConfigMap"], "", "spec.x=1")
    assert error.value.message == (
        '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é=1", 'key: Invalid value: "é": name part must consist of alphanumeric characters'),
        ("!é", 'key: Invalid value: "é": name part must consist of alphanumeric characters'),
        ("a=-", 'values[0][a]: Invalid value: "-": a valid label must be an empty string or'),
        ("a in (b,-)", 'values[1][a]: Invalid value: "-": a valid label must be an empty string'),
    ],
)
def test_what_no_label_can_be(text: str, expected: str) -> None:
    with pytest.raises(ApiError) as error:
        selector(POD, text, "")
    assert error.value.message.startswith(f"unable to parse requirement: {expected}")


def test_no_selector_selects_everything() -> None:
    assert selector(POD, "", "") is None


WORDS = st.sampled_from("abc")


@given(
    st.dictionaries(WORDS, WORDS),
    WORDS,
    st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")),
    st.lists(WORDS, min_size=1),
)
def test_the_two_ways_to_write_a_selector_agree(
    labels: dict[str, str], key: str, operator: str, values: list[str]
) -> None:
    listed = f"({','.join(values)})"
    text = {
        "In": f"{key} in {listed}",
        "NotIn": f"{key} notin {listed}",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }[operator]
    test = selector(POD, text, "")
    assert test is not None
    expression = {"key": key, "operator": operator, "values": values}
    wanted = selects({"matchExpressions": [expression]}, labels)
    assert test({"metadata": {"labels": labels}}) is wanted
