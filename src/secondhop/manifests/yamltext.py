"""YAML text to plain data at the speed of the C parser, and the line of every field.

Scalars are read as kubectl reads them (YAML 1.1: `yes`, `on` are booleans, timestamps are text)
with two exceptions: sexagesimals are text, and integers that are not written in plain decimal
(`010`, `0o17`, `1_000`) are `OddInt`, so that a field that needs a number can refuse them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

DEPTH = 200
"""Levels of nesting allowed; Kubernetes' deepest objects have about sixty."""
EXPANDED = 2_000_000
"""Values that a document's aliases may add, all counted: a bomb has more."""


class YamlTrouble(Exception):
    """The text cannot be read: what is wrong, at which line (from 1), and the remedy."""

    def __init__(self, line: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.line, self.message, self.remedy = line, message, remedy


class OddInt(int):
    """An integer not written in plain decimal; `written` is its text."""

    written: str


class Lines(NamedTuple):
    """Where a value begins, and the same for its fields: the line of a key, of a list's item."""

    line: int
    fields: dict[Any, Lines]


def load(text: str) -> Iterator[tuple[int, Any]]:
    """(first line, value) of each document of a stream; raises YamlTrouble."""
    import yaml

    try:
        for document in _documents(text):
            event = document.next()
            yield event.start_mark.line + 1, document.value(event)
    except (yaml.YAMLError, UnicodeError) as error:
        raise _trouble(error, text) from None


def lines(text: str) -> list[Lines]:
    """The lines of each document of a stream that `load` could read."""
    return [document.lines(document.next()) for document in _documents(text)]


def events(text: str) -> Iterator[Any]:
    """Every event of a stream that `load` could read, as PyYAML's parser tells them."""
    parser = _parser(text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _documents(text: str) -> Iterator[_Document]:
    import yaml

    parser = _parser(text)
    try:
        while not isinstance(event := parser.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                yield _Document(parser)
    finally:
        parser.dispose()


def _parser(text: str) -> Any:
    import yaml

    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else yaml.SafeLoader(text)


class _Document:
    """Builds one document from the parser's events, depth first."""

    def __init__(self, parser: Any) -> None:
        import yaml

        self._yaml = yaml
        self.next = parser.get_event
        self._anchors: dict[str, Any] = {}
        self._weights: dict[str, int] = {}
        self._count = 0
        self._depth = 0

    def value(self, event: Any) -> Any:
        """The plain data that begins with this event."""
        yaml = self._yaml
        kind = type(event)
        self._count += 1
        if kind is yaml.ScalarEvent:
            value = scalar(event)
            if event.anchor:
                self._anchors[event.anchor], self._weights[event.anchor] = value, 1
            return value
        if kind is yaml.AliasEvent:
            return self._alias(event)
        before = self._count
        self._enter(event)
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        value = self._mapping(event) if kind is yaml.MappingStartEvent else self._sequence()
        self._depth -= 1
        if event.anchor:
            self._anchors[event.anchor] = value
            self._weights[event.anchor] = self._count - before + 1
        return value

    def lines(self, event: Any) -> Lines:
        """The lines of the value that begins with this event."""
        yaml = self._yaml
        line = event.start_mark.line + 1
        fields: dict[Any, Lines] = {}
        if type(event) is yaml.SequenceStartEvent:
            while type(item := self.next()) is not yaml.SequenceEndEvent:
                fields[len(fields)] = self.lines(item)
        elif type(event) is yaml.MappingStartEvent:
            while type(key := self.next()) is not yaml.MappingEndEvent:
                name = scalar(key) if type(key) is yaml.ScalarEvent else self.lines(key).line
                fields[name] = self.lines(self.next())._replace(line=key.start_mark.line + 1)
        return Lines(line, fields)

    def _enter(self, event: Any) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise YamlTrouble(
                event.start_mark.line + 1,
                f"nested more than {DEPTH} levels deep",
                "Kubernetes objects are flatter: look for runaway indentation or brackets.",
            )

    def _alias(self, event: Any) -> Any:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            raise YamlTrouble(
                line,
                f"alias *{event.anchor} has no anchor before it, or stands inside it",
                f"Define &{event.anchor} above this line.",
            )
        self._count += self._weights[event.anchor]
        if self._count > EXPANDED:
            raise YamlTrouble(
                line,
                f"aliases expand to more than {EXPANDED:,} values",
                "Write the values out, or split the file.",
            )
        return self._anchors[event.anchor]

    def _sequence(self) -> list[Any]:
        end = self._yaml.SequenceEndEvent
        items = []
        while type(event := self.next()) is not end:
            items.append(self.value(event))
        return items

    def _mapping(self, start: Any) -> dict[Any, Any]:
        end = self._yaml.MappingEndEvent
        mapping: dict[Any, Any] = {}
        seen: dict[Any, int] = {}
        merged: list[Any] = []
        while type(event := self.next()) is not end:
            key, line = self.value(event), event.start_mark.line + 1
            value = self.value(self.next())
            if key == "<<" and event.implicit[0]:
                merged += value if isinstance(value, list) else [value]
                continue
            if isinstance(key, (dict, list)):
                raise YamlTrouble(
                    line,
                    "a key is a collection",
                    "Keys are plain text; a template with `{{ }}` must be rendered first.",
                )
            if key in seen:
                raise _duplicate(key, seen[key], line)
            seen[key], mapping[key] = line, value
        for other in merged:
            if not isinstance(other, dict):
                raise YamlTrouble(
                    start.start_mark.line + 1,
                    "<< merges something that is not a mapping",
                    "Merge an anchored mapping: `<<: *name`.",
                )
            mapping = {**other, **mapping}
        return mapping


def _duplicate(key: Any, first: int, second: int) -> YamlTrouble:
    return YamlTrouble(
        second,
        f"key {key!r} occurs twice in one mapping, at lines {first} and {second}",
        "Keep one of the two; if both are meant, one of them stands at the wrong indentation.",
    )


_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form(word): True for word in ("true", "yes", "on") for form in (str, str.title, str.upper)},
    **{
        form(word): False for word in ("false", "no", "off") for form in (str, str.title, str.upper)
    },
}
_NUMBER = re.compile(
    r"(?P<decimal>[-+]?(?:0|[1-9][0-9]{0,40}))"
    r"|(?P<odd>[-+]?(?:0o?[0-7]{1,40}|0x[0-9a-fA-F]{1,40}|0b[01]{1,80}|[1-9][0-9]{0,20}(?:_[0-9]+){1,9}))"
    r"|[-+]?(?:\.[0-9]+|[0-9]{1,40}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,9})?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def scalar(event: Any) -> Any:
    """A scalar's value: by its tag if it has one, as text if quoted, else by its looks."""
    text: str = event.value
    if event.tag is None or event.tag == "!":
        return plain(text) if event.implicit[0] and event.tag is None else text
    tag = event.tag.removeprefix("tag:yaml.org,2002:")
    if tag in ("str", "binary", "timestamp"):
        return text
    if tag in ("int", "float", "bool", "null"):
        return plain(text)
    raise YamlTrouble(
        event.start_mark.line + 1,
        f"tag {event.tag} is not known to Kubernetes",
        "Remove the tag.",
    )


def plain(text: str) -> Any:
    """What an unquoted scalar means."""
    if len(text) <= 5 and text in _WORDS:
        return _WORDS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    number = _NUMBER.fullmatch(text)
    if number is None or (text[0] == "0" and text.isdigit() and not number.lastgroup):
        return text
    if number.lastgroup == "decimal":
        return int(text)
    if number.lastgroup == "odd":
        return _odd(text)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _odd(text: str) -> OddInt:
    digits = text.lstrip("+-")
    octal = digits[0] == "0" and digits[1].isdigit()
    value = OddInt(int(digits, 8) if octal else int(digits, 0))
    if text[0] == "-":
        value = OddInt(-value)
    value.written = text
    return value


def _trouble(error: Any, text: str) -> YamlTrouble:
    """PyYAML's error in our words."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    context = getattr(error, "context", None)
    line = mark.line if mark else text.count("\n", 0, getattr(error, "position", 0) or 0)
    whole = text.splitlines() or [""]
    line = min(line, len(whole) - 1)
    remedy = "Look at this line and the one above it: indentation, colons, quotes."
    if "\t" in whole[line]:
        remedy = "This line holds a tab: indent with spaces."
    return YamlTrouble(line + 1, f"{context}: {problem}" if context else str(problem), remedy)
