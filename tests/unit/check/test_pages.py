"""docs/findings: a page for each kind of finding, whose manifests do what it says."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from secondhop.check import CATALOGUE, check
from secondhop.manifests import examine, read_text
from secondhop.model.finding import Check
from secondhop.model.version import NEWEST, read_version

FOLDER = Path(__file__).parents[3] / "docs" / "findings"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "README")
FIXTURE = re.compile(r"^## (Fails|Passes)(?: with `([^`]*)`)?\n\n```yaml\n(.*?)```", re.M | re.S)
ALSO = re.compile(r"^Also found here: (.*)\.$", re.M)


class Fixture(NamedTuple):
    """A manifest of a page, and the options that go with it."""

    name: str
    options: dict[str, str]
    text: str

    def check(self) -> Check:
        version = self.options.get("--kube-version")
        examined = examine(
            read_text(self.text, "page.yaml"),
            kube_version=read_version(version) if version else NEWEST,
        )
        return check(examined, balancer=self.options.get("--balancer", "every-node"))


def fixtures(page: Path) -> dict[str, Fixture]:
    found = {}
    for name, options, text in FIXTURE.findall(page.read_text()):
        words = options.split()
        found[name] = Fixture(name, dict(zip(words[::2], words[1::2], strict=True)), text)
    return found


def also(page: Path) -> set[str]:
    said = ALSO.search(page.read_text())
    return set(re.findall(r"\[([a-z0-9-]+)\]", said[1])) if said else set()


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    assert {page.stem for page in PAGES} == set(CATALOGUE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_first_manifest_fails_and_the_second_passes(page: Path) -> None:
    found = fixtures(page)
    failing, passing = found["Fails"].check(), found["Passes"].check()
    ids = {finding.id for finding in failing.findings}
    assert page.stem in ids
    assert ids - {page.stem} <= also(page)
    assert {finding.id for finding in passing.findings} <= also(page) - {page.stem}
    for finding in failing.findings:
        assert finding.remedy
        assert finding.where is not None
        assert 0 < finding.where.line <= found["Fails"].text.count("\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_the_catalogue_says(page: Path) -> None:
    kind = CATALOGUE[page.stem]
    head = f"# {kind.id}\n\n**{kind.title}.** {kind.why} ({kind.severity})\n"
    assert page.read_text().startswith(head)
    assert re.search(r"^## Remedy$", page.read_text(), re.M)
    row = f"| [{kind.id}]({kind.id}.md) | {kind.severity} | {kind.title} |\n"
    assert row in (FOLDER / "README.md").read_text()
