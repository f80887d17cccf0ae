"""Files and text to Documents: plain objects that remember where they stand.

JSON is tried first, so that PyYAML is imported only for YAML, and for the line of a mistake.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TextIO

from .collector import uncollected
from .problems import Path, Problems, origin

_SUFFIXES = (".yaml", ".yml", ".json")
_NOTHING_CAME = "Nothing came in on stdin: look at what the command before the pipe says."
_SEVERAL = "Several objects are separated by `---` lines, or stand under `items` of a `kind: List`."
_A_TABLE = "If it is what kubectl prints, add `-o yaml` to that command."


class Source:
    """A text that holds documents: of YAML a file's, of JSON one value's.

    first: the line (from 1) where it begins in its file. begin: of JSON, the character (from 0).
    """

    def __init__(self, name: str, text: str, first: int = 1, begin: int | None = None) -> None:
        self.name, self.text, self.first, self.begin = name, text, first, begin

    @cached_property
    def lines(self) -> list[Any]:
        """The lines of its documents; empty when YAML's parser cannot read the text (odd JSON)."""
        from . import yamltext

        try:
            return yamltext.lines(self.text)
        except Exception:
            return []


class Document(NamedTuple):
    """One object of the input: plain data, and where it stands.

    number: of the YAML document in its source. base: path inside that document, for the items of
    a List. start: line of the document. moved: (home, where written) of fields that were put at
    home after reading.
    """

    object: dict[str, Any]
    source: Source
    number: int = 0
    base: Path = ()
    start: int = 1
    moved: tuple[tuple[Path, Path], ...] = ()

    def line(self, path: Path = ()) -> int:
        """The line (from 1) of a field, or of its nearest ancestor that exists."""
        if self.number >= len(self.source.lines):
            return self.start
        place = self.source.lines[self.number]
        line = place.line
        for part in (*self.base, *origin(path, self.moved)):
            if part not in place.fields:
                break
            place = place.fields[part]
            line = place.line
        return int(line) + self.source.first - 1


@uncollected
def read_files(paths: Sequence[str], stdin: TextIO | None = None) -> list[Document]:
    """The documents of files, of directories (their *.yaml, *.yml, *.json, not nested) and of
    stdin (`-`), in that order; ManifestError with everything that could not be read, or if all of
    them hold no object."""
    problems = Problems()
    documents = [
        document
        for name, text in _texts(paths, stdin, problems)
        for document in _parse(text, name, problems)
    ]
    problems.settle()
    if not documents:
        for path in paths:
            remedy = _NOTHING_CAME if path == "-" else "Give it a Service, say."
            problems.add(path, 0, "input", "", "holds no object", remedy)
        problems.settle()
    return documents


def read_texts(paths: Sequence[str], stdin: TextIO | None = None) -> list[tuple[str, str]]:
    """(name, text) of the same files, not parsed. Raises ManifestError."""
    problems = Problems()
    texts = list(_texts(paths, stdin, problems))
    problems.settle()
    return texts


def _texts(
    paths: Sequence[str], stdin: TextIO | None, problems: Problems
) -> Iterator[tuple[str, str]]:
    for name in (file for path in paths for file in _files(path, problems)):
        text = _text(name, stdin, problems)
        if text is not None:
            yield name, text


@uncollected
def read_text(text: str, name: str) -> list[Document]:
    """The documents of a text; `name` stands for its file in messages. Raises ManifestError."""
    problems = Problems()
    documents = _parse(text, name, problems)
    problems.settle()
    return documents


def _files(path: str, problems: Problems) -> list[str]:
    if path == "-" or not os.path.isdir(path):
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(_SUFFIXES))
    except OSError as error:
        said = f"cannot be read: {error.strerror}"
        problems.add(path, 0, "directory", "", said, "Check its permissions.")
        return []
    if not names:
        problems.add(
            path,
            0,
            "directory",
            "",
            "holds no *.yaml, *.yml or *.json file",
            "Name a file instead.",
        )
    return [os.path.join(path, name) for name in names]


def _text(name: str, stdin: TextIO | None, problems: Problems) -> str | None:
    """The text of a file or of stdin; None, and a problem, when it cannot be had."""
    try:
        if name == "-":
            if stdin is None:
                problems.add(name, 0, "stdin", "", "is not connected", "Name a file instead.")
                return None
            return stdin.read().removeprefix("\ufeff")
        with open(name, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        problems.add(
            name,
            0,
            "file" if name != "-" else "stdin",
            "",
            f"is not UTF-8 text (byte {error.start})",
            "Save it as UTF-8 (PowerShell: `| Out-File -Encoding utf8`).",
        )
    except OSError as error:
        problems.add(
            name,
            0,
            "file",
            "",
            f"cannot be read: {error.strerror or error}",
            f"Fetch it first: `curl -L {name} | secondhop … -f -`."
            if name.startswith(("http://", "https://"))
            else "Check the path given to -f; `-` reads stdin.",
        )
    return None


def _parse(text: str, name: str, problems: Problems) -> list[Document]:
    whole = [] if text.lstrip()[:1] not in ("{", "[") else _json(text, name)
    if not whole:
        whole = _yaml(text, name, problems)
    return [item for document in whole for item in _flat(document, problems)]


def _json(text: str, name: str) -> list[Document]:
    """The JSON values of a text, one after the other, `---` lines between them allowed.

    Empty when the text is not sound JSON: YAML's parser then names the line of the mistake.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    documents = []
    at, line = 0, 1
    try:
        while (begin := _next_value(text, at)) is not None:
            line += text.count("\n", at, begin)
            value, at = decoder.raw_decode(text, begin)
            source = Source(name, text[begin:at], line, begin)
            documents.append(Document(value, source, start=line))
            line += text.count("\n", begin, at)
    except (ValueError, RecursionError):
        return []
    return documents


def _next_value(text: str, at: int) -> int | None:
    """Where the next JSON value begins; None at the end."""
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text.startswith("---", at):
            at += 3
        else:
            return at
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key")
    return mapping


def _yaml(text: str, name: str, problems: Problems) -> list[Document]:
    """The YAML documents of a text that are not empty; a problem ends the file."""
    from . import yamltext

    source = Source(name, text)
    documents = []
    try:
        for number, (line, value) in enumerate(yamltext.load(text)):
            if value is not None:
                documents.append(Document(value, source, number, start=line))
    except yamltext.YamlTrouble as trouble:
        problems.add(name, trouble.line, "document", "", trouble.message, trouble.remedy)
    return documents


def _flat(document: Document, problems: Problems) -> Iterator[Document]:
    """The document itself, or the items of a List, however deep."""
    value = document.object
    if not isinstance(value, dict):
        _refuse(document, problems)
        return
    kind, items = value.get("kind"), value.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield document
        return
    for n, item in enumerate(items):
        base = (*document.base, "items", n)
        yield from _flat(
            Document(item, document.source, document.number, base, document.start), problems
        )


def _refuse(document: Document, problems: Problems) -> None:
    kind = "a list" if isinstance(document.object, list) else "plain text or a number"
    printed = isinstance(document.object, str) and document.source.name == "-"
    problems.add(
        document.source.name,
        document.line(),
        "document",
        "",
        f"must be a mapping with apiVersion and kind, is {kind}",
        _A_TABLE if printed else _SEVERAL,
    )
