"""The text of a manifest with its misplaced fields at home, and all else as it was.

What is to be moved is what `misplaced` found; of a file's documents only those change that have
such a field. YAML keeps its comments, order and style (`layout`), JSON its indentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from . import layout, yamltext
from .misplaced import Survey
from .objects import examined
from .problems import Path, Problems, dotted, origin
from .read import Document, read_text
from .resource import EMPTY, Resource, child, dig

_BOM = "\ufeff"


class _Patient(NamedTuple):
    """An object with fields to be moved."""

    resource: Resource
    survey: Survey

    @property
    def document(self) -> Document:
        return self.resource.document

    @property
    def place(self) -> tuple[int | None, int]:
        """The same for all objects of one document."""
        return self.document.source.begin, self.document.number


def mended_text(text: str, name: str) -> str:
    """The text with every misplaced field moved to its home, with the comments that belong to it.

    name: of its file, for messages. A text in which nothing is misplaced comes back as it is; so do
    unknown fields, wrong values, and fields whose home has a value already. Raises ManifestError if
    the text cannot be read, or a field cannot be moved as it is written.
    """
    if text.startswith(_BOM):
        return _BOM + mended_text(text.removeprefix(_BOM), name)
    problems = Problems()
    found = (examined(document, "default", problems) for document in read_text(text, name))
    patients = [_Patient(*one) for one in found if one and (one[1].certain or one[1].dissolved)]
    in_yaml = any(patient.document.source.begin is None for patient in patients)
    spans = list(layout.spans(text)) if in_yaml else []
    done, at = "", 0
    for (begin, number), group in groupby(patients, lambda patient: patient.place):
        together = list(group)
        if begin is None:
            begin, end = spans[number]
            new = _mended_yaml(text[begin:end], together)
        else:
            end = begin + len(together[0].document.source.text)
            new = _mended_json(text[begin:end], together)
        done += text[at:begin] + new
        at = end
    problems.settle()
    return done + text[at:]


def _mended_json(text: str, patients: list[_Patient]) -> str:
    """A JSON value with its objects mended, indented as it was."""
    data = json.loads(text)
    for patient in patients:
        _rearrange(dig(data, patient.document.base), patient.survey)
    if data == json.loads(text):
        return text
    indent = re.match(r"{[ \t]*\r?\n([ \t]*)", text)
    colon = re.match(r'{\s*"(?:[^"\\]|\\.)*"\s*(: ?)', text)
    space = " " if colon and colon[1] == ": " else ""
    new = json.dumps(
        data,
        indent=indent[1] if indent else None,
        separators=("," if indent else f",{space}", f":{space}"),
        ensure_ascii=text.isascii(),
    )
    return new.replace("\n", "\r\n") if "\r\n" in text else new


def _mended_yaml(body: str, patients: list[_Patient]) -> str:
    """A YAML document with its objects mended; a problem, and as it was, if that cannot be done."""
    text = body.replace("\r\n", "\n")
    text += "" if text.endswith("\n") else "\n"
    wanted = _plain(_value(text))
    patient = patients[0]
    try:
        root = layout.parse(text, {path for patient in patients for path in _touched(patient)})
        for patient in patients:
            _rearrange(dig(wanted, patient.document.base), patient.survey)
            _rearrange(dig(root, patient.document.base), patient.survey)
        if wanted == _value(text):
            return body
        new = layout.written(root)
        if _value(new) != wanted:
            raise layout.Unmovable("what it would mean then is something else")
    except (layout.Unmovable, yamltext.YamlTrouble) as trouble:
        patient.resource.refuse((), f"cannot be mended: {trouble}", "Mend this object by hand.")
        return body
    new = new if body.endswith("\n") else new.removesuffix("\n")
    return new.replace("\n", "\r\n") if "\r\n" in body else new


def _value(text: str) -> Any:
    """What a YAML document means."""
    ((_, value),) = yamltext.load(text)
    return value


def _plain(value: Any) -> Any:
    """A copy in which nothing is shared, as what aliases stand for is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _touched(patient: _Patient) -> Iterator[Path]:
    """The paths, as written, of what fields are taken from or put into, and of all around them."""
    survey, base = patient.survey, patient.document.base
    whole = [stands[:-1] for _, stands in survey.certain] + [path[:-1] for path in survey.dissolved]
    for home, _ in survey.certain:
        whole += [origin(home[:n], survey.moved) for n in range(len(home))]
    for path in whole:
        full = (*base, *path)
        yield from (full[:n] for n in range(len(full) + 1))


def _rearrange(tree: Any, survey: Survey) -> None:
    """Move what a survey found to its home, within an object of plain data or of Blocks.

    Both ends may be in something that is itself moved: where fields were written is looked up
    first, where they belong when it is their turn.
    """
    written = [stands for _, stands in survey.certain] + list(survey.dissolved)
    holders = {stands: dig(tree, stands[:-1]) for stands in written}
    for stands, holder in holders.items():
        if not isinstance(holder, dict) or stands[-1] not in holder:
            raise _unreachable(stands)
    for home, stands in survey.certain:
        holder, name, at = holders[stands], stands[-1], tree
        for part, following in pairwise(home):
            at = child(at, part, [] if isinstance(following, int) else {})
        if not isinstance(at, dict):
            raise _unreachable(stands)
        if at is not holder and at.get(name) in EMPTY:
            at[name] = holder.pop(name)
    for stands in sorted(survey.dissolved, key=len, reverse=True):
        if holders[stands][stands[-1]] in EMPTY:
            del holders[stands][stands[-1]]


def _unreachable(stands: Path) -> layout.Unmovable:
    return layout.Unmovable(
        f"{dotted(stands)}, or its home, is there only through an alias or a merge"
    )
