"""Fields at the wrong place: all of them in one pass, each with its right home.

An object is compared with the schema of its kind. What is not known where it stands is taken out
and, once the rest is in place, put where the schema knows its name; of several homes the one whose
shape fits, that is vacant, required, has the fewest missing parents, and is nearest. What is inside
such a field is then looked at as part of its new home, so that nested mistakes are found too.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any, NamedTuple

from .homes import Home, best, elsewhere, homes, label_home
from .mismatch import mismatch
from .problems import Path, dotted, near, origin, shown
from .resource import EMPTY, child, dig
from .schema import KINDS, kind_inside
from .shapes import TEXT, ListOf, MapOf, Scalar, Shape, Struct


class Finding(NamedTuple):
    """One mistake: where it stands in the object as written, what it is, and the remedy."""

    path: Path
    message: str
    remedy: str
    id: str = "invalid-value"


class Survey(NamedTuple):
    """The mistakes of an object, in the order found; the object with its fields at home, (home,
    where written) of those; of these the ones that are no guess at a misspelt name; and where a
    level was written whose entries went elsewhere one by one."""

    findings: tuple[Finding, ...]
    mended: dict[str, Any]
    moved: tuple[tuple[Path, Path], ...] = ()
    certain: tuple[tuple[Path, Path], ...] = ()
    dissolved: tuple[Path, ...] = ()


def survey(value: dict[str, Any], kind: str, *, newer: bool = False) -> Survey:
    """Compare an object with its kind's schema. newer: a server has accepted it, so a field that
    is like none of ours is one that we do not know yet."""
    return _Examination(kind, newer).run(value)


def mend(value: dict[str, Any]) -> dict[str, Any]:
    """The object with every misplaced field at home; other kinds come back as they are."""
    kind = value["kind"] if "kind" in value else kind_inside(value)
    return survey(value, kind).mended if kind in KINDS else value


class _Stray(NamedTuple):
    """A field that is not known where it stands. place: where that is in the mended object; struct:
    what it stands in."""

    place: Path
    stands: Path
    value: Any
    struct: Shape


class _Examination:
    """One object under examination."""

    def __init__(self, kind: str, newer: bool) -> None:
        self.kind = kind
        self.newer = newer
        self.findings: list[Finding] = []
        self.strays: deque[_Stray] = deque()
        self.strangers: deque[_Stray] = deque()
        self.doubtful: list[_Stray] = []
        self.moved: list[tuple[Path, Path]] = []
        self.guessed: list[tuple[Path, Path]] = []
        self.dissolved: list[Path] = []
        self.tree: Any = {}

    def run(self, value: dict[str, Any]) -> Survey:
        shape = KINDS[self.kind]
        self.tree = self.visit(value, shape, (), ())
        while self.strays or self.strangers:
            if self.strays:
                self.settle(self.strays.popleft())
            else:
                self.identify(self.strangers.popleft())
        for stray in self.doubtful:
            self.doubt(stray)
        self.missing(self.tree, shape, ())
        guesses = [home for home, _ in self.guessed]
        certain = [
            (home, stands)
            for home, stands in self.moved
            if (home, stands) not in self.guessed
            and not any(home[: len(guess)] == guess for guess in guesses)
        ]
        return Survey(
            tuple(self.findings),
            self.tree,
            tuple(self.moved),
            tuple(certain),
            tuple(self.dissolved),
        )

    def find(self, path: Path, message: str, remedy: str, id: str = "invalid-value") -> None:
        self.findings.append(Finding(path, message, remedy, id))

    # The walk: a copy of what is at home, the rest on the heap of strays.

    def visit(self, value: Any, shape: Shape, place: Path, stands: Path) -> Any:
        """The value without its strays. place: in the mended object; stands: as written."""
        if value is None or (isinstance(shape, Scalar) and shape.admits(value)):
            return value
        match shape:
            case Struct() if isinstance(value, dict):
                return self.struct(value, shape, place, stands)
            case MapOf() if isinstance(value, dict):
                return self.map(value, shape, place, stands)
            case ListOf() if isinstance(value, list):
                return [
                    self.visit(self.item(item, n, stands), shape.item, (*place, n), (*stands, n))
                    for n, item in enumerate(value)
                ]
        if not shape.admits(value):
            self.find(stands, *mismatch(value, shape))
        return value

    def item(self, item: Any, n: int, stands: Path) -> Any:
        if item is None:
            self.find((*stands, n), "the list has an empty entry", "Fill it in or remove the dash.")
        return item

    def struct(self, value: dict[Any, Any], shape: Struct, place: Path, stands: Path) -> Any:
        kept = {}
        for key, item in value.items():
            inner = shape.fields.get(key)
            if inner is not None:
                kept[key] = self.visit(item, inner, (*place, key), (*stands, key))
            elif shape.open:
                kept[key] = item
            elif isinstance(key, str):
                self.strays.append(_Stray((*place, key), (*stands, key), item, shape))
            else:
                self.key(stands, key)
        return kept

    def map(self, value: dict[Any, Any], shape: MapOf, place: Path, stands: Path) -> Any:
        kept = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self.key(stands, key)
                continue
            stray = _Stray((*place, key), (*stands, key), item, shape)
            if not shape.item.admits(item):
                self.strays.append(stray)
            elif shape.doubtful(key, item):
                self.doubtful.append(stray)
            else:
                kept[key] = item
        return kept

    def key(self, stands: Path, key: Any) -> None:
        remedy = "Quote it, if it is meant: YAML reads some words and numbers as something else."
        self.find(stands, f"key {shown(key)} is not text", remedy)

    # The strays: home, misspelt, a label, or unknown.

    def settle(self, stray: _Stray) -> None:
        """Put one stray where its name is known; one whose name is not waits for the others."""
        known = homes(self.kind).get(str(stray.place[-1]))
        if known:
            self.move(stray, best(known, stray.value, stray.place, self.tree))
        else:
            self.strangers.append(stray)

    def identify(self, stray: _Stray) -> None:
        """Find out what a stray is whose name is not known, and put it where it belongs."""
        name = str(stray.place[-1])
        if isinstance(stray.struct, MapOf):
            self.in_map(stray)
        elif self.misspelt(stray, name):
            return
        elif self.newer:
            self.put(stray.place, stray.value, stray.stands)
        elif not self.label(stray):
            fields = stray.struct.fields if isinstance(stray.struct, Struct) else {}
            remedy = f"Remove it; known here: {', '.join(sorted(fields))}."
            self.find(stray.stands, f"unknown field {shown(name)}", remedy, "unknown-field")

    def doubt(self, stray: _Stray) -> None:
        """A label with the name of a field: the field, if that is missing and would fit."""
        name = str(stray.place[-1])
        known = homes(self.kind).get(name)
        home = best(known, stray.value, stray.place, self.tree) if known else None
        if home is not None and self.wanting(home) and home.shape.admits(stray.value):
            telling = name != name.lower() or (isinstance(home.shape, Scalar) and home.shape.values)
            if telling or home.required:
                self.move(stray, home)
                return
        self.put(stray.place, stray.value, stray.stands)

    def wanting(self, home: Home) -> bool:
        """Whether a place lacks its value though what should hold it is there."""
        holder = dig(self.tree, home.path[:-1])
        return isinstance(holder, dict) and holder.get(home.path[-1]) is None

    def in_map(self, stray: _Stray) -> None:
        """Something that is no field of ours, in a map of labels where only text may be."""
        owner, value = stray.place[:-1], stray.value
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            where = dotted(owner)
            message = f"its entries belong directly under {where}"
            remedy = f"Remove the level {stray.place[-1]}."
            self.find(stray.stands, message, remedy, "misplaced-field")
            self.dissolved.append(stray.stands)
            for key, item in value.items():
                self.doubtful.append(
                    _Stray((*owner, key), (*stray.stands, key), item, stray.struct)
                )
        else:
            item = stray.struct.item if isinstance(stray.struct, MapOf) else TEXT
            self.find(stray.stands, *mismatch(value, item))

    def misspelt(self, stray: _Stray, name: str) -> bool:
        """Whether the name is nearly that of a field missing here, or of one known elsewhere."""
        fields = stray.struct.fields if isinstance(stray.struct, Struct) else {}
        here = dig(self.tree, stray.place[:-1])
        missing = [field for field in fields if not (isinstance(here, dict) and field in here)]
        guess = near(name, missing, 0.9 if self.newer else 0.75)
        if guess is not None:
            path = (*stray.place[:-1], guess)
            home = Home(path, fields[guess], False)
            where = guess
        else:
            guess = near(name, homes(self.kind), 0.9 if self.newer else 0.85)
            if guess is None:
                return False
            home = best(homes(self.kind)[guess], stray.value, stray.place, self.tree)
            where = dotted(home.path)
        remedy = f"Did you mean {where}?"
        self.find(stray.stands, f"unknown field {shown(name)}", remedy, "unknown-field")
        before = len(self.moved)
        self.rehome(stray, home)
        self.guessed += self.moved[before:]
        return True

    def label(self, stray: _Stray) -> bool:
        """Whether it can only be a label that stands outside its map."""
        if not isinstance(stray.value, str):
            return False
        where = label_home(self.kind, stray.place, self.tree)
        if where is None:
            return False
        home = Home(where, TEXT, False)
        self.move(stray, home)
        return True

    def move(self, stray: _Stray, home: Home) -> None:
        """Name a misplaced field's home, and put it there."""
        where = dotted(home.path)
        message = f"misplaced: it belongs at {where}"
        remedy = f"Move it, with what is under it, to {where}."
        present = dig(self.tree, home.path)
        if present is not None and not isinstance(present, dict):
            message += ", which has a value already"
            remedy = f"Keep one of the two, at {where}."
        self.find(stray.stands, message, remedy, "misplaced-field")
        self.rehome(stray, home)

    def rehome(self, stray: _Stray, home: Home) -> None:
        value = self.visit(stray.value, home.shape, home.path, stray.stands)
        self.put(home.path, value, stray.stands)

    def put(self, path: Path, value: Any, stands: Path) -> None:
        """Set a field of the mended object unless it has a value; mappings are united."""
        at = self.tree
        for part, following in pairwise(path):
            at = child(at, part, [] if isinstance(following, int) else {})
        last = path[-1]
        present = dig(at, (last,))
        if isinstance(present, dict) and (value is None or isinstance(value, dict)):
            self.dissolved.append(stands)
            for key, item in (value or {}).items():
                self.put((*path, key), item, (*stands, key))
        elif present in EMPTY and isinstance(at, dict):
            at[last] = value
            if path != stands:
                self.moved.append((path, stands))

    # What is still missing.

    def missing(self, value: Any, shape: Shape, place: Path) -> None:
        """Required fields that the mended object lacks, told at the place as written."""
        match shape:
            case Struct() if isinstance(value, dict):
                for name in sorted(shape.required):
                    if value.get(name) is None:
                        remedy = self.absent((*place, name))
                        path = (*self.written(place), name)
                        self.find(path, "Required value", remedy, "missing-field")
                for name, inner in shape.fields.items():
                    self.missing(value.get(name), inner, (*place, name))
            case ListOf() if isinstance(value, list):
                for n, item in enumerate(value):
                    self.missing(item, shape.item, (*place, n))

    def absent(self, place: Path) -> str:
        """The remedy for a missing field."""
        other = elsewhere(self.kind, place, self.tree)
        if other is None:
            return f"Add {dotted(place)}."
        return f"Add {dotted(place)}; if {dotted(other)} is meant for it, move that one."

    def written(self, place: Path) -> Path:
        """Where a place of the mended object stands in the object as written."""
        return origin(place, self.moved)
