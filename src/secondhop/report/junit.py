"""A check as JUnit XML: a suite for each file, a case for each requirement and finding.

An error and a requirement that does not hold are failures; warnings and notes are cases that pass
and say what they have to say in their output. CI systems show failures only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..model.finding import Check, Finding, Requirement, Where

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def report(found: Check) -> str:
    """The whole document."""
    root = Element("testsuites", name="secondhop check")
    told: list[Requirement | Finding] = [*found.requirements, *found.findings]
    files = dict.fromkeys([*found.files, *(_file(one.where) for one in told)])
    for file in files:
        _suite(root, file, [one for one in told if _file(one.where) == file])
    for count in "tests", "failures", "errors":
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True)


def _file(where: Where | None) -> str:
    return where.file if where else "requirements"


def _suite(root: Element, file: str, told: Iterable[Requirement | Finding]) -> None:
    suite = SubElement(root, "testsuite", name=_clean(file), errors="0", skipped="0", time="0")
    for one in told:
        if isinstance(one, Requirement):
            case = _case(suite, one.subject, one.asked, one.where)
            failed, text = not one.met, one.why
            kind = f"{one.holds}"
        else:
            case = _case(suite, one.subject, f"{one.id} {one.field}".rstrip(), one.where)
            failed, text = one.severity == "error", f"{one.message}\nRemedy: {one.remedy}"
            kind = one.id
        if failed:
            failure = SubElement(case, "failure", message=_clean(text.split("\n")[0]), type=kind)
            failure.text = _clean(f"{one.where or file}: {one.subject}: {text}")
        else:
            SubElement(case, "system-out").text = _clean(text)
    if not len(suite):
        _case(suite, file, "nothing found", Where(file, 0))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))


def _case(suite: Element, subject: str, name: str, where: Where | None) -> Element:
    case = SubElement(suite, "testcase", classname=_clean(subject), name=_clean(name), time="0")
    if where is not None:
        case.set("file", _clean(where.file))
        if where.line:
            case.set("line", str(where.line))
    return case


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
