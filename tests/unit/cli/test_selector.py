"""Label selectors, as a table."""

import pytest

from secondhop.cli.selector import selector
from secondhop.errors import UsageError

LABELS = {"app": "web", "tier": "front", "k8s.io/zone": "a"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("env!=prod", True),
        ("k8s.io/zone=a", True),
        ("app in (web,api)", True),
        ("app in (api)", False),
        ("app notin (api, db)", True),
        ("env notin (prod)", True),
        ("app", True),
        ("env", False),
        ("!env", True),
        ("!app", False),
        ("app in (web),!env", True),
    ],
)
def test_a_selector_matches_as_kubectl_would(text: str, matches: bool) -> None:
    assert selector(text)(LABELS) is matches


@pytest.mark.parametrize("text", ["", "app=web,", "=web", "app in web", "app(", "a b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a label requirement"):
        selector(text)
