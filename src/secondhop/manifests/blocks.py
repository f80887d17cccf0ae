"""A YAML document as blocks of lines that can be taken from one mapping and put into another.

Every key of a block mapping, and every item of a block list, is a Block that owns its lines: the
comments above it, its own, and the comments below it that are indented deeper. Blocks are dicts and
lists of Blocks, so that what works on plain data works on them. What stays is written as it was
read, byte for byte; what is moved keeps everything but its indentation.
"""

from __future__ import annotations

from typing import Any

STEP = 2
"""Columns that a new mapping is indented by."""


class Block:
    """A key or an item with its value.

    head: the lines above that belong to it. text: from its first character to its colon or dash,
    or, of a Leaf, to the end of its value. blank: what follows when it is empty. note: the rest of
    that line; without a line's end, the first child goes on in it. tail: the deeper comments below.
    column: where text stands; inner: where its children stand. Lines have the indentation that
    belongs to that column.
    """

    blank = ""

    def __init__(self, text: str, column: int, inner: int, note: str) -> None:
        self.text, self.column, self.inner, self.note = text, column, inner, note
        self.head = self.tail = ""

    def remarks(self, column: int) -> str:
        """Its comments, as lines to stand at a column."""
        note = self.note.strip()
        lines = self.head + (f"{' ' * self.column}{note}\n" if note else "") + self.tail
        return _shifted(lines, column - self.column)

    def children(self) -> list[Block]:
        """The Blocks in it."""
        return []

    def written(self, column: int, inline: bool = False) -> str:
        """Its lines, moved to a column. inline: it goes on in its parent's line."""
        delta = column - self.column
        begin = "" if inline else _shifted(self.head, delta) + " " * column
        begin += _shifted(self.text, delta, 1)
        end = _shifted(self.tail, delta)
        children = self.children()
        if not children:
            return begin + self.blank + (self.note.rstrip(" ") or self.end()) + end
        inline = not self.note.endswith("\n") and not children[0].head
        note = self.note if inline or self.note.endswith("\n") else "\n"
        return begin + note + self.inside(self.inner + delta, inline) + end

    def end(self) -> str:
        """What ends its line if its note does not."""
        return "\n"

    def inside(self, column: int, inline: bool = False) -> str:
        """The lines of its children."""
        return "".join(
            child.written(column, inline and not n) for n, child in enumerate(self.children())
        )


class Leaf(Block):
    """A Block whose value is not looked into."""

    def end(self) -> str:
        """Text that ends with a line's end, as a block scalar's does, needs no other."""
        return "" if self.text.endswith("\n") else "\n"


class Mapping(Block, dict[Any, Block]):
    """A Block with fields."""

    blank = " {}"

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set a field to a Block, or to a new and empty one; the comments of the old stay."""
        old = self.get(key)
        if not isinstance(value, Block):
            kind, inner = (Sequence, 0) if isinstance(value, list) else (Mapping, STEP)
            value = kind(f"{key}:", self.inner, self.inner + inner, "\n")
            if old is not None:
                value.text, value.note = old.text, old.note
                value.head, value.tail = old.head, old.tail
        elif old is not None:
            value.head = old.remarks(value.column) + value.head
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        """Remove a field; its comments stay."""
        self.tail = self.pop(key).remarks(self.inner) + self.tail

    def children(self) -> list[Block]:
        """See Block."""
        return list(self.values())


class Sequence(Block, list[Block]):
    """A Block with items."""

    blank = " []"

    def append(self, value: Any) -> None:
        """One more item, an empty mapping."""
        super().append(Mapping("-", self.inner, self.inner + STEP, " "))

    def children(self) -> list[Block]:
        """See Block."""
        return list(self)


def _shifted(lines: str, delta: int, skip: int = 0) -> str:
    """Lines moved to the right, or to the left as far as they can be, but the first `skip`."""
    if not delta:
        return lines
    moved = lines.split("\n")
    for n, line in enumerate(moved[skip:], skip):
        if line:
            room = len(line) - len(line.lstrip(" "))
            moved[n] = " " * delta + line if delta > 0 else line[min(room, -delta) :]
    return "\n".join(moved)
