"""YAML text to Blocks: which lines belong to which field.

A comment belongs to the key below it; to the field above it, if it is indented deeper than that
field's key. Comments at the end of a mapping therefore belong to the mapping; those at the head of
a document, up to a blank line, to the document.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from . import yamltext
from .blocks import STEP, Block, Leaf, Mapping, Sequence
from .problems import Path

_REST = re.compile(r"[ \t]*(?:#[^\n]*)?\r?\n")
_GAP = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*")
_BLANKS = re.compile(r"[ \t]*")
_COLON = re.compile(r"[ \t]*:")
_PROPERTIES = re.compile(r"(?:[ \t]+[&!]\S*)*")
_EMPTY = re.compile(r"\{\s*\}|\[\s*\]")


class Unmovable(Exception):
    """The text is written in a way that its fields cannot be moved; the message says in which."""


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each document of a stream begins and ends, its markers and directives left out."""
    import yaml

    begin = 0
    for event in yamltext.events(text):
        first, last = event.start_mark, event.end_mark
        if isinstance(event, yaml.DocumentStartEvent):
            begin = last.index if event.explicit else 0
            if begin and (rest := _REST.match(text, begin)):
                begin = rest.end()
        elif isinstance(event, yaml.DocumentEndEvent):
            yield begin, first.index


def parse(text: str, opened: Collection[Path]) -> Block:
    """The root of a document that is a mapping.

    text: without its markers, with \\n at the end of every line. opened: paths of collections to
    be made Blocks even if they are in brackets. Raises Unmovable.
    """
    return _Reader(text, opened).root()


def written(root: Block) -> str:
    """The text of a document."""
    return root.head + root.inside(root.inner) + root.tail


class _Reader:
    """Makes Blocks of the parser's events. at: where the text begins that no Block has yet."""

    def __init__(self, text: str, opened: Collection[Path]) -> None:
        import yaml

        self.yaml = yaml
        self.text, self.opened = text, opened
        self.events = yamltext.events(text)
        self.at = 0

    def root(self) -> Block:
        start: Any = next(e for e in self.events if isinstance(e, self.yaml.CollectionStartEvent))
        block: Block = Mapping("", 0, 0, "\n")
        if start.flow_style:
            head = self.text[: start.start_mark.index]
            block = self.bracketed("", start, 0, ())
            block.head = head if head.endswith("\n") or not head else "\n"
            block.inner = 0
        else:
            self.fill(block, ())
            first = block.children()[0]
            head, gap, first.head = first.head.rpartition("\n\n")
            block.head = head + gap
        block.tail += self.text[self.at :]
        return block

    # What is written in lines.

    def fill(self, block: Block, path: Path) -> None:
        """Read the fields or items of a collection."""
        if isinstance(block, Sequence):
            while not self.ends(event := next(self.events)):
                list.append(block, self.item(event, (*path, len(block))))
        elif isinstance(block, Mapping):
            while not self.ends(key := next(self.events)):
                name = self.name(key)
                dict.__setitem__(block, name, self.field(key, (*path, name)))
        for child in block.children()[:1]:
            block.inner = child.column

    def field(self, key: Any, path: Path) -> Block:
        colon = _COLON.match(self.text, key.end_mark.index)
        if colon is None:
            raise Unmovable(f"line {key.start_mark.line + 1} of it is not written as `key: value`")
        return self.line(key.start_mark.index, colon.end(), next(self.events), path)

    def item(self, event: Any, path: Path) -> Block:
        gap = _GAP.match(self.text, self.at)
        dash = gap.end() if gap else self.at
        return self.line(dash, dash + 1, event, path)

    def line(self, start: int, stop: int, event: Any, path: Path) -> Block:
        """The Block from `start` on, whose colon or dash ends at `stop`, and its value's event."""
        margin = self.text.rfind("\n", 0, start) + 1
        column = start - margin
        head = self.text[self.at : margin]
        block: Block
        if self.is_open(event, path):
            block = self.bracketed(self.text[start:stop], event, column, path)
        elif getattr(event, "flow_style", True):
            block = self.leaf(start, stop, event, column)
        else:
            if event.anchor or event.tag:
                stop = self.match(_PROPERTIES, stop)
            self.at = self.match(_REST, stop) or self.match(_BLANKS, stop)
            kind = self.kind(event)
            block = kind(self.text[start:stop], column, column, self.text[stop : self.at])
            self.fill(block, path)
        block.head = head
        block.tail += self.deeper(column)
        return block

    def leaf(self, start: int, stop: int, event: Any, column: int) -> Block:
        end = max(self.end(event), stop)
        ended = end > stop and self.text[end - 1] == "\n"
        self.at = end if ended else self.match(_REST, end)
        if not self.at:
            raise Unmovable(f"line {event.start_mark.line + 1} of it ends in an unusual way")
        note = self.text[end : self.at]
        if kind := self.empty(event, self.text[event.start_mark.index : end]):
            block = kind(self.text[start:stop], column, column + STEP, note)
            block.blank = self.text[stop:end]
            return block
        return Leaf(self.text[start:end], column, column, note)

    def deeper(self, column: int) -> str:
        """The comments that follow and are indented deeper than a column."""
        begin = at = self.at
        while (end := self.match(_REST, at)) > at:
            blanks = self.match(_BLANKS, at)
            if self.text[blanks] == "#":
                if blanks - at <= column:
                    break
                self.at = end
            at = end
        return self.text[begin : self.at]

    # What is written in brackets: it becomes lines.

    def bracketed(self, prefix: str, start: Any, column: int, path: Path) -> Block:
        """The Block of an opened collection, and the comment behind its bracket."""
        block = self.opening(prefix, start, column, path)
        if end := self.match(_REST, self.at):
            self.behind(block, self.text[self.at : end].strip())
            self.at = end
        return block

    def opening(self, prefix: str, start: Any, column: int, path: Path) -> Block:
        begin, self.at = start.start_mark.index, start.end_mark.index
        text = f"{prefix} {self.text[begin : self.at - 1]}".rstrip()
        kind = self.kind(start)
        deeper = kind is Mapping or prefix == "-"
        note = " " if prefix == "-" else "\n"
        block = kind(text, column, column + STEP * deeper, note)
        last = None
        while not self.ends(event := next(self.events)):
            head = self.between(event.start_mark.index, block.inner, last)
            if isinstance(block, Mapping):
                name, begin = self.name(event), event.start_mark.index
                self.at = event.end_mark.index
                prefix = f"{self.text[begin : self.at]}:"
                event = next(self.events)
                head += self.between(event.start_mark.index, block.inner, None)
                last = self.inside(prefix, event, block.inner, (*path, name))
                dict.__setitem__(block, name, last)
            elif isinstance(block, Sequence):
                last = self.inside("-", event, block.inner, (*path, len(block)))
                list.append(block, last)
            if last is not None:
                last.head = head
        block.tail = self.between(event.start_mark.index, block.inner, last)
        self.at = event.end_mark.index
        return block

    def inside(self, prefix: str, event: Any, column: int, path: Path) -> Block:
        """A field or an item within brackets."""
        if self.is_open(event, path):
            return self.opening(prefix, event, column, path)
        begin, self.at = event.start_mark.index, self.end(event)
        value = self.text[begin : self.at]
        text = re.sub(r"\n[ \t]*(?=\S)", "\n" + " " * (column + STEP), f" {value}" if value else "")
        if kind := self.empty(event, value):
            block = kind(prefix, column, column + STEP, "\n")
            block.blank = text
            return block
        return Leaf(prefix + text, column, column, "\n")

    def between(self, until: int, column: int, last: Block | None) -> str:
        """The comments up to a position, as lines at a column; one that begins in the line of the
        last Block is that one's."""
        first, *others = self.text[self.at : until].split("\n")
        self.at = until
        if last is not None and "#" in first:
            self.behind(last, first[first.index("#") :])
            first = ""
        found = [line[line.index("#") :] for line in (first, *others) if "#" in line]
        return "".join(f"{' ' * column}{comment}\n" for comment in found)

    def behind(self, block: Block, comment: str) -> None:
        """Give a Block the comment that stands behind its value."""
        if comment and block.note == "\n":
            block.note = f"  {comment}\n"
        elif comment:
            block.tail += f"{' ' * block.inner}{comment}\n"

    # Small questions about events and text.

    def match(self, pattern: re.Pattern[str], at: int) -> int:
        """Where the match of a pattern at a position ends; 0 if there is none."""
        found = pattern.match(self.text, at)
        return found.end() if found else 0

    def is_open(self, event: Any, path: Path) -> bool:
        return bool(getattr(event, "flow_style", False)) and path in self.opened

    def ends(self, event: Any) -> bool:
        return isinstance(event, self.yaml.CollectionEndEvent)

    def kind(self, start: Any) -> type[Mapping] | type[Sequence]:
        return Mapping if isinstance(start, self.yaml.MappingStartEvent) else Sequence

    def name(self, key: Any) -> Any:
        """The key itself; for a merge or an alias, something equal to nothing else."""
        if not isinstance(key, self.yaml.ScalarEvent) or key.value == "<<":
            return object()
        return yamltext.scalar(key)

    def end(self, event: Any) -> int:
        """Where the value ends that begins with this event, all its events taken."""
        depth = 0
        while True:
            depth += isinstance(event, self.yaml.CollectionStartEvent) - self.ends(event)
            if not depth:
                return int(event.end_mark.index)
            event = next(self.events)

    def empty(self, event: Any, value: str) -> type[Mapping] | type[Sequence] | None:
        """What stands for a value if that is null, {} or []."""
        if isinstance(event, self.yaml.ScalarEvent):
            return Mapping if yamltext.scalar(event) is None else None
        return self.kind(event) if _EMPTY.fullmatch(value) else None
